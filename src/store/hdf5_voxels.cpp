// SPDX-License-Identifier: Apache-2.0
// Voxels in HDF5: element types, chunks, filters, and what is refused when reading.
#include <algorithm>
#include <limits>

#include <ATen/ops/empty.h>

#include "store/hdf5_io.h"

namespace vesalius::store::hdf5 {
namespace {

/// Chunks of about this many bytes: whole slices, so that one slice is read without the others.
constexpr int64_t kChunkBytes = 256 << 10;
/// A slice larger than this (a whole-slide picture) is cut into bands of rows.
constexpr int64_t kSliceBytes = 8 << 20;
/// Measured on the sarcoma PET volumes: levels above 3 cost time and gain under 2 %.
constexpr unsigned kGzipLevel = 3;
/// Deflate can't do better than 1032 to 1 (zlib's technical notes): a dataset that claims more is a bomb.
constexpr double kDeflateLimit = 1032.0;

/// IEEE 754 binary16, as h5py and numpy spell it.
Type half_type() {
  Type type(H5Tcopy(H5T_IEEE_F32LE), "HDF5 half type");
  require(H5Tset_fields(type, 15, 10, 5, 0, 10), "HDF5 half type");
  require(H5Tset_size(type, 2), "HDF5 half type");
  require(H5Tset_ebias(type, 15), "HDF5 half type");
  return type;
}

Type type_of(at::ScalarType scalar) {
  const auto copy = [](hid_t id) { return Type(H5Tcopy(id), "HDF5 element type"); };
  switch (scalar) {
    case at::kBool:
    case at::kByte:
      return copy(H5T_STD_U8LE);
    case at::kChar:
      return copy(H5T_STD_I8LE);
    case at::kShort:
      return copy(H5T_STD_I16LE);
    case at::kInt:
      return copy(H5T_STD_I32LE);
    case at::kLong:
      return copy(H5T_STD_I64LE);
    case at::kUInt16:
      return copy(H5T_STD_U16LE);
    case at::kUInt32:
      return copy(H5T_STD_U32LE);
    case at::kUInt64:
      return copy(H5T_STD_U64LE);
    case at::kHalf:
      return half_type();
    case at::kFloat:
      return copy(H5T_IEEE_F32LE);
    case at::kDouble:
      return copy(H5T_IEEE_F64LE);
    default:
      dtype_name(scalar);
      throw NotSupported("voxels of this type can't be stored");
  }
}

at::ScalarType scalar_of(hid_t stored, const std::string& what) {
  for (const auto scalar : {at::kByte, at::kChar, at::kShort, at::kInt, at::kLong, at::kUInt16, at::kUInt32,
                            at::kUInt64, at::kHalf, at::kFloat, at::kDouble})
    if (H5Tequal(stored, type_of(scalar)) > 0) return scalar;
  throw FormatError(what + ": an element type that a study doesn't hold");
}

std::vector<hsize_t> chunk_of(const at::Tensor& tensor) {
  std::vector<hsize_t> chunk(tensor.sizes().begin(), tensor.sizes().end());
  const size_t z = chunk.size() - 3;
  const int64_t row = std::max<int64_t>(1, tensor.size(-1) * tensor.element_size());
  const int64_t slice = row * tensor.size(-2);
  if (z == 1) chunk[0] = 1;
  chunk[z] = std::clamp<int64_t>(kChunkBytes / slice, 1, tensor.size(-3));
  if (slice > kSliceBytes) chunk[z + 1] = std::clamp<int64_t>(kSliceBytes / row, 1, tensor.size(-2));
  return chunk;
}

void require_own_storage(hid_t create, const std::string& what) {
  const H5D_layout_t layout = H5Pget_layout(create);
  if (layout == H5D_VIRTUAL || H5Pget_external_count(create) > 0)
    throw FormatError(what + ": its voxels lie in another file, which is refused");
  for (int i = 0; i < H5Pget_nfilters(create); ++i) {
    unsigned flags = 0, config = 0;
    size_t values = 0;
    const H5Z_filter_t filter =
        H5Pget_filter2(create, static_cast<unsigned>(i), &flags, &values, nullptr, 0, nullptr, &config);
    if (filter != H5Z_FILTER_DEFLATE && filter != H5Z_FILTER_SHUFFLE && filter != H5Z_FILTER_FLETCHER32)
      throw FormatError(what + ": compressed by filter " + std::to_string(filter) +
                        "; only gzip, shuffle and Fletcher-32 are read");
  }
}

}  // namespace

std::string dtype_name(at::ScalarType scalar) {
  switch (scalar) {
    case at::kBool:
      return "bool";
    case at::kByte:
      return "uint8";
    case at::kChar:
      return "int8";
    case at::kShort:
      return "int16";
    case at::kInt:
      return "int32";
    case at::kLong:
      return "int64";
    case at::kUInt16:
      return "uint16";
    case at::kUInt32:
      return "uint32";
    case at::kUInt64:
      return "uint64";
    case at::kHalf:
      return "float16";
    case at::kFloat:
      return "float32";
    case at::kDouble:
      return "float64";
    default:
      throw NotSupported(std::string("voxels of type ") + c10::toString(scalar) +
                         " can't be stored; convert them, for example to float32");
  }
}

Dataset write_tensor(hid_t where, const std::string& name, const at::Tensor& tensor) {
  const at::Tensor flat = tensor.detach().cpu().contiguous();
  const auto chunk = chunk_of(flat);
  const Properties create(H5Pcreate(H5P_DATASET_CREATE), "HDF5 dataset creation");
  require(H5Pset_chunk(create, static_cast<int>(chunk.size()), chunk.data()), "HDF5 chunks");
  if (flat.element_size() > 1) require(H5Pset_shuffle(create), "HDF5 shuffle filter");
  require(H5Pset_deflate(create, kGzipLevel), "HDF5 gzip filter");
  require(H5Pset_fill_time(create, H5D_FILL_TIME_NEVER), "HDF5 fill time");
  require(H5Pset_attr_creation_order(create, H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED), "HDF5 attribute order");
  const std::vector<hsize_t> shape(flat.sizes().begin(), flat.sizes().end());
  const Space space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), "HDF5 space");
  const Type type = type_of(flat.scalar_type());
  Dataset dataset(H5Dcreate2(where, name.c_str(), type, space, H5P_DEFAULT, create, H5P_DEFAULT),
                  "making dataset " + name);
  require<IoError>(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, flat.const_data_ptr()),
                   "writing dataset " + name);
  return dataset;
}

