# SPDX-License-Identifier: Apache-2.0
"""A vector index over a file of rows."""

from __future__ import annotations

import os
from typing import Any, Optional

import numpy.typing as npt

from ._closing import Closing
from ._errors import InvalidArgument
from ._index import Index
from ._opened import open_store
from ._results import Path
from ._row_file import RowFile
from ._words import words_of

# Rows that are given to the engine at once.
ROWS_AT_ONCE = 8192


class VectorDB(Closing):
    """Approximate search over a file of float32 rows: raw, one after the other without a header, or ``.npy``, ``.fbin`` or
    ``.fvecs``. The file is not changed.

    The engine maps the file, and does not copy rows that lie in memory as they lie there: under l2 and dot, and under
    cosine if their length is one, where ``dim`` is a multiple of 16, and build_index() was called for the rows from 0 on,
    one after the other. All others are copied into memory, and so are those of ``.fvecs``, which has a number before each.
    A mapped file that is changed, cut, replaced or removed is DataLoss at the next call.
    """

    def __init__(
        self,
        file: Path,
        dim: int,
        M: int = 16,
        ef_construction: int = 200,
        *,
        metric: str = "cosine",
        primitive: str = "hnsw",
        **options: Any,
    ) -> None:
        """M, ef_construction: of hnsw. options: of the primitive (``quant="sq4"`` keeps codes in memory, and reads few rows
        of the file for a search). Raises InvalidArgument where the file does not hold whole rows; OSError.
        """
        self._rows = RowFile(file, dim)
        if primitive == "hnsw":
            options = {"m": M, "ef_construction": ef_construction, **options}
        place = open_store("", 0, "everysec")
        words = words_of({"metric": metric, "primitive": primitive, **options})
        mapped = os.path.abspath(self._rows.path) if self._rows.are_adjacent and self._rows.begin % 4 == 0 else ""
        place.create("index", dim, words, mapped, self._rows.begin)
        self._index = Index._bind(place, "index", f"over {self._rows.path}", owns_place=True)

    @property
    def index(self) -> Index:
        """What holds the rows, under their numbers as keys ("0", "1" ...): for filters, batches, recalls."""
        return self._index

    @property
    def is_mapped(self) -> bool:
        """Whether rows may stay in the file: they lie in memory as they lie there."""
        return self._index.info()["rows"] == "file"

    def __len__(self) -> int:
        """Rows that can be found."""
        return len(self._index)

    def build_index(self, begin: int = 0, end: Optional[int] = None) -> None:
        """Lets the rows from ``begin`` to before ``end`` (all, without it) be found, beside those that can be already.

        Raises InvalidArgument for rows that the file does not have, or that are no vectors of finite numbers; DataLoss.
        """
        last = len(self._rows) if end is None else end
        if not 0 <= begin <= last <= len(self._rows):
            raise InvalidArgument(f"rows {begin} to {last} are not among the {len(self._rows)} of the file")
        for first in range(begin, last, ROWS_AT_ONCE):
            rows = self._rows.read(first, min(first + ROWS_AT_ONCE, last))
            self._index.add([str(first + i) for i in range(len(rows))], rows)

    def search(self, query: npt.ArrayLike, k: int = 10, *, ef: Optional[int] = None) -> list[tuple[int, float]]:
        """The k rows nearest to a query [dim]: their numbers in the file, counted from 0, and distances, closest first."""
        keys, distances = self._index.search(query, k, ef=ef)
        return [(int(key), float(distance)) for key, distance in zip(keys, distances)]

    def close(self) -> None:
        """Frees the index."""
        self._index.close()
