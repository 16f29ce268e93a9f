// SPDX-License-Identifier: Apache-2.0
// No include guard: brier_lanes.cpp includes this once for each instruction set, each time in a namespace of its own.
#include "outcome/lanes_types.h"

/// What subject i is worth at eight times: known by then (place < upto) or still followed.
struct Terms {
  Lanes value, null;
  LaneBits known;
};

inline void terms_of(const BrierLanes& d, int64_t i, Terms& to) {
  const Lanes risk = in(d.risk + 8 * i);
  const double target = d.is_case[i] ? 1.0 : 0.0;
  to.known = *reinterpret_cast<const LaneBitsAt*>(d.upto) > static_cast<long long>(i);
  const Lanes inverse = Lanes{} + d.inverse[i], late = in(d.late_weight) * d.weight[i], off = target - risk;
  const Lanes weight = to.known ? inverse : late, distance = to.known ? off : risk;
  to.value = weight * distance * distance;
  const Lanes miss = in(d.miss), seen = in(d.is_case[i] ? d.hit : d.miss);
  to.null = weight * (to.known ? seen : miss);
}

/// Loads of the curve's positions [positions, 8], the sums over all, and what those still followed give.
/// False if a risk is no probability.
inline bool loads(const BrierLanes& d, double* load, double* null_load, double* sum, double* late, double* null_late) {
  Lanes all{}, after{}, null_after{};
  LaneBits right = ~LaneBits{};
  const Lanes zero{};
  for (int64_t i = 0; i < d.n; ++i) {
    Terms t;
    terms_of(d, i, t);
    const Lanes risk = in(d.risk + 8 * i);
    right &= (risk >= -1e-9) & (risk <= 1 + 1e-9);
    all += t.value;
    after += t.known ? zero : t.value;
    null_after += t.known ? zero : t.null;
    if (d.inverse[i] == 0) continue;
    out(load + 8 * d.position[i]) += t.known ? t.value : zero;
    out(null_load + 8 * d.position[i]) += t.known ? t.null : zero;
  }
  out(sum) = all, out(late) = after, out(null_late) = null_after;
  long long every = -1;
  for (int l = 0; l < 8; ++l) every &= right[l];
  return every != 0;
}

/// Of loads [falls + 1, 8]: what one who falls adds, own [falls + 1, 8], and what one at risk at the first so many falls takes, gone
/// (see CurveInfluence::terms).
inline void moves(int64_t falls, const double* per_fall, const double* per_risk, const double* load, double* own,
                  double* gone) {
  Lanes later{};
  out(gone) = later, out(own + 8 * falls) = later;
  for (int64_t c = falls; c-- > 0;) {
    later += in(load + 8 * (c + 1));
    out(own + 8 * c) = later * per_fall[c];
    out(gone + 8 * (c + 1)) = later * per_risk[c];
  }
  for (int64_t c = 0; c < falls; ++c) out(gone + 8 * (c + 1)) += in(gone + 8 * c);
}

/// Influences: Σ of their squares and of those of the scaled score; share-weighted sums to `total`; themselves to `keep`.
inline void influences(const BrierLanes& d, const double* own, const double* gone, const double* null_own,
                       const double* null_gone, const double* share, double* variance, double* scaled_variance,
                       double* total, double* null_total, double* keep) {
  Lanes sum{}, scaled_sum{};
  const Lanes mean = in(d.mean), null_mean = in(d.null_mean), slope = in(d.slope), part = in(share);
  for (int64_t i = 0; i < d.n; ++i) {
    Terms t;
    terms_of(d, i, t);
    Lanes move{}, null_move{};
    if (own) {
      const int64_t fall = d.fall[i], risk = d.at_risk[i];
      move = in(own + 8 * fall) - in(gone + 8 * risk);
      null_move = in(null_own + 8 * fall) - in(null_gone + 8 * risk);
    }
    const Lanes l = t.value + d.weight[i] * (move - mean), null = t.null + d.weight[i] * (null_move - null_mean);
    sum += l * l;
    const Lanes scaled = slope * null - l;
    scaled_sum += scaled * scaled;
    if (keep) out(keep + 8 * i) = l;
    const Lanes a = part * l, b = part * null;
    total[i] = ((a[0] + a[1]) + (a[2] + a[3])) + ((a[4] + a[5]) + (a[6] + a[7]));
    null_total[i] = ((b[0] + b[1]) + (b[2] + b[3])) + ((b[4] + b[5]) + (b[6] + b[7]));
  }
  out(variance) = sum, out(scaled_variance) = scaled_sum;
}
