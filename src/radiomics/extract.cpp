// SPDX-License-Identifier: Apache-2.0
#include <vesalius/radiomics/features.h>

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <limits>
#include <numbers>
#include <numeric>
#include <thread>

#include <ATen/Parallel.h>

#include <vesalius/core/error.h>

#include "radiomics/family.h"
#include "radiomics/label_boxes.h"

namespace vesalius::radiomics {

int64_t Features::index_of(std::string_view name) const {
  std::vector<std::string> known;
  std::vector<int64_t> found;
  for (size_t i = 0; i < columns.size(); ++i) {
    const auto& [column, row] = columns[i];
    if (column == name) return i;
    if (row->name == name || (!row->code.empty() && row->code == name) ||
        (!row->pyradiomics.empty() && row->pyradiomics == name))
      found.push_back(i);
    known.push_back(column);
  }
  if (found.size() == 1) return found.front();
  if (found.empty())
    throw InvalidArgument("there is no feature \"" + std::string(name) + "\" among these." +
                          vesalius::detail::did_you_mean(name, known));
  std::string candidates;
  for (int64_t i : found) candidates += (candidates.empty() ? "" : ", ") + columns[i].name;
  throw InvalidArgument("\"" + std::string(name) + "\" was computed in several ways; say which: " + candidates);
}

double Features::at(std::string_view name) const { return values[index_of(name)]; }

namespace {

/// Everything but the region: its columns, and what made them.
Features empty_features(const Settings& settings) {
  Features features;
  features.columns = columns(settings);
  features.settings = settings;
  features.settings_hash = hash(to_map(settings));
  return features;
}

/// `features` with the values of `roi`.
Features filled(Features features, const Roi& roi, int64_t label, Monitor* monitor) {
  features.label = label;
  features.morphological_voxels = roi.morphological_voxels();
  features.intensity_voxels = static_cast<int64_t>(roi.voxels().size());
  const auto families = chosen_families(features.settings);
  const int64_t total = static_cast<int64_t>(families.size()) + 1;
  int64_t done = 1;
  features.values.reserve(features.columns.size());
  for (const Family* family : families) {
    step(monitor, done++, total, std::string(family->info.name));
    for (const Variant& variant : family->variants(features.settings))
      for (const Value& value : family->compute(roi, variant)) {
        const bool finite = std::isfinite(value.value);
        if (!finite)
          features.reasons[features.columns[features.values.size()].name] =
              value.reason ? value.reason
                           : "the result, or a sum on the way to it, is beyond the numbers that float64 holds";
        features.values.push_back(finite ? value.value : std::numeric_limits<double>::quiet_NaN());
      }
  }
  step(monitor, total, total, "done");
  return features;
}

/// What the workers ask: only the caller's thread reports to the caller's monitor and asks it.
class Shared : public Monitor {
 public:
  explicit Shared(Monitor* monitor) : monitor_(monitor) {}
  bool cancelled() override {
    if (!stop_ && is_callers() && monitor_->cancelled()) stop_ = true;
    return stop_;
  }
  void report_done(int64_t total, const std::string& what) {
    const int64_t done = ++done_;
    if (is_callers()) monitor_->report(done, total, what);
  }
  void stop() { stop_ = true; }

