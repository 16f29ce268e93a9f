# SPDX-License-Identifier: Apache-2.0
"""Radiomics features as the IBSI defines them."""

from __future__ import annotations
