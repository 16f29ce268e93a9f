// SPDX-License-Identifier: Apache-2.0
// No include guard: part of the kernels that are compiled once for each instruction set, each in a namespace of its own.

using Lanes = double __attribute__((vector_size(64)));
using LanesAt = double __attribute__((vector_size(64), aligned(8), may_alias));

using LaneBits = long long __attribute__((vector_size(64)));
using LaneBitsAt = long long __attribute__((vector_size(64), aligned(8), may_alias));

inline const LanesAt& in(const double* p) { return *reinterpret_cast<const LanesAt*>(p); }
inline LanesAt& out(double* p) { return *reinterpret_cast<LanesAt*>(p); }
