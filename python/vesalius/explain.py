# SPDX-License-Identifier: Apache-2.0
"""Which features carry a model."""

from __future__ import annotations
