// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"

#include <vesalius/core/checksum.h>
#include <vesalius/core/device.h>
#include <vesalius/core/geometry.h>
#include <vesalius/core/image.h>
#include <vesalius/core/mask.h>

using namespace vesalius;

namespace {

/// What needs numpy, SimpleITK or matplotlib is written in Python (vesalius/_convert.py, _display.py) and
/// bound here, so that Image is one class with one set of stubs.
template <class... Args>
py::object python(const char* module, const char* function, Args&&... args) {
  return py::module_::import(module).attr(function)(std::forward<Args>(args)...);
}

Geometry make_geometry(const Index3& size, const Vec3& spacing, const Vec3& origin,
                       const std::optional<Mat3>& direction) {
  Geometry g{size, spacing, origin};
  if (direction) g.direction = *direction;
  g.validate("geometry");
  return g;
}

Geometry geometry_for(const at::Tensor& tensor, const Vec3& spacing, const Vec3& origin,
                      const std::optional<Mat3>& direction) {
  Geometry g{{1, 1, 1}, spacing, origin};
  if (direction) g.direction = *direction;
  const auto dims = tensor.dim();
  for (int a = 0; a < 3 && dims >= 3; ++a) g.size[a] = tensor.size(dims - 3 + a);
  return g;
}

void bind_geometry(py::module_& m) {
  py::class_<Geometry>(m, "Geometry", R"(Where a voxel grid lies in the patient.

Everything is in (z, y, x) order, physical points in LPS millimetres (DICOM's and ITK's). The centre of voxel
``i`` lies at ``origin + direction @ (spacing * i)``.)")
      .def(py::init(&make_geometry), py::arg("size"), py::kw_only(), py::arg("spacing") = Vec3{1, 1, 1},
           py::arg("origin") = Vec3{0, 0, 0}, py::arg("direction") = py::none())
      .def_readonly("size", &Geometry::size, "voxels (z, y, x)")
      .def_readonly("spacing", &Geometry::spacing, "mm (z, y, x)")
      .def_readonly("origin", &Geometry::origin, "LPS mm (z, y, x), centre of the first voxel")
      .def_readonly("direction", &Geometry::direction,
                    "3 rows in (z, y, x) order; columns are the index axes' unit vectors")
      .def_property_readonly(
          "affine_ras", [](const Geometry& g) { return python("vesalius._convert", "matrix", g.affine_ras()); },
          "nibabel's affine: float64 [4, 4], (i, j, k) to RAS mm.")
      .def_property_readonly("voxel_volume", &Geometry::voxel_volume, "mm³")
      .def_property_readonly("orientation", &orientation_of, "where x, y, z run to, such as 'LPS'")
      .def_static(
          "from_affine_ras",
          [](const std::array<std::array<double, 4>, 4>& affine, const Index3& size) {
            return Geometry::from_affine_ras(affine, size);
          },
          py::arg("affine"), py::arg("size"), "The reverse of `affine_ras`; size is (z, y, x).")
      .def("to_physical", &Geometry::to_physical, py::arg("index"),
           "Continuous voxel index (z, y, x) to LPS mm (z, y, x).")
      .def("to_index", &Geometry::to_index, py::arg("point"), "LPS mm (z, y, x) to continuous voxel index (z, y, x).")
      .def("same_as", &Geometry::same_as, py::arg("other"), py::kw_only(), py::arg("tolerance") = 1e-2,
           "Whether both describe the same grid; tolerance is a fraction of the spacing.")
      .def("difference", &Geometry::difference, py::arg("other"), py::kw_only(), py::arg("tolerance") = 1e-2,
           "'' for the same grid, else which part differs by how much.")
      .def(
          "__eq__", [](const Geometry& a, const Geometry& b) { return a == b; }, py::is_operator())
      .def("__repr__", [](const Geometry& g) { return "Geometry(" + g.to_string() + ")"; })
      .def(py::pickle([](const Geometry& g) { return py::make_tuple(g.size, g.spacing, g.origin, g.direction); },
                      [](const py::tuple& t) {
                        return make_geometry(t[0].cast<Index3>(), t[1].cast<Vec3>(), t[2].cast<Vec3>(),
                                             t[3].cast<Mat3>());
                      }));
}

/// What Image and Mask share, so that each method returns its own class.
template <class T>
void bind_common(py::class_<T>& cls) {
  cls.def_property_readonly("geometry", [](const T& self) { return self.geometry(); })
      .def_property_readonly(
          "spacing", [](const T& self) { return py::tuple(py::cast(self.geometry().spacing)); }, "mm (z, y, x)")
      .def_property_readonly(
          "origin", [](const T& self) { return py::tuple(py::cast(self.geometry().origin)); }, "LPS mm (z, y, x)")
      .def_property_readonly("shape", [](const T& self) { return py::tuple(py::cast(self.tensor().sizes().vec())); })
      .def_property_readonly(
          "affine_ras",
          [](const T& self) { return python("vesalius._convert", "matrix", self.geometry().affine_ras()); },
          "nibabel's affine: float64 [4, 4], (i, j, k) to RAS mm.")
      .def_property(
          "metadata", [](const T& self) { return self.metadata(); },
          [](T& self, const Metadata& m) { self.metadata() = m; },
          "What is known besides the voxels: dict of str to str. Assign a whole dict to change it.")
      .def("to", &T::to, py::arg("device"), "The same on another device: 'cpu', 'cuda', 'cuda:1'.")
      .def(
          "crop", [](const T& self, const Index3& start, const Index3& count) { return crop(self, start, count); },
          py::arg("start"), py::arg("count"), "A view of `count` voxels (z, y, x) from `start`.")
      .def(
          "reorient", [](const T& self, const std::string& orientation) { return reorient(self, orientation); },
          py::arg("orientation"),
          "Axes permuted and flipped so that x, y, z run towards these sides, such as 'LPS' or 'RAS'; nothing is "
          "resampled.")
      .def_property_readonly("orientation", [](const T& self) { return orientation_of(self.geometry()); })
      .def(
          "numpy", [](const py::object& self) { return python("vesalius._convert", "to_numpy", self); },
          "The voxels as a numpy array without a copy (a CUDA tensor is copied to the CPU).")
      .def(
          "to_sitk", [](const py::object& self) { return python("vesalius._convert", "to_sitk", self); },
          "A SimpleITK image.")
      .def(
          "to_nibabel", [](const py::object& self) { return python("vesalius._convert", "to_nibabel", self); },
          "A nibabel Nifti1Image in RAS.")
      .def(
          "to_torchio", [](const py::object& self) { return python("vesalius._convert", "to_torchio", self); },
          "(tensor [C, W, H, D], affine RAS): TorchIO's and MONAI's order, a view.")
      .def("_repr_html_", [](const py::object& self) { return python("vesalius._display", "html", self); })
      .def("_repr_png_", [](const py::object& self) { return python("vesalius._display", "png", self); })
      .def(
          "plot",
          [](const py::object& self, const py::kwargs& kw) { return python("vesalius.plot", "slices", self, **kw); },
          "Slices through the image; see vesalius.plot.slices.")
      .def("__dlpack__",
           [](const T& self, const py::kwargs& kw) { return py::cast(self.tensor()).attr("__dlpack__")(**kw); })
      .def("__dlpack_device__", [](const T& self) { return py::cast(self.tensor()).attr("__dlpack_device__")(); })
      .def("__array__", [](const py::object& self, const py::args& args, const py::kwargs& kw) {
        return self.attr("numpy")().attr("__array__")(*args, **kw);
      });
}

}  // namespace

