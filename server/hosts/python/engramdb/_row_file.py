# SPDX-License-Identifier: Apache-2.0
"""Files of float32 rows."""

from __future__ import annotations

import os
import struct

import numpy as np
import numpy.typing as npt

from ._errors import DataLoss, InvalidArgument
from ._results import FloatArray, Path

FLOAT = np.dtype("<f4")


class RowFile:
    """Rows as their file's name says: ``.npy``, ``.fbin``, ``.fvecs``; any other is raw, without a header.

    The file is read by read(), never mapped, so that one that shrinks is an error.
    """

    def __init__(self, file: Path, dim: int) -> None:
        """Raises InvalidArgument where the file does not hold rows of ``dim`` float32 and nothing else; OSError."""
        self.path = os.fspath(file)
        self.dim = dim
        suffix = os.path.splitext(self.path)[1].lower()
        self.is_raw = suffix not in (".npy", ".fbin", ".fvecs")
        # Bytes before the first row, and numbers before each.
        self._begin, self._lead = 0, 1 if suffix == ".fvecs" else 0
        if dim < 1:
            raise InvalidArgument(f"a row has at least one dimension, got {dim}")
        with open(self.path, "rb") as opened:
            self._identity = identity(opened.fileno())
            size = self._identity[2]
            if suffix == ".npy":
                self._begin = npy_begin(self.path, dim)
            elif suffix == ".fbin":
                self._begin = fbin_begin(self.path, opened.read(8), dim)
        row_bytes = FLOAT.itemsize * (self._lead + dim)
        if (size - self._begin) % row_bytes != 0:
            raise InvalidArgument(
                f"{self.path} has {size - self._begin} bytes of rows, which is no whole number of rows of {dim} float32"
            )
        self._row_bytes = row_bytes
        self._count = (size - self._begin) // row_bytes

    def __len__(self) -> int:
        return self._count

    def read(self, first: int, end: int) -> FloatArray:
        """Rows from ``first`` to before ``end``, [end - first, dim]. Raises DataLoss for a file that has changed."""
        with open(self.path, "rb") as opened:
            opened.seek(self._begin + first * self._row_bytes)
            numbers = np.fromfile(opened, FLOAT, (end - first) * (self._lead + self.dim))
            if len(numbers) != (end - first) * (self._lead + self.dim) or identity(opened.fileno()) != self._identity:
                raise DataLoss(f"{self.path} is not what was opened: it has been changed, cut or replaced; open it again")
        rows = numbers.reshape(end - first, self._lead + self.dim)
        if self._lead and (rows[:, 0].view("<i4") != self.dim).any():
            raise InvalidArgument(f"{self.path} has rows of other than {self.dim} dimensions")
        return np.ascontiguousarray(rows[:, self._lead :], dtype=np.float32)


def identity(descriptor: int) -> tuple[int, int, int, int]:
    found = os.fstat(descriptor)
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def npy_begin(path: str, dim: int) -> int:
    """Where the first row is."""
    try:
        rows: npt.NDArray[np.float32] = np.load(path, mmap_mode="r")
    except (ValueError, EOFError) as error:
        raise InvalidArgument(f"{path} is no .npy file of rows: {error}") from error
    if not isinstance(rows, np.memmap) or rows.dtype != FLOAT or rows.ndim != 2 or not rows.flags.c_contiguous:
        raise InvalidArgument(f"{path} holds {rows.dtype} {list(rows.shape)}, expected float32 rows in C's order")
    if rows.shape[1] != dim:
        raise InvalidArgument(f"{path} has rows of {rows.shape[1]} dimensions, expected {dim}")
    return int(rows.offset)


def fbin_begin(path: str, header: bytes, dim: int) -> int:
    rows, of_file = struct.unpack("<II", header) if len(header) == 8 else (0, 0)
    if of_file != dim or os.path.getsize(path) != 8 + 4 * rows * of_file:
        raise InvalidArgument(f"{path} says that it has {rows} rows of {of_file} dimensions, expected {dim}, and their bytes")
    return 8
