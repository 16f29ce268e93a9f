# SPDX-License-Identifier: Apache-2.0
"""Reading and writing images and masks."""

from __future__ import annotations
