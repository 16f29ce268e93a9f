# SPDX-License-Identifier: Apache-2.0
"""Segmentation methods, models and measures."""

from __future__ import annotations
