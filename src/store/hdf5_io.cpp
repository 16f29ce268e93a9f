// SPDX-License-Identifier: Apache-2.0
#include "store/hdf5_io.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>

namespace vesalius::store::hdf5 {
namespace {

Properties access(bool in_memory) {
  Properties plist(H5Pcreate(H5P_FILE_ACCESS), "HDF5 file access");
  // The oldest superblock, for it has no checksum: H5Fget_file_image (1.10.8) clears the status flags of newer ones
  // and leaves their checksum as it was. Objects that keep their order take the newer forms they need all the same.
  require(H5Pset_libver_bounds(plist, H5F_LIBVER_EARLIEST, H5F_LIBVER_V18), "HDF5 format bounds");
  require(H5Pset_file_locking(plist, false, true), "HDF5 file locking");
  require(H5Pset_fclose_degree(plist, H5F_CLOSE_STRONG), "HDF5 close degree");
  if (in_memory) require(H5Pset_fapl_core(plist, size_t{4} << 20, false), "HDF5 core driver");
  return plist;
}

Properties creation(hid_t kind) {
  Properties plist(H5Pcreate(kind), "HDF5 creation");
  const unsigned order = H5P_CRT_ORDER_TRACKED | H5P_CRT_ORDER_INDEXED;
  require(H5Pset_link_creation_order(plist, order), "HDF5 link order");
  require(H5Pset_attr_creation_order(plist, order), "HDF5 attribute order");
  return plist;
}

/// The system's own word on why a file can't be opened, before HDF5 gives its.
void require_openable(const std::string& path) {
  const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) throw IoError("can't read " + path + ": " + std::strerror(errno));
  ::close(file);
}

File open_with(const std::string& path, unsigned flags, bool in_memory) {
  require_openable(path);
  const auto plist = access(in_memory);
  const htri_t is_hdf5 = H5Fis_hdf5(path.c_str());
  H5Eclear2(H5E_DEFAULT);
  if (is_hdf5 <= 0) throw FormatError(path + " is not an HDF5 file, or its beginning is damaged");
  return File(H5Fopen(path.c_str(), flags, plist), path + " can't be opened: it is cut off or damaged");
}

Type text_type() {
  Type type(H5Tcopy(H5T_C_S1), "HDF5 text type");
  require(H5Tset_size(type, H5T_VARIABLE), "HDF5 text type");
  require(H5Tset_cset(type, H5T_CSET_UTF8), "HDF5 text type");
  return type;
}

/// h5py's bool: an enumeration of FALSE and TRUE over int8.
Type bool_type() {
  Type type(H5Tenum_create(H5T_NATIVE_INT8), "HDF5 bool type");
  const int8_t no = 0, yes = 1;
  require(H5Tenum_insert(type, "FALSE", &no), "HDF5 bool type");
  require(H5Tenum_insert(type, "TRUE", &yes), "HDF5 bool type");
  return type;
}

Space space_of(const std::vector<hsize_t>& shape) {
  return Space(H5Screate_simple(static_cast<int>(shape.size()), shape.data(), nullptr), "HDF5 space");
}

Attribute make_attribute(hid_t where, const std::string& name, hid_t type, hid_t space) {
  if (H5Aexists(where, name.c_str()) > 0) require(H5Adelete(where, name.c_str()), "replacing attribute " + name);
  return Attribute(H5Acreate2(where, name.c_str(), type, space, H5P_DEFAULT, H5P_DEFAULT), "attribute " + name);
}

Attribute open_attribute(hid_t where, const std::string& name) {
  return Attribute(H5Aopen(where, name.c_str(), H5P_DEFAULT), "attribute \"" + name + "\" is missing");
}

size_t element_count(const Space& space, const std::string& what) {
  const hssize_t count = H5Sget_simple_extent_npoints(space);
  if (count < 0) fail(what);
  return static_cast<size_t>(count);
}

/// Reads `count` texts by `read`, which gets a buffer of char pointers.
template <class Read>
std::vector<std::string> collect_texts(hid_t space, size_t count, const std::string& what, Read&& read) {
  if (count > (size_t{1} << 28)) throw FormatError(what + ": " + std::to_string(count) + " texts can't be right");
  std::vector<char*> pointers(count, nullptr);
  std::vector<std::string> out;
  if (count == 0) return out;
  const Type type = text_type();
  require(read(static_cast<hid_t>(type), static_cast<void*>(pointers.data())), what + " is no list of texts");
  out.reserve(count);
  for (const char* pointer : pointers) out.emplace_back(pointer ? pointer : "");
  H5Dvlen_reclaim(type, space, H5P_DEFAULT, pointers.data());
  return out;
}

std::vector<const char*> pointers_to(const std::vector<std::string>& values) {
  std::vector<const char*> out;
  out.reserve(values.size());
  for (const auto& value : values) out.push_back(value.c_str());
  return out;
}

}  // namespace

