// SPDX-License-Identifier: Apache-2.0
#pragma once

namespace vesalius::radiomics::detail {

/// The library is compiled for any x86-64. Loops that gain from wider vectors are compiled three times, and the widest
/// that the machine has is run: `vectorised([&] { … })`. `flatten` inlines what the loop calls, so that it is
/// compiled for the same vectors. With sanitizers, which take minutes for each, only the plain one is made.
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__CUDACC__) && !defined(__SANITIZE_ADDRESS__)

template <class Work>
[[gnu::target("avx512f,avx512dq,avx512bw,avx512vl,avx2,fma,bmi,bmi2,lzcnt,popcnt"), gnu::flatten,
  gnu::noinline]] void with_avx512(const Work& work) {
  work();
}
template <class Work>
[[gnu::target("avx2,fma,bmi,bmi2,lzcnt,popcnt"), gnu::flatten, gnu::noinline]] void with_avx2(const Work& work) {
  work();
}
template <class Work>
[[gnu::flatten, gnu::noinline]] void with_any(const Work& work) {
  work();
}

/// 0: baseline, 1: AVX2 with FMA, 2: AVX-512 (F, DQ, BW, VL).
inline int vector_level() {
  static const int level = [] {
    const bool two = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") && __builtin_cpu_supports("bmi") &&
                     __builtin_cpu_supports("bmi2");
    const bool three = two && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") &&
                       __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512vl");
    return three ? 2 : two ? 1 : 0;
  }();
  return level;
}

template <class Work>
void vectorised(const Work& work) {
  switch (vector_level()) {
    case 2:
      return with_avx512(work);
    case 1:
      return with_avx2(work);
    default:
      return with_any(work);
  }
}

#else

template <class Work>
void vectorised(const Work& work) {
  work();
}

#endif

}  // namespace vesalius::radiomics::detail
