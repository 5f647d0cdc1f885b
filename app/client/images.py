"""The images of one version, ready to be searched and counted."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import pandas as pd

from workflows.data.version import SPLITS, in_natural_order

COLUMNS = ["image_id", "path", "sha256", "width", "height", "mode", "format", "label", "split", "group", "source"]
NO_SPLIT = "none"


@dataclass(frozen=True)
class Query:
    """Which images are wanted; empty fields filter nothing.

    Attributes:
        label: of this class.
        split: in this split, or `none` for those without one.
        text: with this in their path or id, in upper or lower case.
        among: one of these, in this order; None stands for all.
    """

    label: str = ""
    split: str = ""
    text: str = ""
    among: tuple[str, ...] | None = None


class Images:
    """The table of a version, with what pages count in it; all of it is computed once."""

    def __init__(self, table: pd.DataFrame) -> None:
        self.table = table[COLUMNS].set_index("image_id")

    def find(self, query: Query) -> pd.DataFrame:
        """Return the rows that match a query, in the order of their paths or of `query.among`."""
        table = self.table
        if query.among is not None:
            table = table.loc[[image for image in dict.fromkeys(query.among) if image in self._ids]]
        if query.label:
            table = table[table["label"] == query.label]
        if query.split:
            table = table[table["split"].isna() if query.split == NO_SPLIT else table["split"] == query.split]
        if query.text:
            wanted = query.text.casefold()
            names = self._names.reindex(table.index)
            table = table[names.str.contains(wanted, regex=False) | (table.index == wanted)]
        return table

    @cached_property
    def _ids(self) -> frozenset[str]:
        return frozenset(self.table.index)

    @cached_property
    def _names(self) -> pd.Series:
        return self.table["path"].str.casefold()

    @cached_property
    def counts(self) -> pd.DataFrame:
        """Number of images by class (rows, natural order) and `train`, `val`, `test`, `none`, `all`."""
        labelled = self.table[self.table["label"].notna()]
        counts = pd.crosstab(labelled["label"].astype(str), labelled["split"].fillna(NO_SPLIT).astype(str))
        rows = list(in_natural_order(set(counts.index)))
        counts = counts.reindex(index=rows, columns=[*SPLITS, NO_SPLIT], fill_value=0)
        return counts.assign(all=counts.sum(axis=1))

    @property
    def unlabelled(self) -> int:
        """Number of images without a label."""
        return int(self.table["label"].isna().sum())

    @cached_property
    def sizes(self) -> pd.DataFrame:
        """Number of images (`images`) of each `width` and `height`, the most frequent first; at most 2,000 rows."""
        sizes = self.table.groupby(["width", "height"]).size().rename("images").reset_index()
        if len(sizes) > 2000:  # of many different sizes, the nearest hundred pixels are enough
            coarse = self.table[["width", "height"]].floordiv(100).mul(100).add(50)
            sizes = coarse.groupby(["width", "height"]).size().rename("images").reset_index()
        return sizes.sort_values("images", ascending=False).head(2000).reset_index(drop=True)

    @cached_property
    def aspects(self) -> pd.Series:
        """Width divided by height of every image."""
        return self.table["width"] / self.table["height"]