File open_file(const std::string& path) { return open_with(path, H5F_ACC_RDONLY, false); }
File open_in_memory(const std::string& path) { return open_with(path, H5F_ACC_RDWR, true); }

File new_memory_file() {
  const auto plist = access(true);
  const auto create = creation(H5P_FILE_CREATE);
  static uint64_t count = 0;  // under the guard; HDF5 takes two files of one name for one file
  const std::string name = "in-memory-" + std::to_string(count++);
  return File(H5Fcreate(name.c_str(), H5F_ACC_TRUNC, create, plist), "making a file in memory");
}

File new_disk_file(const std::string& path) {
  const auto plist = access(false);
  const auto create = creation(H5P_FILE_CREATE);
  const hid_t id = H5Fcreate(path.c_str(), H5F_ACC_EXCL, create, plist);
  if (id < 0) fail<IoError>("can't write " + path);
  return File(id, path);
}

std::string bytes_of(const File& file) {
  require<IoError>(H5Fflush(file, H5F_SCOPE_LOCAL), "finishing a file in memory");
  const ssize_t size = H5Fget_file_image(file, nullptr, 0);
  if (size < 0) fail<IoError>("finishing a file in memory");
  std::string bytes(static_cast<size_t>(size), '\0');
  if (H5Fget_file_image(file, bytes.data(), bytes.size()) != size) fail<IoError>("finishing a file in memory");
  return bytes;
}

Group make_group(hid_t where, const std::string& name) {
  const auto create = creation(H5P_GROUP_CREATE);
  return Group(H5Gcreate2(where, name.c_str(), H5P_DEFAULT, create, H5P_DEFAULT), "making group " + name);
}

bool has(hid_t where, const std::string& name) {
  const htri_t exists = H5Lexists(where, name.c_str(), H5P_DEFAULT);
  if (exists < 0) fail("looking for \"" + name + "\"");
  return exists > 0;
}

static void require_hard_link(hid_t where, const std::string& name) {
  H5L_info_t info;
  if (!has(where, name)) throw FormatError("\"" + name + "\" is missing");
  require(H5Lget_info(where, name.c_str(), &info, H5P_DEFAULT), "link \"" + name + "\"");
  if (info.type != H5L_TYPE_HARD) throw FormatError("\"" + name + "\" is a link to somewhere else, which is refused");
}

Group open_group(hid_t where, const std::string& name) {
  require_hard_link(where, name);
  return Group(H5Gopen2(where, name.c_str(), H5P_DEFAULT), "group \"" + name + "\"");
}

Dataset open_dataset(hid_t where, const std::string& name) {
  require_hard_link(where, name);
  return Dataset(H5Dopen2(where, name.c_str(), H5P_DEFAULT), "dataset \"" + name + "\"");
}

