# SPDX-License-Identifier: Apache-2.0
"""The table of all features, and what can be read from it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .._vesalius import radiomics as _core
from ._settings import Settings

if TYPE_CHECKING:
    import pandas as pd


def catalogue() -> pd.DataFrame:
    """Every feature that can be computed, one row each, indexed by name.

    Returns
    -------
    pandas.DataFrame
        code (IBSI), title, family, family_title, family_code, unit, aggregation (the words that apply), formula
        (LaTeX), reference (section of the IBSI 1 manual), pyradiomics (its name where it means the same).
    """
    import pandas as pd

    return pd.DataFrame(_core.catalogue()).set_index("name")


def families() -> list[str]:
    """The names of the families, for the setting of that name."""
    return _core.families()


def find_feature(name: str) -> dict[str, str]:
    """The catalogue's row of a feature, by IBSI tag, IBSI code or PyRadiomics name."""
    return _core.find_feature(name)


def columns(settings: Settings | None = None) -> list[str]:
    """The names of the features that `extract` will give with these settings, without extracting."""
    return [name for name, _ in _core.columns(settings or Settings())]
