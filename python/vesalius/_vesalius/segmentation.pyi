# SPDX-License-Identifier: Apache-2.0
# Made by `make stubs`; not to be edited.
from __future__ import annotations
__all__: list[str] = list()
