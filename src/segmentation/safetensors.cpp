// SPDX-License-Identifier: Apache-2.0
#include <vesalius/segmentation/safetensors.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <set>
#include <vector>

#include <nlohmann/json.hpp>

#include <ATen/ops/empty.h>

#include <vesalius/core/error.h>

#include "io/atomic_file.h"

namespace vesalius::segmentation {
namespace {

namespace fs = std::filesystem;
using HeaderJson = nlohmann::json;

constexpr uint64_t kMaxHeader = 100'000'000;  // the reference's limit
constexpr int kMaxAxes = 32;
constexpr std::pair<const char*, at::ScalarType> kTypes[] = {
    {"F64", at::kDouble}, {"F32", at::kFloat}, {"F16", at::kHalf}, {"BF16", at::kBFloat16}, {"I64", at::kLong},
    {"I32", at::kInt},    {"I16", at::kShort}, {"I8", at::kChar},  {"U8", at::kByte},       {"BOOL", at::kBool}};

/// What a stranger wrote, for a message: ASCII, short.
std::string shown(std::string text) {
  text = text.substr(0, 200);
  for (char& c : text)
    if (c < ' ' || c > '~') c = '?';
  return text;
}

[[noreturn]] void bad(const std::string& path, const std::string& why) {
  throw FormatError(path + " is no sound safetensors file: " + why);
}

std::string quoted(const std::string& name) { return "\"" + shown(name) + "\""; }

at::ScalarType type_of(const std::string& path, const std::string& name, const std::string& text) {
  for (const auto& [known, type] : kTypes)
    if (text == known) return type;
  throw NotSupported(path + ": tensor " + quoted(name) + " is of type " + shown(text.substr(0, 20)) +
                     "; known are F64, F32, F16, BF16, I64, I32, I16, I8, U8, BOOL");
}

/// The header as JSON: flat enough, and no name twice (the last would win silently).
HeaderJson parse_header(const std::string& path, const std::string& text) {
  constexpr int kDepth = 3;  // file, tensor, list
  std::vector<std::set<std::string>> names;
  const auto check = [&](int depth, HeaderJson::parse_event_t event, HeaderJson& parsed) {
    if (depth > kDepth) bad(path, "its header is nested too deeply");
    if (event == HeaderJson::parse_event_t::object_start) names.emplace_back();
    if (event == HeaderJson::parse_event_t::object_end && !names.empty()) names.pop_back();
    if (event == HeaderJson::parse_event_t::key && !names.empty() &&
        !names.back().insert(parsed.get<std::string>()).second)
      bad(path, "its header has " + quoted(parsed.get<std::string>()) + " twice");
    return true;
  };
  try {
    HeaderJson header = HeaderJson::parse(text, check);
    if (!header.is_object()) bad(path, "its header is not a JSON object");
    return header;
  } catch (const HeaderJson::exception& why) {
    bad(path, "its header is not JSON (" + shown(why.what()) + ")");
  }
}

uint64_t whole(const std::string& path, const std::string& name, const HeaderJson& value, const char* what) {
  if (!value.is_number_unsigned()) bad(path, std::string(what) + " of " + quoted(name) + " is not a whole number");
  return value.get<uint64_t>();
}

struct Entry {
  std::string name;
  at::ScalarType type;
  std::vector<int64_t> shape;
  uint64_t begin, end;
};

Entry entry_of(const std::string& path, const std::string& name, const HeaderJson& json, uint64_t data_bytes) {
  if (!json.is_object() || !json.contains("dtype") || !json["dtype"].is_string() || !json.contains("shape") ||
      !json["shape"].is_array() || !json.contains("data_offsets") || !json["data_offsets"].is_array() ||
      json["data_offsets"].size() != 2 || json.size() != 3)
    bad(path, quoted(name) + " must have dtype, shape and two data_offsets");
  Entry e{name, type_of(path, name, json["dtype"].get<std::string>()), {}, 0, 0};
  if (json["shape"].size() > kMaxAxes) bad(path, quoted(name) + " has more than 32 axes");
  uint64_t bytes = c10::elementSize(e.type), empty = 1;
  for (const auto& size : json["shape"]) {
    const uint64_t n = whole(path, name, size, "the shape"), factor = std::max<uint64_t>(n, 1);
    // A 0 among the sizes doesn't excuse the others: torch's strides multiply them all.
    if (factor > (uint64_t{1} << 60) / bytes) bad(path, "the shape of " + quoted(name) + " is impossibly large");
    bytes *= factor;
    if (n == 0) empty = 0;
    e.shape.push_back(static_cast<int64_t>(n));
  }
  bytes *= empty;
  e.begin = whole(path, name, json["data_offsets"][0], "an offset");
  e.end = whole(path, name, json["data_offsets"][1], "an offset");
  if (e.begin > e.end || e.end > data_bytes)
    bad(path, "the offsets of " + quoted(name) + ", " + std::to_string(e.begin) + " to " + std::to_string(e.end) +
                  ", lie outside its " + std::to_string(data_bytes) + " bytes of data; was the file cut short?");
  if (e.end - e.begin != bytes)
    bad(path, "the shape of " + quoted(name) + " needs " + std::to_string(bytes) + " bytes; its offsets hold " +
                  std::to_string(e.end - e.begin));
  return e;
}

}  // namespace

SafeTensors read_safetensors(const std::string& path) {
  std::error_code error;
  const uint64_t size = fs::is_regular_file(path, error) ? fs::file_size(path, error) : 0;
  std::ifstream in(path, std::ios::binary);
  if (error || !in) throw IoError("can't read " + path + (error ? ": " + error.message() : ""));
  uint64_t length = 0;
  if (size < 8) bad(path, "it has " + std::to_string(size) + " bytes");
  unsigned char raw[8];
  in.read(reinterpret_cast<char*>(raw), 8);
  for (int i = 7; i >= 0; --i) length = length << 8 | raw[i];
  if (length > kMaxHeader || length > size - 8)
    bad(path, "its header would have " + std::to_string(length) + " bytes and the file has " + std::to_string(size) +
                  "; was it cut short?");
  std::string text(length, '\0');
  in.read(text.data(), static_cast<std::streamsize>(length));
  if (!in) throw IoError("can't read " + path);
  if (text.empty() || text[0] != '{') bad(path, "its header doesn't start with {");
  const HeaderJson header = parse_header(path, text);

  SafeTensors out;
  std::vector<Entry> entries;
  const uint64_t data_bytes = size - 8 - length;
  for (const auto& [name, value] : header.items()) {
    if (name != "__metadata__") {
      entries.push_back(entry_of(path, name, value, data_bytes));
      continue;
    }
    if (!value.is_object()) bad(path, "its __metadata__ is not an object of text");
    for (const auto& [key, item] : value.items()) {
      if (!item.is_string()) bad(path, "its __metadata__ holds something that isn't text");
      out.metadata[key] = item.get<std::string>();
    }
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  uint64_t at = 0;
  for (const Entry& e : entries) {
    if (e.begin != at)
      bad(path, e.begin < at ? quoted(e.name) + " overlaps another tensor" : "there is a gap before " + quoted(e.name));
    at = e.end;
  }
  if (at != data_bytes) bad(path, std::to_string(data_bytes - at) + " bytes of its data belong to no tensor");
  for (const Entry& e : entries) {
    at::Tensor tensor = at::empty(e.shape, e.type);
    if (e.end > e.begin)
      in.read(static_cast<char*>(tensor.mutable_data_ptr()), static_cast<std::streamsize>(e.end - e.begin));
    if (!in) throw IoError("can't read " + path);
    if (e.type == at::kBool && tensor.view(at::kByte).gt(1).any().item<bool>())
      bad(path, quoted(e.name) + " is of type BOOL and holds bytes other than 0 and 1");
    out.tensors.emplace(e.name, std::move(tensor));
  }
  return out;
}

void write_safetensors(const std::string& path, const TensorMap& tensors,
                       const std::map<std::string, std::string>& metadata) {
  nlohmann::ordered_json header = nlohmann::ordered_json::object();
  if (!metadata.empty()) header["__metadata__"] = metadata;
  uint64_t at = 0;
  std::vector<const TensorMap::value_type*> order;
  for (const auto& item : tensors) order.push_back(&item);
  // Wide types first, as the reference: every tensor is then aligned to its type.
  std::stable_sort(order.begin(), order.end(),
                   [](const auto* a, const auto* b) { return a->second.element_size() > b->second.element_size(); });
  for (const auto* item : order) {
    const auto& [name, tensor] = *item;
    const char* type = nullptr;
    for (const auto& [text, scalar] : kTypes)
      if (tensor.scalar_type() == scalar) type = text;
    if (!type || tensor.layout() != at::kStrided)
      throw NotSupported("safetensors: tensor " + quoted(name) + " is of type " + c10::toString(tensor.scalar_type()) +
                         "; save numbers or bools");
    header[name] = {{"dtype", type}, {"shape", tensor.sizes().vec()}, {"data_offsets", {at, at + tensor.nbytes()}}};
    at += tensor.nbytes();
  }
  std::string text = header.dump();
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string length(8, '\0');
  for (int i = 0; i < 8; ++i) length[i] = static_cast<char>(text.size() >> (8 * i));
  io::detail::AtomicFile out(path);
  out.write(length.data(), 8);
  out.write(text.data(), static_cast<int64_t>(text.size()));
  for (const auto* item : order) {
    const at::Tensor flat = item->second.detach().cpu().contiguous();
    out.write(flat.const_data_ptr(), static_cast<int64_t>(flat.nbytes()));
  }
  out.commit();
}

}  // namespace vesalius::segmentation
