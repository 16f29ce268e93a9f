# SPDX-License-Identifier: Apache-2.0
"""Figures."""

from __future__ import annotations
