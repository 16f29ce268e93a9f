# SPDX-License-Identifier: Apache-2.0
"""The study: one HDF5 file for images, masks, features, outcomes and their provenance."""

from __future__ import annotations