std::vector<std::string> link_names(hid_t where) {
  std::vector<std::string> names;
  const auto visit = [](hid_t, const char* name, const H5L_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  hsize_t start = 0;
  if (H5Literate(where, H5_INDEX_CRT_ORDER, H5_ITER_INC, &start, visit, &names) < 0) {
    H5Eclear2(H5E_DEFAULT);  // a group of another writer, which kept no order
    names.clear(), start = 0;
    require(H5Literate(where, H5_INDEX_NAME, H5_ITER_INC, &start, visit, &names), "listing a group");
  }
  return names;
}

void link_external(hid_t where, const std::string& name, const std::string& file, const std::string& object) {
  require(H5Lcreate_external(file.c_str(), object.c_str(), where, name.c_str(), H5P_DEFAULT, H5P_DEFAULT),
          "linking " + file);
}

bool has_attribute(hid_t where, const std::string& name) { return H5Aexists(where, name.c_str()) > 0; }

std::vector<std::string> attribute_names(hid_t where) {
  std::vector<std::string> names;
  const auto visit = [](hid_t, const char* name, const H5A_info_t*, void* out) -> herr_t {
    static_cast<std::vector<std::string>*>(out)->emplace_back(name);
    return 0;
  };
  hsize_t start = 0;
  if (H5Aiterate2(where, H5_INDEX_CRT_ORDER, H5_ITER_INC, &start, visit, &names) < 0) {
    H5Eclear2(H5E_DEFAULT);
    names.clear(), start = 0;
    require(H5Aiterate2(where, H5_INDEX_NAME, H5_ITER_INC, &start, visit, &names), "listing attributes");
  }
  return names;
}

void write_attribute(hid_t where, const std::string& name, const Value& value) {
  const Space scalar(H5Screate(H5S_SCALAR), "HDF5 space");
  const auto put = [&](hid_t type, const void* data) {
    require(H5Awrite(make_attribute(where, name, type, scalar), type, data), "writing attribute " + name);
  };
  if (const auto* text = std::get_if<std::string>(&value)) {
    const char* pointer = text->c_str();
    put(text_type(), &pointer);
  } else if (const auto* yes = std::get_if<bool>(&value)) {
    const int8_t byte = *yes ? 1 : 0;
    put(bool_type(), &byte);
  } else if (const auto* whole = std::get_if<int64_t>(&value)) {
    put(H5T_NATIVE_INT64, whole);
  } else if (const auto* number = std::get_if<double>(&value)) {
    put(H5T_NATIVE_DOUBLE, number);
  }
}

Value read_attribute(hid_t where, const std::string& name) {
  const Attribute attribute = open_attribute(where, name);
  const std::string what = "attribute \"" + name + "\"";
  const Space space(H5Aget_space(attribute), what);
  if (element_count(space, what) != 1) throw FormatError(what + " should be one value");
  const Type stored(H5Aget_type(attribute), what);
  switch (H5Tget_class(stored)) {
    case H5T_STRING:
      return collect_texts(space, 1, what, [&](hid_t type, void* out) { return H5Aread(attribute, type, out); }).at(0);
    case H5T_ENUM: {
      int8_t byte = 0;
      require(H5Aread(attribute, bool_type(), &byte), what);
      return byte != 0;
    }
    case H5T_INTEGER: {
      int64_t whole = 0;
      require(H5Aread(attribute, H5T_NATIVE_INT64, &whole), what);
      return whole;
    }
    case H5T_FLOAT: {
      double number = 0;
      require(H5Aread(attribute, H5T_NATIVE_DOUBLE, &number), what);
      return number;
    }
    default:
      throw FormatError(what + " is of a kind that a study doesn't hold");
  }
}

std::string read_text(hid_t where, const std::string& name) {
  const Value value = read_attribute(where, name);
  if (const auto* text = std::get_if<std::string>(&value)) return *text;
  throw FormatError("attribute \"" + name + "\" should be text");
}

int64_t read_whole(hid_t where, const std::string& name) {
  const Value value = read_attribute(where, name);
  if (const auto* whole = std::get_if<int64_t>(&value)) return *whole;
  throw FormatError("attribute \"" + name + "\" should be a whole number");
}

void write_numbers(hid_t where, const std::string& name, const std::vector<double>& values,
                   const std::vector<hsize_t>& shape) {
  const Attribute attribute = make_attribute(where, name, H5T_NATIVE_DOUBLE, space_of(shape));
  require(H5Awrite(attribute, H5T_NATIVE_DOUBLE, values.data()), "writing attribute " + name);
}

std::vector<double> read_numbers(hid_t where, const std::string& name, size_t count) {
  const Attribute attribute = open_attribute(where, name);
  const std::string what = "attribute \"" + name + "\"";
  if (element_count(Space(H5Aget_space(attribute), what), what) != count)
    throw FormatError(what + " should be " + std::to_string(count) + " numbers");
  std::vector<double> values(count);
  require(H5Aread(attribute, H5T_NATIVE_DOUBLE, values.data()), what);
  return values;
}

void write_wholes(hid_t where, const std::string& name, const std::vector<int64_t>& values) {
  const Attribute attribute = make_attribute(where, name, H5T_NATIVE_INT64, space_of({values.size()}));
  require(H5Awrite(attribute, H5T_NATIVE_INT64, values.data()), "writing attribute " + name);
}

std::vector<int64_t> read_wholes(hid_t where, const std::string& name) {
  const Attribute attribute = open_attribute(where, name);
  const std::string what = "attribute \"" + name + "\"";
  const size_t count = element_count(Space(H5Aget_space(attribute), what), what);
  if (count > (size_t{1} << 20)) throw FormatError(what + ": " + std::to_string(count) + " numbers can't be right");
  std::vector<int64_t> values(count);
  if (count > 0) require(H5Aread(attribute, H5T_NATIVE_INT64, values.data()), what);
  return values;
}

void copy_attributes(hid_t from, hid_t to) {
  for (const auto& name : attribute_names(from)) {
    const Attribute source = open_attribute(from, name);
    const Type type(H5Aget_type(source), name);
    const Space space(H5Aget_space(source), name);
    std::vector<char> bytes(H5Tget_size(type) * element_count(space, name));
    if (bytes.empty()) continue;
    require(H5Aread(source, type, bytes.data()), "attribute " + name);
    require<IoError>(H5Awrite(make_attribute(to, name, type, space), type, bytes.data()), "writing attribute " + name);
    H5Dvlen_reclaim(type, space, H5P_DEFAULT, bytes.data());
  }
}

void write_texts_attribute(hid_t where, const std::string& name, const std::vector<std::string>& values) {
  const Type type = text_type();
  const auto pointers = pointers_to(values);
  require(H5Awrite(make_attribute(where, name, type, space_of({values.size()})), type, pointers.data()),
          "writing attribute " + name);
}

std::vector<std::string> read_texts_attribute(hid_t where, const std::string& name) {
  const Attribute attribute = open_attribute(where, name);
  const std::string what = "attribute \"" + name + "\"";
  const Space space(H5Aget_space(attribute), what);
  return collect_texts(space, element_count(space, what), what,
                       [&](hid_t type, void* out) { return H5Aread(attribute, type, out); });
}

void write_texts(hid_t where, const std::string& name, const std::vector<std::string>& values) {
  const Type type = text_type();
  const Dataset dataset(
      H5Dcreate2(where, name.c_str(), type, space_of({values.size()}), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
      "making dataset " + name);
  if (values.empty()) return;
  require(H5Dwrite(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, pointers_to(values).data()),
          "writing dataset " + name);
}

std::vector<std::string> read_texts(hid_t where, const std::string& name) {
  const Dataset dataset = open_dataset(where, name);
  const std::string what = "dataset \"" + name + "\"";
  const Space space(H5Dget_space(dataset), what);
  return collect_texts(space, element_count(space, what), what, [&](hid_t type, void* out) {
    return H5Dread(dataset, type, H5S_ALL, H5S_ALL, H5P_DEFAULT, out);
  });
}

Dataset write_doubles(hid_t where, const std::string& name, const std::vector<double>& values,
                      const std::vector<hsize_t>& shape) {
  Dataset dataset(
      H5Dcreate2(where, name.c_str(), H5T_NATIVE_DOUBLE, space_of(shape), H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT),
      "making dataset " + name);
  if (!values.empty())
    require(H5Dwrite(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()),
            "writing dataset " + name);
  return dataset;
}

std::vector<double> read_doubles(hid_t where, const std::string& name, size_t count) {
  const Dataset dataset = open_dataset(where, name);
  const std::string what = "dataset \"" + name + "\"";
  const size_t found = element_count(Space(H5Dget_space(dataset), what), what);
  if (found != count)
    throw FormatError(what + " should hold " + std::to_string(count) + " numbers and holds " + std::to_string(found));
  std::vector<double> values(count);
  if (count > 0) require(H5Dread(dataset, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, values.data()), what);
  return values;
}

}  // namespace vesalius::store::hdf5
