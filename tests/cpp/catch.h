// SPDX-License-Identifier: Apache-2.0
#pragma once

// torch has a CHECK of its own: let it come first, and go.
#include <c10/util/Logging.h>
#undef CHECK

// Catch2 2 (Debian 12, Ubuntu 22.04) and 3 (newer) differ in their headers only, for what we use.
#if __has_include(<catch2/catch_all.hpp>)
#include <catch2/catch_all.hpp>
using Catch::Approx;
#else
#include <catch2/catch.hpp>
#endif
