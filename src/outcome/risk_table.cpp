// SPDX-License-Identifier: Apache-2.0
#include "outcome/risk_table.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <numeric>

#include <ATen/ops/special_gammaincc.h>
#include <ATen/ops/special_ndtri.h>

#include <vesalius/core/error.h>
#include <vesalius/outcome/detail/cholesky.h>

#include "outcome/common.h"

namespace vesalius::outcome {

RiskTable risk_table(const RiskInput& in) {
  std::vector<int64_t> all(in.size());
  std::iota(all.begin(), all.end(), 0);
  return risk_table(in, all);
}

RiskTable risk_table(const RiskInput& in, const std::vector<int64_t>& members) {
  std::vector<int64_t> order, entries;
  for (int64_t i : members)
    if (in.weight[i] > 0) order.push_back(i);
  std::sort(order.begin(), order.end(), [&](int64_t a, int64_t b) { return in.time[a] < in.time[b]; });
  if (!in.entry.empty()) {
    entries = order;
    std::sort(entries.begin(), entries.end(), [&](int64_t a, int64_t b) { return in.entry[a] < in.entry[b]; });
  }
  RiskTable out;
  out.groups = in.groups;
  out.kinds = in.kinds;
  for (int64_t i : order)
    if (out.time.empty() || in.time[i] != out.time.back()) out.time.push_back(in.time[i]);
  out.rows = static_cast<int64_t>(out.time.size());
  const int64_t g = in.groups;
  out.at_risk.resize(static_cast<size_t>(out.rows * g));
  out.count.assign(static_cast<size_t>(out.rows * g * in.kinds), 0.0);
  out.empties.resize(static_cast<size_t>(out.rows * g));
  const auto group_of = [&](int64_t i) { return in.group.empty() ? int64_t{0} : in.group[i]; };
  std::vector<double> weight(g, 0.0);
  std::vector<int64_t> heads(g, 0), dead(g);
  int64_t next = static_cast<int64_t>(order.size()) - 1, late = static_cast<int64_t>(entries.size()) - 1;
  for (int64_t row = out.rows; row-- > 0;) {
    std::fill(dead.begin(), dead.end(), 0);
    for (; next >= 0 && in.time[order[next]] == out.time[row]; --next) {
      const int64_t i = order[next], a = group_of(i);
      weight[a] += in.weight[i];
      ++heads[a];
      dead[a] += in.kind[i] > 0;
      out.count[(row * g + a) * in.kinds + in.kind[i]] += in.weight[i];
    }
    for (; late >= 0 && in.entry[entries[late]] >= out.time[row]; --late) {
      const int64_t a = group_of(entries[late]);
      weight[a] -= in.weight[entries[late]];
      if (--heads[a] == 0) weight[a] = 0;
    }
    for (int64_t a = 0; a < g; ++a) {
      out.at_risk[row * g + a] = weight[a];
      out.empties[row * g + a] = heads[a] > 0 && dead[a] == heads[a];
    }
  }
  return out;
}

RiskInput risk_input(const at::Tensor& time_in, std::vector<int64_t> kind, const std::optional<at::Tensor>& weights,
                     const std::optional<at::Tensor>& entry_in) {
  const auto time = checked_vector(time_in, -1, "time");
  const int64_t n = time.size(0);
  if (n == 0) throw InvalidArgument("time is empty");
  if (static_cast<int64_t>(kind.size()) != n)
    throw ShapeError("time has " + std::to_string(n) + " subjects and event " + std::to_string(kind.size()) +
                     ": they must be of one length");
  RiskInput out;
  out.time.assign(span_of(time).begin(), span_of(time).end());
  for (double t : out.time)
    if (t < 0) throw InvalidArgument("time must not be negative: follow-up starts at 0");
  out.weight = checked_weights(weights, n);
  out.kind = std::move(kind);
  for (int64_t k : out.kind) out.kinds = std::max(out.kinds, k + 1);
  if (entry_in) {
    const auto entry = checked_vector(*entry_in, n, "entry");
    out.entry.assign(span_of(entry).begin(), span_of(entry).end());
    int64_t bad = 0;
    for (int64_t i = 0; i < n; ++i) bad += !(out.entry[i] < out.time[i]);
    if (bad)
      throw InvalidArgument("entry must be before time: " + std::to_string(bad) +
                            " subjects leave observation no later than they enter it. Leave them out");
  }
  return out;
}

std::vector<int64_t> event_kinds(const at::Tensor& event, int64_t n) {
  std::vector<int64_t> out;
  for (char e : checked_binary(event, n, "event")) out.push_back(e);
  return out;
}

std::vector<int64_t> label_codes(const at::Tensor& labels, int64_t n, const std::string& what,
                                 std::vector<int64_t>& names) {
  const auto vector = checked_vector(labels, n, what);
  std::vector<int64_t> out;
  for (double v : span_of(vector)) {
    if (v != std::floor(v)) throw InvalidArgument(what + " must be whole numbers; it holds " + std::to_string(v));
    out.push_back(static_cast<int64_t>(v));
  }
  std::map<int64_t, int64_t> number;
  for (int64_t v : out) number[v] = 0;
  names.clear();
  for (auto& [v, code] : number) code = static_cast<int64_t>(names.size()), names.push_back(v);
  for (auto& v : out) v = number[v];
  return out;
}

double two_sided_normal(double confidence) {
  if (!(confidence > 0 && confidence < 1))
    throw InvalidArgument("confidence must lie between 0 and 1; it is " + std::to_string(confidence));
  return at::special_ndtri(tensor_of({0.5 + confidence / 2})).item<double>();
}

double chi_squared_tail(double x, int64_t degrees_of_freedom) {
  return at::special_gammaincc(tensor_of({0.5 * static_cast<double>(degrees_of_freedom)}), tensor_of({0.5 * x}))
      .item<double>();
}

double quadratic_form(const std::vector<double>& u, const std::vector<double>& v, const std::vector<int64_t>& kept) {
  const int64_t k = static_cast<int64_t>(u.size()), m = static_cast<int64_t>(kept.size());
  std::vector<double> inner(static_cast<size_t>(m * m)), right(static_cast<size_t>(m)), solved;
  for (int64_t a = 0; a < m; ++a) {
    right[a] = u[kept[a]];
    for (int64_t b = 0; b < m; ++b) inner[a * m + b] = v[kept[a] * k + kept[b]];
  }
  if (detail::cholesky(inner, m, 1e-12) >= 0) return -1;
  solved = right;
  detail::cholesky_solve(inner, m, solved.data());
  double out = 0;
  for (int64_t a = 0; a < m; ++a) out += right[a] * solved[a];
  return out;
}

}  // namespace vesalius::outcome