 private:
  bool is_callers() const { return monitor_ && std::this_thread::get_id() == caller_; }
  Monitor* monitor_;
  const std::thread::id caller_ = std::this_thread::get_id();
  std::atomic<bool> stop_ = false;
  std::atomic<int64_t> done_ = 0;
};

/// Calls `work(i, monitor)` for 0 … count - 1, the heaviest first. Where there are as many as cores, each is one thread's;
/// else one after the other, each with all cores. All are tried; then the first one's error is thrown, whatever the threads.
template <class Work>
void for_all(int64_t count, const std::vector<int64_t>& weight, Monitor* monitor, const Work& work) {
  std::vector<int64_t> order(count);
  std::iota(order.begin(), order.end(), 0);
  std::ranges::stable_sort(order, [&](int64_t a, int64_t b) { return weight[a] > weight[b]; });
  std::vector<std::exception_ptr> errors(count);
  Shared shared(monitor);
  std::atomic<int64_t> next = 0;
  std::exception_ptr fatal;  // cancelled, out of memory, an exception of the monitor: ends all
  std::atomic<bool> failed = false;
  const auto serve = [&](int64_t, int64_t) {
    for (int64_t at = next++; at < count; at = next++) {
      const int64_t i = order[at];
      try {
        step(&shared, at, count);
        work(i, &shared);
        shared.report_done(count, "region");
      } catch (const InvalidArgument&) {
        errors[i] = std::current_exception();
      } catch (...) {
        shared.stop();
        if (!failed.exchange(true)) fatal = std::current_exception();
        return;
      }
    }
  };
  const int64_t threads = at::get_num_threads();
  if (count < threads || threads == 1)
    serve(0, 1);
  else
    at::parallel_for(0, threads, 1, serve);
  if (fatal) std::rethrow_exception(fatal);
  for (const auto& error : errors)
    if (error) std::rethrow_exception(error);
}

/// How far around a region its features look, in mm.
double margin_of(const Settings& settings) {
  const auto families = chosen_families(settings);
  const bool local = std::ranges::any_of(families, [](const Family* f) { return f->info.name == "local_intensity"; });
  return local ? 10 * std::cbrt(3 / (4 * std::numbers::pi)) + 1e-6 : 0.0;  // a ball of 1 cm³
}

}  // namespace

Features extract(const Image& image, const Mask& mask, const Settings& settings, int64_t label, Monitor* monitor,
                 int64_t channel) {
  Features features = empty_features(settings);
  step(monitor, 0, static_cast<int64_t>(chosen_families(settings).size()) + 1, "region");
  return filled(std::move(features), Roi(image, mask, settings, label, channel), label, monitor);
}

std::map<int64_t, Features> extract_labels(const Image& image, const Mask& mask, const Settings& settings,
                                           const std::vector<int64_t>& labels, Monitor* monitor, int64_t channel) {
  const Features prepared = empty_features(settings);
  const std::map<int64_t, Box> boxes = boxes_of(mask.tensor());
  std::vector<int64_t> wanted(labels);
  if (wanted.empty())
    for (const auto& [label, box] : boxes) wanted.push_back(label);
  if (wanted.empty()) throw InvalidArgument("the mask is empty: every voxel is 0, so there is nothing to extract from");
  std::ranges::sort(wanted);
  wanted.erase(std::ranges::unique(wanted).begin(), wanted.end());

  std::vector<Box> places;
  std::vector<int64_t> voxels;
  for (const int64_t label : wanted) {
    const auto found = boxes.find(label);
    if (found == boxes.end()) {
      mask.select(label);  // throws, with the labels that are there; 0, the background, is one to be extracted by name
      places.push_back(*box_of(mask.tensor(), label));
    } else {
      places.push_back(found->second);
    }
    voxels.push_back(places.back().count[0] * places.back().count[1] * places.back().count[2]);
  }
  mask.geometry().require_same(image.geometry(), "the mask", "the image");
  SharedGrid grid;
  if (channel >= 0 && channel < image.channels())
    grid = share_grid(image, settings, places, margin_of(settings), channel);

  std::map<int64_t, Features> out;
  for (const int64_t label : wanted) out[label] = {};
  for_all(static_cast<int64_t>(wanted.size()), voxels, monitor, [&](int64_t i, Monitor* progress) {
    const Roi roi(image, mask, settings, wanted[i], channel, &places[i], &grid);
    out.at(wanted[i]) = filled(prepared, roi, wanted[i], progress);
  });
  return out;
}

std::map<int64_t, Features> extract_channels(const Image& image, const Mask& mask, const Settings& settings,
                                             int64_t label, const std::vector<int64_t>& channels, Monitor* monitor) {
  const Features prepared = empty_features(settings);
  std::vector<int64_t> wanted(channels);
  if (wanted.empty()) {
    wanted.resize(image.channels());
    std::iota(wanted.begin(), wanted.end(), 0);
  }
  std::map<int64_t, Features> out;
  for (const int64_t channel : wanted) out[channel] = {};
  const std::optional<Box> box = box_of(mask.tensor(), label);  // nothing: Roi says it
  for_all(static_cast<int64_t>(wanted.size()), std::vector<int64_t>(wanted.size(), 1), monitor,
          [&](int64_t i, Monitor* progress) {
            const Roi roi(image, mask, settings, label, wanted[i], box ? &*box : nullptr);
            out.at(wanted[i]) = filled(prepared, roi, label, progress);
          });
  return out;
}

std::map<int64_t, Features> extract_slices(const Image& image, const Mask& mask, const Settings& settings,
                                           int64_t label, Monitor* monitor, int64_t channel) {
  Settings in_plane = settings;
  if (in_plane.resample) (*in_plane.resample)[0] = 0;
  const Features prepared = empty_features(in_plane);
  mask.geometry().require_same(image.geometry(), "the mask", "the image");
  const std::optional<Box> box = box_of(mask.tensor(), label);
  if (!box) mask.select(label);  // throws
  std::vector<int64_t> slices;
  std::vector<Box> boxes;
  for (int64_t z = box->start[0]; z < box->start[0] + box->count[0]; ++z)
    if (const auto found = box_of(mask.tensor().narrow(0, z, 1), label)) slices.push_back(z), boxes.push_back(*found);
  std::vector<int64_t> voxels;
  for (const Box& slice : boxes) voxels.push_back(slice.count[1] * slice.count[2]);
  const auto slice_of = [](const Image& of, int64_t z) {
    const auto& size = of.geometry().size;
    return crop(of, {z, 0, 0}, {1, size[1], size[2]});
  };
  std::map<int64_t, Features> out;
  for (const int64_t z : slices) out[z] = {};
  for_all(static_cast<int64_t>(slices.size()), voxels, monitor, [&](int64_t i, Monitor* progress) {
    const Image slice = slice_of(image, slices[i]);
    const Mask outline(mask.tensor().narrow(0, slices[i], 1), slice.geometry());
    const Roi roi(slice, outline, in_plane, label, channel, &boxes[i]);
    out.at(slices[i]) = filled(prepared, roi, label, progress);
  });
  return out;
}

}  // namespace vesalius::radiomics