void bind_core(py::module_& parent) {
  auto m = parent.def_submodule("core", "Images, masks, geometry, devices.");
  bind_geometry(m);

  py::class_<Image> image(m, "Image", R"(Voxels with their place in the patient.

`tensor` is [z, y, x] or [c, z, y, x], of any type, on any device; a 2D image has z = 1. `geometry` says where
it lies; copies share the voxels.)");
  image
      .def(py::init([](const at::Tensor& t, const Geometry& g, const Metadata& meta) { return Image(t, g, meta); }),
           py::arg("tensor"), py::arg("geometry"), py::kw_only(), py::arg("metadata") = Metadata{})
      .def(py::init([](const at::Tensor& t, const Vec3& spacing, const Vec3& origin,
                       const std::optional<Mat3>& direction,
                       const Metadata& meta) { return Image(t, geometry_for(t, spacing, origin, direction), meta); }),
           py::arg("tensor"), py::kw_only(), py::arg("spacing") = Vec3{1, 1, 1}, py::arg("origin") = Vec3{0, 0, 0},
           py::arg("direction") = py::none(), py::arg("metadata") = Metadata{})
      .def_property_readonly(
          "tensor", [](const Image& self) { return self.tensor(); },
          "torch.Tensor [z, y, x] or [c, z, y, x], without a copy.")
      .def("with_tensor", &Image::with_tensor, py::arg("tensor"), "The same place with other voxels of the same size.")
      .def(
          "pad",
          [](const Image& self, const Index3& before, const Index3& after, double value) {
            return pad(self, before, after, value);
          },
          py::arg("before"), py::arg("after"), py::arg("value") = 0.0)
      .def_static(
          "from_numpy",
          [](const py::object& array, const py::kwargs& kw) {
            return python("vesalius._convert", "image_from_numpy", array, **kw).template cast<Image>();
          },
          py::arg("array"),
          "An image over a numpy array [z, y, x] without a copy; spacing, origin, direction as keywords.")
      .def_static(
          "from_sitk",
          [](const py::object& sitk) {
            return python("vesalius._convert", "image_from_sitk", sitk).template cast<Image>();
          },
          py::arg("image"), "An image from SimpleITK's (a copy: SimpleITK's buffer can't be owned).")
      .def_static(
          "from_nibabel",
          [](const py::object& nib) {
            return python("vesalius._convert", "image_from_nibabel", nib).template cast<Image>();
          },
          py::arg("image"))
      .def("__repr__",
           [](const Image& self) {
             std::ostringstream out;
             out << "Image(" << c10::toString(self.tensor().scalar_type()) << " " << self.tensor().sizes() << " on "
                 << self.tensor().device() << ", " << self.geometry().to_string() << ")";
             return out.str();
           })
      .def(py::pickle([](const Image& i) { return py::make_tuple(i.tensor(), i.geometry(), i.metadata()); },
                      [](const py::tuple& t) {
                        return Image(t[0].cast<at::Tensor>(), t[1].cast<Geometry>(), t[2].cast<Metadata>());
                      }));
  bind_common(image);

  using Names = std::map<int64_t, std::string>;
  // Not declared as a subclass of Image in Python: what takes an image should not take a mask by mistake.
  py::class_<Mask> mask(m, "Mask", R"(Whole-number labels [z, y, x] on the grid of what they label; 0 is background.)");
  mask.def(py::init([](const at::Tensor& t, const Geometry& g, const Names& names, const Metadata& meta) {
             return Mask(t, g, names, meta);
           }),
           py::arg("tensor"), py::arg("geometry"), py::kw_only(), py::arg("names") = Names{},
           py::arg("metadata") = Metadata{})
      .def(py::init([](const at::Tensor& t, const Vec3& spacing, const Vec3& origin,
                       const std::optional<Mat3>& direction, const Names& names, const Metadata& meta) {
             return Mask(t, geometry_for(t, spacing, origin, direction), names, meta);
           }),
           py::arg("tensor"), py::kw_only(), py::arg("spacing") = Vec3{1, 1, 1}, py::arg("origin") = Vec3{0, 0, 0},
           py::arg("direction") = py::none(), py::arg("names") = Names{}, py::arg("metadata") = Metadata{})
      .def_property_readonly(
          "tensor", [](const Mask& self) { return self.tensor(); },
          "torch.Tensor [z, y, x] of integers, without a copy.")
      .def_property(
          "names", [](const Mask& self) { return self.names(); }, [](Mask& self, const Names& n) { self.names() = n; },
          "Label names: dict of int to str.")
      .def_property_readonly("labels", &Mask::labels, "The labels present, ascending, without 0.")
      .def("select", &Mask::select, py::arg("label"), "Voxels equal to `label`: torch.bool [z, y, x].")
      .def("label_of", &Mask::label_of, py::arg("name"))
      .def(
          "pad", [](const Mask& self, const Index3& before, const Index3& after) { return pad(self, before, after); },
          py::arg("before"), py::arg("after"))
      .def_static("from_image", &Mask::from_image, py::arg("image"), py::arg("names") = Names{},
                  "The labels of an image that was stored as floats; every voxel must be a whole number.")
      .def_static(
          "from_numpy",
          [](const py::object& array, const py::kwargs& kw) {
            return python("vesalius._convert", "mask_from_numpy", array, **kw).template cast<Mask>();
          },
          py::arg("array"))
      .def_static(
          "from_sitk",
          [](const py::object& sitk) {
            return python("vesalius._convert", "mask_from_sitk", sitk).template cast<Mask>();
          },
          py::arg("image"))
      .def_static(
          "from_nibabel",
          [](const py::object& nib) {
            return python("vesalius._convert", "mask_from_nibabel", nib).template cast<Mask>();
          },
          py::arg("image"))
      .def("__repr__",
           [](const Mask& self) {
             std::ostringstream out;
             out << "Mask(" << self.tensor().sizes() << " on " << self.tensor().device() << ", "
                 << self.geometry().to_string() << ")";
             return out.str();
           })
      .def(py::pickle([](const Mask& i) { return py::make_tuple(i.tensor(), i.geometry(), i.names(), i.metadata()); },
                      [](const py::tuple& t) {
                        return Mask(t[0].cast<at::Tensor>(), t[1].cast<Geometry>(), t[2].cast<Names>(),
                                    t[3].cast<Metadata>());
                      }));
  bind_common(mask);

  m.def("load_cuda_kernels", &load_cuda_kernels, "Opens the CUDA kernels; False where there are none.");
  m.def("cuda_status", &cuda_status, "'available', or why not.");
  m.def("sha256_file", &sha256_file, py::arg("path"), ReleaseGil());
  m.def("sha256_tensor", [](const at::Tensor& t) { return sha256(t); }, py::arg("tensor"), ReleaseGil());
}
