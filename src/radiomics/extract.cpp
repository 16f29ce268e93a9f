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

/// What the workers ask: only the caller's thread reports to the caller's monitor and asks it.
class Shared : public Monitor {
 public:
  explicit Shared(Monitor* monitor, int64_t done = 0) : monitor_(monitor), done_(done) {}
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
  std::atomic<int64_t> done_;
};

/// The values of one family, in the order of its columns.
std::vector<Value> values_of(const Family& family, const Roi& roi) {
  std::vector<Value> out;
  for (const Variant& variant : family.variants(roi.settings()))
    for (const Value& value : family.compute(roi, variant)) out.push_back(value);
  return out;
}

/// Those that share their work among the cores: they come first, one by one, where there are many cores.
bool is_wide(const Family& family) { return family.info.name == "morphology" || family.info.name == "local_intensity"; }

/// Those that find what another family made, and would wait for it if they were begun at the same time.
bool is_second(const Family& family) { return family.info.name == "gldzm" || family.info.name == "ngldm"; }

/// `work(k)` for each of `tasks`, one after the other in each of the threads. The first one's error is thrown.
template <class Work>
void share_out(const std::vector<size_t>& tasks, Shared& shared, const Work& work) {
  std::vector<std::exception_ptr> errors(tasks.size());
  std::atomic<size_t> next = 0;
  const int64_t threads = std::min<int64_t>(at::get_num_threads(), tasks.size());
  at::parallel_for(0, threads, 1, [&](int64_t, int64_t) {
    for (size_t at = next++; at < tasks.size(); at = next++) try {
        step(&shared, static_cast<int64_t>(at), static_cast<int64_t>(tasks.size()));
        work(tasks[at]);
      } catch (...) {
        errors[at] = std::current_exception();
        shared.stop();
      }
  });
  std::exception_ptr stopped;
  for (const auto& error : errors) try {
      if (error) std::rethrow_exception(error);
    } catch (const Cancelled&) {  // it may be that of those that were stopped by another's error
      stopped = std::current_exception();
    }
  if (stopped) std::rethrow_exception(stopped);
}

/// `features` with the values of `roi`. Families of a large region are worked on at the same time.
Features filled(Features features, const Roi& roi, int64_t label, Monitor* monitor) {
  constexpr size_t kLarge = 4000;  // voxels: less than a millisecond's work
  features.label = label;
  features.morphological_voxels = roi.morphological_voxels();
  features.intensity_voxels = static_cast<int64_t>(roi.voxels().size());
  const auto families = chosen_families(features.settings);
  const int64_t total = static_cast<int64_t>(families.size()) + 1;
  std::vector<std::vector<Value>> found(families.size());
  std::vector<size_t> one_by_one, together;
  const int64_t threads = at::get_num_threads();
  const bool split = threads > 1 && !at::in_parallel_region() && roi.voxels().size() >= kLarge && roi.device().is_cpu();
  for (size_t k = 0; k < families.size(); ++k)
    (split && (threads < 4 || !is_wide(*families[k])) ? together : one_by_one).push_back(k);
  Shared shared(monitor, 1);
  const auto work = [&](size_t k) {
    found[k] = values_of(*families[k], roi);
    shared.report_done(total, std::string(families[k]->info.name));
  };
  for (const size_t k : one_by_one) step(&shared, static_cast<int64_t>(k), total), work(k);
  std::ranges::stable_partition(together, [&](size_t k) { return !is_second(*families[k]); });
  if (!together.empty()) share_out(together, shared, work);
  features.values.reserve(features.columns.size());
  for (const auto& values : found)
    for (const Value& value : values) {
      const bool finite = std::isfinite(value.value);
      if (!finite)
        features.reasons[features.columns[features.values.size()].name] =
            value.reason ? value.reason
                         : "the result, or a sum on the way to it, is beyond the numbers that float64 holds";
      features.values.push_back(finite ? value.value : std::numeric_limits<double>::quiet_NaN());
    }
  step(monitor, total, total, "done");
  return features;
}

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
