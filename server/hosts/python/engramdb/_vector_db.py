# SPDX-License-Identifier: Apache-2.0
"""A vector index over a raw file."""

from __future__ import annotations

import os
from typing import Optional

import numpy as np
import numpy.typing as npt

from ._errors import InvalidArgument
from ._index import Index
from ._results import Path

# Rows that are given to the engine at once.
ROWS_AT_ONCE = 8192


class VectorDB:
    """Approximate search over a file of raw float32 rows, one after the other, without a header.

    The file is mapped, not read, and is not changed. What build_index() takes of it is copied into an index in memory: the
    engine does not search mapped rows yet.
    """

    def __init__(
        self,
        file: Path,
        dim: int,
        M: int = 16,
        ef_construction: int = 200,
        *,
        metric: str = "cosine",
    ) -> None:
        """file: [n, dim] little-endian float32. M, ef_construction: of hnsw. Raises InvalidArgument where the file does
        not hold whole rows; OSError.
        """
        size = os.path.getsize(file)
        if dim < 1 or size % (4 * dim) != 0:
            raise InvalidArgument(f"{os.fspath(file)} has {size} bytes, which is no whole number of rows of {dim} float32")
        shape = (size // (4 * dim), dim)
        self._rows: npt.NDArray[np.float32] = (
            np.memmap(file, dtype="<f4", mode="r", shape=shape) if size else np.zeros(shape, dtype=np.float32)
        )
        self._index = Index(dim, metric=metric, m=M, ef_construction=ef_construction)

    def __len__(self) -> int:
        """Rows that can be found."""
        return len(self._index)

    def build_index(self, begin: int = 0, end: Optional[int] = None) -> None:
        """Lets the rows from ``begin`` to before ``end`` (all, without it) be found, beside those that can be already.

        Raises InvalidArgument for rows that the file does not have, or that are no vectors of finite numbers.
        """
        last = len(self._rows) if end is None else end
        if not 0 <= begin <= last <= len(self._rows):
            raise InvalidArgument(f"rows {begin} to {last} are not among the {len(self._rows)} of the file")
        for first in range(begin, last, ROWS_AT_ONCE):
            rows = self._rows[first : min(first + ROWS_AT_ONCE, last)]
            self._index.add([str(first + i) for i in range(len(rows))], rows)

    def search(self, query: npt.ArrayLike, k: int = 10, *, ef: Optional[int] = None) -> list[tuple[int, float]]:
        """The k rows nearest to a query [dim]: their numbers in the file, counted from 0, and distances, closest first."""
        keys, distances = self._index.search(query, k, ef=ef)
        return [(int(key), float(distance)) for key, distance in zip(keys, distances)]

    def close(self) -> None:
        """Frees the index."""
        self._index.close()
