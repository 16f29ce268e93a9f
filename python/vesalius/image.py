# SPDX-License-Identifier: Apache-2.0
"""Resampling, cropping, intensities, discretisation, components, distance, morphology."""

from __future__ import annotations
