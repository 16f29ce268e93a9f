// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include <ATen/core/Tensor.h>

#include <vesalius/store/study.h>

#include "store/hdf5_handle.h"

/// HDF5 in the few shapes a study needs. Everything here is called with a `Guard` held. Nothing follows soft or
/// external links: what a file names as its own lies in that file.
namespace vesalius::store::hdf5 {

/// Read only, without HDF5's own file locks (files are replaced whole, never changed in place).
/// @throws IoError if the system can't open it, FormatError if it is no HDF5 file or is cut off.
File open_file(const std::string& path);
/// A file in memory: `bytes_of` gives what is to be on disk, so that every write to the disk is ours.
File new_memory_file();
/// An existing file, read into memory whole, to be changed there.
File open_in_memory(const std::string& path);
std::string bytes_of(const File& file);
File new_disk_file(const std::string& path);

Group make_group(hid_t where, const std::string& name);
Group open_group(hid_t where, const std::string& name);
Dataset open_dataset(hid_t where, const std::string& name);
bool has(hid_t where, const std::string& name);
/// Links in the order they were made.
std::vector<std::string> link_names(hid_t where);
void link_external(hid_t where, const std::string& name, const std::string& file, const std::string& object);

// Attributes.
bool has_attribute(hid_t where, const std::string& name);
std::vector<std::string> attribute_names(hid_t where);
void write_attribute(hid_t where, const std::string& name, const Value& value);
Value read_attribute(hid_t where, const std::string& name);
std::string read_text(hid_t where, const std::string& name);
int64_t read_whole(hid_t where, const std::string& name);
void write_numbers(hid_t where, const std::string& name, const std::vector<double>& values,
                   const std::vector<hsize_t>& shape);
std::vector<double> read_numbers(hid_t where, const std::string& name, size_t count);
void write_wholes(hid_t where, const std::string& name, const std::vector<int64_t>& values);
std::vector<int64_t> read_wholes(hid_t where, const std::string& name);
void copy_attributes(hid_t from, hid_t to);
void write_texts_attribute(hid_t where, const std::string& name, const std::vector<std::string>& values);
std::vector<std::string> read_texts_attribute(hid_t where, const std::string& name);

// Datasets of a table.
void write_texts(hid_t where, const std::string& name, const std::vector<std::string>& values);
std::vector<std::string> read_texts(hid_t where, const std::string& name);
Dataset write_doubles(hid_t where, const std::string& name, const std::vector<double>& values,
                      const std::vector<hsize_t>& shape);
std::vector<double> read_doubles(hid_t where, const std::string& name, size_t count);

// Voxels: chunked by slices, shuffled, gzip.
Dataset write_tensor(hid_t where, const std::string& name, const at::Tensor& tensor);
/// @throws FormatError for storage outside the file, unknown filters, or sizes that the stored bytes can't hold.
at::Tensor read_tensor(const Dataset& dataset, const std::string& what);
/// The dataset with its attributes, chunk by chunk as they are compressed. (H5Ocopy of HDF5 1.10.8 crashes on
/// datasets whose attributes keep their order.)
void copy_tensor(const Dataset& from, hid_t where, const std::string& name);
/// numpy's name: "float32". @throws NotSupported for what can't be stored.
std::string dtype_name(at::ScalarType scalar);

}  // namespace vesalius::store::hdf5
