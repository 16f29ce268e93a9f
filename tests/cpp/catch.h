// SPDX-License-Identifier: Apache-2.0
#pragma once

// torch has a CHECK of its own: let it come first, and go.
#include <c10/util/Logging.h>
#undef CHECK

#include <string>

// Catch2 2 (Debian 12, Ubuntu 22.04) and 3 (newer) differ in their headers and in the name of this matcher, for what we use.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
inline auto contains(const std::string& text) { return Catch::Matchers::ContainsSubstring(text); }
#else
#include <catch2/catch.hpp>
inline auto contains(const std::string& text) { return Catch::Matchers::Contains(text); }
#endif
