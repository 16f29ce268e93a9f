// SPDX-License-Identifier: Apache-2.0
#include "outcome/brier_lanes.h"

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define VESALIUS_BRIER_X86
#endif

namespace vesalius::outcome {

namespace brier_lanes {

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wpsabi"
namespace plain {
#include "outcome/brier_kernel.h"
}
#ifdef VESALIUS_BRIER_X86
#pragma GCC push_options
#pragma GCC target("avx2,fma")
namespace avx2 {
#include "outcome/brier_kernel.h"
}
#pragma GCC pop_options
#pragma GCC push_options
#pragma GCC target("avx2,fma,avx512f,avx512dq,avx512vl")
namespace avx512 {
#include "outcome/brier_kernel.h"
}
#pragma GCC pop_options
#endif
#pragma GCC diagnostic pop

}  // namespace brier_lanes

const BrierKernel& brier_kernel() {
  static const BrierKernel chosen = [] {
    using namespace brier_lanes;
#ifdef VESALIUS_BRIER_X86
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
      return BrierKernel{avx512::loads, avx512::moves, avx512::influences};
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma"))
      return BrierKernel{avx2::loads, avx2::moves, avx2::influences};
#endif
    return BrierKernel{plain::loads, plain::moves, plain::influences};
  }();
  return chosen;
}

}  // namespace vesalius::outcome
