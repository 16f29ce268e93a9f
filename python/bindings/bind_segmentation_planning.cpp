// SPDX-License-Identifier: Apache-2.0
#include "bindings.h"
#include "monitor.h"

#include <vesalius/segmentation/dataset.h>
#include <vesalius/segmentation/fingerprint.h>
#include <vesalius/segmentation/planner.h>
#include <vesalius/segmentation/preprocess.h>

#include <vesalius/core/error.h>

using namespace vesalius;
using namespace vesalius::segmentation;

namespace {

PlannerPreset preset_of(const std::string& text) {
  PlannerPreset out;
  from_string(text, out);
  return out;
}

std::vector<std::string> names_of(const std::vector<Normalisation>& schemes) {
  std::vector<std::string> out;
  for (const auto scheme : schemes) out.push_back(to_string(scheme));
  return out;
}

void bind_dataset(py::module_& m) {
  py::class_<LabelSet>(m, "LabelSet", R"(What the numbers of a label map mean.

`labels`: pairs of a name and its numbers (several: a region); `regions_class_order`; `ignore`: the number of voxels that nobody
annotated, or None.)")
      .def(py::init([](std::vector<std::pair<std::string, std::vector<int64_t>>> labels, std::vector<int64_t> order,
                       std::optional<int64_t> ignore) {
             LabelSet out{std::move(labels), std::move(order), ignore};
             out.validate();
             return out;
           }),
           py::arg("labels"), py::kw_only(), py::arg("regions_class_order") = std::vector<int64_t>{},
           py::arg("ignore") = py::none())
      .def_readonly("labels", &LabelSet::labels)
      .def_readonly("regions_class_order", &LabelSet::regions_class_order)
      .def_readonly("ignore", &LabelSet::ignore)
      .def_property_readonly("has_regions", &LabelSet::has_regions)
      .def_property_readonly("heads", &LabelSet::heads, "Output channels of a network.")
      .def("values", &LabelSet::values, "The numbers that may stand in a label map, without `ignore`.")
      .def("foreground", &LabelSet::foreground,
           "What is learnt: the numbers of each class or region, without the background.")
      .def("foreground_names", &LabelSet::foreground_names)
      .def("to_json", &LabelSet::to_json)
      .def_static("from_json", &LabelSet::from_json, py::arg("text"))
      .def(py::pickle([](const LabelSet& s) { return s.to_json(); },
                      [](const std::string& s) { return LabelSet::from_json(s); }))
      .def("__repr__", [](const LabelSet& s) { return "LabelSet(" + s.to_json() + ")"; });
  py::class_<DatasetCase>(m, "DatasetCase", "The files of one case.")
      .def(py::init([](std::string id, std::vector<std::string> images, std::string label) {
             return DatasetCase{std::move(id), std::move(images), std::move(label)};
           }),
           py::arg("id"), py::arg("images"), py::arg("label") = "")
      .def_readonly("id", &DatasetCase::id)
      .def_readonly("images", &DatasetCase::images, "One path a channel.")
      .def_readonly("label", &DatasetCase::label, "Path; empty where there is none.")
      .def("__repr__", [](const DatasetCase& c) { return "DatasetCase(\"" + c.id + "\")"; });
  py::class_<Problem>(m, "Problem", "Something found in a dataset. A case with a fatal problem is never trained on.")
      .def_readonly("id", &Problem::id, "The case; empty where it concerns the dataset.")
      .def_readonly("kind", &Problem::kind)
      .def_readonly("message", &Problem::message)
      .def_readonly("fatal", &Problem::fatal)
      .def("__str__", [](const Problem& p) { return p.message; })
      .def("__repr__", [](const Problem& p) {
        return "Problem(" + std::string(p.fatal ? "fatal, " : "") + p.kind + ": " + p.message + ")";
      });
  py::class_<Dataset>(m, "Dataset",
                      "Images with label maps to train on: nnU-Net's raw format, or a folder with images/ and labels/.")
      .def_static(
          "open",
          [](const std::string& folder, const std::vector<std::string>& labels,
             const std::vector<std::string>& channels) { return Dataset::open(folder, labels, channels); },
          py::arg("folder"), py::kw_only(), py::arg("label_names") = std::vector<std::string>{},
          py::arg("channels") = std::vector<std::string>{}, ReleaseGil())
      .def_readonly("name", &Dataset::name)
      .def_readonly("root", &Dataset::root)
      .def_readonly("channels", &Dataset::channels)
      .def_readonly("labels", &Dataset::labels)
      .def_readonly("cases", &Dataset::cases)
      .def_readonly("test", &Dataset::test)
      .def_readonly("file_problems", &Dataset::file_problems)
      .def(
          "subset",
          [](const Dataset& self, const std::vector<std::string>& ids) {
            Dataset out = self;
            out.cases.clear();
            for (const auto& id : ids) {
              bool found = false;
              for (const auto& entry : self.cases)
                if (entry.id == id) {
                  out.cases.push_back(entry);
                  found = true;
                }
              if (!found) throw InvalidArgument("no case \"" + id + "\" in the dataset " + self.name);
            }
            return out;
          },
          py::arg("ids"), "The same dataset with these cases only.")
      .def("__len__", [](const Dataset& d) { return d.cases.size(); })
      .def("__repr__", [](const Dataset& d) {
        return "Dataset(\"" + d.name + "\", " + std::to_string(d.cases.size()) + " cases, " +
               std::to_string(d.channels.size()) + " channels, " + std::to_string(d.labels.foreground().size()) +
               " classes)";
      });
  m.def(
      "check_dataset",
      [](const Dataset& dataset, int64_t jobs, py::object progress) {
        PyMonitor monitor(std::move(progress));
        py::gil_scoped_release release;
        return check_dataset(dataset, jobs, &monitor);
      },
      py::arg("dataset"), py::arg("jobs"), py::arg("progress"));
  m.def(
      "load_case",
      [](const DatasetCase& files) {
        LoadedCase out;
        {
          py::gil_scoped_release release;
          out = load_case(files);
        }
        return py::make_tuple(out.image, out.labels.defined() ? py::cast(out.labels) : py::none());
      },
      py::arg("case"));
}

void bind_plans(py::module_& m) {
  py::class_<ChannelStatistics>(m, "ChannelStatistics", "Intensities of all labelled voxels, one channel.")
      .def_readonly("mean", &ChannelStatistics::mean)
      .def_readonly("median", &ChannelStatistics::median)
      .def_readonly("std", &ChannelStatistics::std)
      .def_readonly("min", &ChannelStatistics::min)
      .def_readonly("max", &ChannelStatistics::max)
      .def_readonly("percentile_00_5", &ChannelStatistics::percentile_00_5)
      .def_readonly("percentile_99_5", &ChannelStatistics::percentile_99_5);
  py::class_<Fingerprint>(m, "Fingerprint", "What the planner knows of a dataset.")
      .def_readonly("spacings", &Fingerprint::spacings)
      .def_readonly("shapes", &Fingerprint::shapes)
      .def_readonly("median_relative_size_after_cropping", &Fingerprint::median_relative_size_after_cropping)
      .def_readonly("channels", &Fingerprint::channels)
      .def("to_json", &Fingerprint::to_json, "nnU-Net's dataset_fingerprint.json.")
      .def_static("from_json", &Fingerprint::from_json, py::arg("text"));
  m.def(
      "fingerprint",
      [](const Dataset& dataset, int64_t jobs, py::object progress, int64_t samples) {
        PyMonitor monitor(std::move(progress));
        py::gil_scoped_release release;
        return fingerprint(dataset, jobs, &monitor, samples);
      },
      py::arg("dataset"), py::arg("jobs"), py::arg("progress"), py::arg("foreground_samples"));
  py::class_<Configuration>(m, "Configuration",
                            "One network and how its data is prepared; axes (z, y, x) after transposition.")
      .def_readonly("name", &Configuration::name)
      .def_readonly("data_identifier", &Configuration::data_identifier)
      .def_readwrite("batch_size", &Configuration::batch_size)
      .def_readwrite("patch_size", &Configuration::patch_size)
      .def_readonly("median_size", &Configuration::median_size)
      .def_readonly("spacing", &Configuration::spacing)
      .def_property_readonly("normalisation", [](const Configuration& c) { return names_of(c.normalisation); })
      .def_readonly("use_mask_for_norm", &Configuration::use_mask_for_norm)
      .def_readwrite("batch_dice", &Configuration::batch_dice)
      .def_readonly("residual", &Configuration::residual)
      .def_readwrite("features", &Configuration::features)
      .def_readonly("kernels", &Configuration::kernels)
      .def_readonly("strides", &Configuration::strides)
      .def_readwrite("blocks", &Configuration::blocks)
      .def_readwrite("decoder_convolutions", &Configuration::decoder_convolutions)
      .def_readonly("previous_stage", &Configuration::previous_stage)
      .def_readonly("next_stage", &Configuration::next_stage)
      .def(
          "feature_map_elements", [](const Configuration& c, int64_t heads) { return feature_map_elements(c, heads); },
          py::arg("heads"))
      .def("__repr__", [](const Configuration& c) {
        std::string patch;
        for (const int64_t n : c.patch_size) patch += (patch.empty() ? "" : "×") + std::to_string(n);
        return "Configuration(\"" + c.name + "\", patch " + patch + ", batch " + std::to_string(c.batch_size) + ", " +
               std::to_string(c.features.size()) + " stages)";
      });
  py::class_<Plans>(m, "Plans", "All configurations of a dataset; nnU-Net's plans.json both ways.")
      .def_readonly("dataset_name", &Plans::dataset_name)
      .def_readonly("plans_name", &Plans::plans_name)
      .def_readonly("planner", &Plans::planner)
      .def_readonly("transpose_forward", &Plans::transpose_forward)
      .def_readonly("transpose_backward", &Plans::transpose_backward)
      .def_readonly("channels", &Plans::channels)
      .def_readwrite("configurations", &Plans::configurations)
      .def(
          "configuration", [](const Plans& p, const std::string& name) { return p.configuration(name); },
          py::arg("name"))
      .def("has", &Plans::has, py::arg("name"))
      .def("to_json", &Plans::to_json)
      .def_static("from_json", &Plans::from_json, py::arg("text"))
      .def(py::pickle([](const Plans& p) { return p.to_json(); },
                      [](const std::string& s) { return Plans::from_json(s); }))
      .def("__repr__", [](const Plans& p) {
        std::string names;
        for (const auto& c : p.configurations) names += (names.empty() ? "" : ", ") + c.name;
        return "Plans(\"" + p.dataset_name + "\", " + names + ")";
      });
  m.def(
      "plan",
      [](const Fingerprint& print, const std::string& name, const std::vector<std::string>& channels, int64_t labels,
         int64_t cases, const std::string& preset, std::optional<double> memory, std::optional<Vec3> spacing) {
        return plan(print, name, channels, labels, cases, {preset_of(preset), memory, spacing});
      },
      py::arg("fingerprint"), py::arg("dataset_name"), py::arg("channels"), py::arg("label_count"),
      py::arg("training_cases"), py::arg("preset"), py::arg("memory_gb"), py::arg("spacing"), ReleaseGil());
}

void bind_preprocessing(py::module_& m) {
  py::class_<PreprocessTrace>(m, "PreprocessTrace", "How one image was prepared: what the way back needs.")
      .def_readonly("geometry", &PreprocessTrace::geometry)
      .def_readonly("transpose", &PreprocessTrace::transpose)
      .def_readonly("shape_before_crop", &PreprocessTrace::shape_before_crop)
      .def_readonly("crop_start", &PreprocessTrace::crop_start)
      .def_readonly("crop_shape", &PreprocessTrace::crop_shape)
      .def_readonly("shape", &PreprocessTrace::shape)
      .def_readonly("spacing", &PreprocessTrace::spacing)
      .def_readonly("new_spacing", &PreprocessTrace::new_spacing);
  py::class_<PreprocessPlan>(m, "PreprocessPlan", "What decides how a case is prepared.")
      .def(py::init<const Plans&, const std::string&>(), py::arg("plans"), py::arg("configuration"))
      .def_readonly("transpose_forward", &PreprocessPlan::transpose_forward)
      .def_readonly("spacing", &PreprocessPlan::spacing)
      .def_property_readonly("normalisation", [](const PreprocessPlan& p) { return names_of(p.normalisation); })
      .def_readonly("use_mask_for_norm", &PreprocessPlan::use_mask_for_norm)
      .def_readonly("channels", &PreprocessPlan::channels);
  m.def(
      "preprocess_image",
      [](const Image& image, const PreprocessPlan& plan, const std::optional<at::Tensor>& labels) {
        Preprocessed out;
        {
          py::gil_scoped_release release;
          out = preprocess_image(image, plan, labels.value_or(at::Tensor()));
        }
        return py::make_tuple(out.image, out.labels.defined() ? py::cast(out.labels) : py::none(), out.trace);
      },
      py::arg("image"), py::arg("plan"), py::arg("labels"));
  m.def("restore_labels", &restore_labels, py::arg("logits"), py::arg("trace"), py::arg("labels"), ReleaseGil());
  m.def("restore_probabilities", &restore_probabilities, py::arg("logits"), py::arg("trace"), py::arg("labels"),
        ReleaseGil());
  m.def("resample_logits_slab", &resample_logits_slab, py::arg("logits"), py::arg("trace"), py::arg("first"),
        py::arg("count"), ReleaseGil());
  m.def("resample_image_to", &resample_image_to, py::arg("image"), py::arg("shape"), py::arg("order"),
        py::arg("separate_axis"), ReleaseGil());
  m.def("resample_labels_to", &resample_labels_to, py::arg("labels"), py::arg("shape"), py::arg("separate_axis"),
        ReleaseGil());
  m.def("separate_axis", &separate_axis, py::arg("spacing"), py::arg("new_spacing"));
  m.def(
      "foreground_locations",
      [](const at::Tensor& labels, const LabelSet& set) {
        auto found = foreground_locations(labels, set);
        return std::make_pair(found.classes, found.voxels);
      },
      py::arg("labels"), py::arg("set"), ReleaseGil());
  py::class_<CachedCase>(m, "CachedCase", "A prepared case on disk, mapped into memory.")
      .def_static("open", &CachedCase::open, py::arg("folder"), py::arg("id"), ReleaseGil())
      .def_static("exists", &CachedCase::exists, py::arg("folder"), py::arg("id"))
      .def_static(
          "save",
          [](const std::string& folder, const std::string& id, const at::Tensor& image, const at::Tensor& labels,
             const PreprocessTrace& trace, const LabelSet& set) {
            CachedCase::save(folder, id, {image, labels, trace}, foreground_locations(labels, set));
          },
          py::arg("folder"), py::arg("id"), py::arg("image"), py::arg("labels"), py::arg("trace"), py::arg("label_set"),
          ReleaseGil())
      .def_readonly("id", &CachedCase::id)
      .def_readonly("image", &CachedCase::image)
      .def_readonly("labels", &CachedCase::labels)
      .def_readonly("trace", &CachedCase::trace)
      .def_property_readonly("classes", [](const CachedCase& c) { return c.locations.classes; })
      .def_property_readonly("locations", [](const CachedCase& c) { return c.locations.voxels; });
  m.def(
      "preprocess_dataset",
      [](const Dataset& dataset, const PreprocessPlan& plan, const std::string& folder, int64_t jobs,
         py::object progress) {
        PyMonitor monitor(std::move(progress));
        py::gil_scoped_release release;
        return preprocess_dataset(dataset, plan, folder, jobs, &monitor);
      },
      py::arg("dataset"), py::arg("plan"), py::arg("folder"), py::arg("jobs"), py::arg("progress"));
}

}  // namespace

void bind_segmentation_planning(py::module_& m) {
  bind_dataset(m);
  bind_plans(m);
  bind_preprocessing(m);
}
