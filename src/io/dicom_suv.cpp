// SPDX-License-Identifier: Apache-2.0
// Body-weight SUV: QIBA FDG-PET/CT, "SUV vendor-neutral pseudo-code" (https://qibawiki.rsna.org, 2012).
#include <cmath>
#include <ctime>

#include <vesalius/core/error.h>

#include "io/dicom_stack.h"

namespace vesalius::io::detail {
namespace {

/// Seconds since 1970 of a DICOM date (YYYYMMDD) and time (HHMMSS.ffffff), without a zone.
std::optional<double> seconds_of(const std::string& date, const std::string& time) {
  if (date.size() < 8 || time.size() < 2) return std::nullopt;
  const auto number = [](const std::string& text, size_t from, size_t count) {
    int out = 0;
    for (size_t i = from; i < from + count; ++i)
      out = i < text.size() && text[i] >= '0' && text[i] <= '9' ? out * 10 + (text[i] - '0')
            : i < text.size()                                   ? -100000
                                                                : out * 10;
    return out;
  };
  std::tm when{};
  when.tm_year = number(date, 0, 4) - 1900, when.tm_mon = number(date, 4, 2) - 1, when.tm_mday = number(date, 6, 2);
  when.tm_hour = number(time, 0, 2), when.tm_min = number(time, 2, 2), when.tm_sec = number(time, 4, 2);
  if (when.tm_year < 0 || when.tm_mon < 0 || when.tm_mon > 11 || when.tm_mday < 1 || when.tm_mday > 31 ||
      when.tm_hour < 0 || when.tm_hour > 23 || when.tm_min < 0 || when.tm_min > 59 || when.tm_sec < 0 ||
      when.tm_sec > 60)
    return std::nullopt;
  double fraction = 0, scale = 0.1;
  if (time.size() > 7 && time[6] == '.')
    for (size_t i = 7; i < time.size() && time[i] >= '0' && time[i] <= '9'; ++i, scale /= 10)
      fraction += (time[i] - '0') * scale;
  return static_cast<double>(timegm(&when)) + fraction;
}

/// The time that the values are decay-corrected to with DecayCorrection START.
double scan_time(const std::vector<Plane>& planes, const std::string& path) {
  const DataSet& d = planes.front().file->data();
  const auto series = seconds_of(d.text(0x00080021), d.text(0x00080031));
  if (!series)
    throw FormatError(path +
                      ": SUV needs SeriesDate (0008,0021) and SeriesTime (0008,0031), which are missing or no times");
  for (const Plane& p : planes) {
    const DataSet& file = p.file->data();
    const auto acquired =
        seconds_of(file.has(0x00080022) ? file.text(0x00080022) : file.text(0x00080021), file.text(0x00080032));
    if (!acquired || *acquired >= *series) continue;
    // The series' time was changed by later processing: GE keeps the scan's own.
    const std::string own = d.text(0x0009100d);
    if (d.text(0x00090010) == "GEMS_PETD_01" && own.size() >= 14)
      if (const auto ge = seconds_of(own.substr(0, 8), own.substr(8))) return *ge;
    throw FormatError(path +
                      ": SeriesTime (0008,0031) is later than an AcquisitionTime (0008,0032), so that it is not the "
                      "scan's start to which decay was corrected; the SUV can't be computed");
  }
  return *series;
}

double injection_time(const DataSet& d, const DataSet& dose, double scan, const std::string& path) {
  const std::string full = dose.text(0x00181078);
  if (full.size() >= 14)
    if (const auto out = seconds_of(full.substr(0, 8), full.substr(8))) return *out;
  auto out = seconds_of(d.text(0x00080021), dose.text(0x00181072));
  if (!out)
    throw FormatError(path + ": RadiopharmaceuticalStartTime (0018,1072) is no time: \"" +
                      printable(dose.text(0x00181072)) + "\"");
  if (*out > scan) *out -= 86400;  // injected before midnight
  return *out;
}

}  // namespace

double suv_factor(const std::vector<Plane>& planes, const std::string& path) {
  const DataSet& d = planes.front().file->data();
  if (d.text(0x00080060) != "PT")
    throw InvalidArgument(path + ": suv=True needs PET (Modality PT); this is \"" + printable(d.text(0x00080060)) +
                          "\"");
  const std::string units = d.text(0x00541001);
  if (units == "GML") {
    if (const std::string kind = d.text(0x00541006); !kind.empty() && kind != "BW")
      throw NotSupported(path + ": holds SUV of type " + printable(kind) + ", not of body weight (BW)");
    return 1;
  }
  double to_bqml = 1;
  if (units == "CNTS") {  // Philips' private factors
    const auto suv = d.number(0x70531000), activity = d.number(0x70531009);
    if (suv && *suv > 0) return *suv;
    if (!activity || *activity <= 0)
      throw FormatError(path +
                        ": its units are counts (CNTS), and Philips' SUV factor (7053,1000) and activity factor "
                        "(7053,1009) are both missing: SUV can't be computed");
    to_bqml = *activity;
  } else if (units != "BQML") {
    throw NotSupported(path + ": SUV is computed from Units (0054,1001) BQML, CNTS or GML; found \"" +
                       printable(units) + "\"");
  }
  const DataSet& dose = d.item(0x00540016);
  const std::string corrected = d.text(0x00280051), decay = d.text(0x00541102);
  std::string missing;
  const auto lacks = [&](bool absent, const char* name) {
    if (absent) missing += (missing.empty() ? "" : ", ") + std::string(name);
  };
  const auto weight = d.number(0x00101030), activity = dose.number(0x00181074), half_life = dose.number(0x00181075);
  lacks(!weight || *weight <= 0, "PatientWeight (0010,1030)");
  lacks(!activity || *activity <= 0, "RadionuclideTotalDose (0018,1074)");
  lacks(corrected.find("DECY") == std::string::npos, "DECY in CorrectedImage (0028,0051)");
  lacks(corrected.find("ATTN") == std::string::npos, "ATTN in CorrectedImage (0028,0051)");
  lacks(decay.empty(), "DecayCorrection (0054,1102)");
  if (decay != "ADMIN") {
    lacks(!half_life || *half_life <= 0, "RadionuclideHalfLife (0018,1075)");
    lacks(dose.text(0x00181072).empty() && dose.text(0x00181078).empty(),
          "RadiopharmaceuticalStartTime (0018,1072) or StartDateTime (0018,1078)");
  }
  if (!missing.empty()) throw FormatError(path + ": SUV needs what its header lacks: " + missing);
  double at_scan = *activity;
  if (decay == "START") {
    const double scan = scan_time(planes, path), elapsed = scan - injection_time(d, dose, scan, path);
    if (elapsed < 0 || elapsed > 2 * 86400)
      throw FormatError(path + ": the scan is " + short_number(elapsed / 3600) +
                        " h after the injection (RadiopharmaceuticalStartDateTime (0018,1078) against SeriesTime "
                        "(0008,0031)); expected 0 to 48 h");
    at_scan *= std::exp2(-elapsed / *half_life);
  } else if (decay != "ADMIN") {
    throw NotSupported(path + ": SUV needs DecayCorrection (0054,1102) START or ADMIN, found \"" + printable(decay) +
                       "\"");
  }
  return to_bqml * *weight * 1000 / at_scan;
}

}  // namespace vesalius::io::detail