void copy_tensor(const Dataset& from, hid_t where, const std::string& name) {
  const Properties create(H5Dget_create_plist(from), name);
  require_own_storage(create, name);
  const Space space(H5Dget_space(from), name);
  const Type type(H5Dget_type(from), name);
  const Dataset to(H5Dcreate2(where, name.c_str(), type, space, H5P_DEFAULT, create, H5P_DEFAULT),
                   "making dataset " + name);
  hsize_t count = 0;
  require(H5Dget_num_chunks(from, space, &count), name);
  std::vector<hsize_t> offset(H5S_MAX_RANK);
  std::vector<char> chunk;
  for (hsize_t i = 0; i < count; ++i) {
    unsigned filters = 0;
    haddr_t address = 0;
    hsize_t size = 0;
    require(H5Dget_chunk_info(from, space, i, offset.data(), &filters, &address, &size), name);
    chunk.resize(size);
    uint32_t mask = 0;
    require(H5Dread_chunk(from, H5P_DEFAULT, offset.data(), &mask, chunk.data()), "reading " + name);
    require<IoError>(H5Dwrite_chunk(to, H5P_DEFAULT, mask, offset.data(), chunk.size(), chunk.data()),
                     "writing " + name);
  }
  copy_attributes(from, to);
}

at::Tensor read_tensor(const Dataset& dataset, const std::string& what) {
  const Properties create(H5Dget_create_plist(dataset), what);
  require_own_storage(create, what);
  const Space space(H5Dget_space(dataset), what);
  const int dimensions = H5Sget_simple_extent_ndims(space);
  if (dimensions != 3 && dimensions != 4)
    throw FormatError(what + ": 3 or 4 dimensions are expected, it has " + std::to_string(dimensions));
  std::vector<hsize_t> shape(static_cast<size_t>(dimensions));
  require(H5Sget_simple_extent_dims(space, shape.data(), nullptr), what);
  const Type stored(H5Dget_type(dataset), what);
  const auto scalar = scalar_of(stored, what);
  double bytes = static_cast<double>(H5Tget_size(stored));
  for (const hsize_t size : shape) bytes *= static_cast<double>(size);
  const double on_disk = static_cast<double>(H5Dget_storage_size(dataset));
  if (bytes > on_disk * kDeflateLimit + 1024 || bytes > static_cast<double>(std::numeric_limits<int64_t>::max()))
    throw FormatError(what + " claims " + std::to_string(bytes) + " bytes of voxels, and " + std::to_string(on_disk) +
                      " bytes are stored: it is cut off or hostile");
  at::Tensor tensor = at::empty(std::vector<int64_t>(shape.begin(), shape.end()), at::TensorOptions().dtype(scalar));
  require(H5Dread(dataset, type_of(scalar), H5S_ALL, H5S_ALL, H5P_DEFAULT, tensor.mutable_data_ptr()),
          what + ": its voxels can't be read; the file is damaged");
  return tensor;
}

}  // namespace vesalius::store::hdf5
