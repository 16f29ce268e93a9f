# SPDX-License-Identifier: Apache-2.0
"""The HTML report of a study."""

from __future__ import annotations
