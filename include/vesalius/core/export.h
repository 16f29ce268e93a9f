// SPDX-License-Identifier: Apache-2.0
#pragma once

/// Everything else in libvesalius is hidden, so that two copies of ITK or HDF5 in one process
/// cannot see each other through us.
#define VESALIUS_API __attribute__((visibility("default")))
