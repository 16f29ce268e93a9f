// SPDX-License-Identifier: Apache-2.0
#pragma once

// Loops for wide registers where the processor has them, without asking for them in the build: the body is compiled twice and
// chosen at run time. No fused multiply-add in either, so the bits are the same on every machine.
//
//   VESALIUS_BODY void f_body(float* x, int64_t n) { … }
//   VESALIUS_WIDE(f, (float* x, int64_t n), (x, n))

#define VESALIUS_BODY inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__GNUC__)
#define VESALIUS_WIDE(name, parameters, arguments)                                              \
  __attribute__((target("avx2"))) static void name##_avx2 parameters { name##_body arguments; } \
  static void name##_plain parameters { name##_body arguments; }                                \
  void name parameters {                                                                        \
    static const bool wide = __builtin_cpu_supports("avx2");                                    \
    if (wide)                                                                                   \
      name##_avx2 arguments;                                                                    \
    else                                                                                        \
      name##_plain arguments;                                                                   \
  }
#else
#define VESALIUS_WIDE(name, parameters, arguments) \
  void name parameters { name##_body arguments; }
#endif
