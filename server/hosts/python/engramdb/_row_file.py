# SPDX-License-Identifier: Apache-2.0
"""Files of float32 rows."""

from __future__ import annotations

import ast
import os
import struct
from typing import Any, BinaryIO

import numpy as np

from ._errors import DataLoss, InvalidArgument
from ._results import FloatArray, Path

FLOAT = np.dtype("<f4")
NPY_LENGTHS = {b"\x01\x00": "<H", b"\x02\x00": "<I"}  # of the header's length, by version
LONGEST_NPY_HEADER = 10_000  # as NumPy reads them; one of rows takes a hundred bytes


class RowFile:
    """Rows as their file's name says: ``.npy``, ``.fbin``, ``.fvecs``; any other is raw, without a header.

    begin: bytes before the first row. are_adjacent: nothing lies between rows, so that the file may be mapped. read() does
    not map it, so that one that shrinks is an error.
    """

    def __init__(self, file: Path, dim: int) -> None:
        """Raises InvalidArgument where the file does not hold rows of ``dim`` float32 and nothing else; OSError."""
        self.path = os.fspath(file)
        self.dim = dim
        suffix = os.path.splitext(self.path)[1].lower()
        self.begin = 0
        self.are_adjacent = suffix != ".fvecs"
        self._lead = 0 if self.are_adjacent else 1  # numbers before each row
        if dim < 1:
            raise InvalidArgument(f"a row has at least one dimension, got {dim}")
        with open(self.path, "rb") as opened:
            self._identity = identity(opened.fileno())
            size = self._identity[2]
            if suffix == ".npy":
                self.begin = npy_begin(self.path, opened, dim, size)
            elif suffix == ".fbin":
                self.begin = fbin_begin(self.path, opened.read(8), dim, size)
        row_bytes = FLOAT.itemsize * (self._lead + dim)
        if (size - self.begin) % row_bytes != 0:
            raise InvalidArgument(
                f"{self.path} has {size - self.begin} bytes of rows, which is no whole number of rows of {dim} float32"
            )
        self._row_bytes = row_bytes
        self._count = (size - self.begin) // row_bytes

    def __len__(self) -> int:
        return self._count

    def read(self, first: int, end: int) -> FloatArray:
        """Rows from ``first`` to before ``end``, [end - first, dim]. Raises DataLoss for a file that has changed."""
        with open(self.path, "rb") as opened:
            opened.seek(self.begin + first * self._row_bytes)
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


def npy_begin(path: str, opened: BinaryIO, dim: int, size: int) -> int:
    """Where the first row is, of a file that has exactly what its header says."""
    header = npy_header(path, opened)
    kind, is_fortran, shape = (header.get(name) for name in ("descr", "fortran_order", "shape"))
    if kind != FLOAT.str:
        raise InvalidArgument(f"{path} holds numbers of type {kind}, expected little-endian float32, {FLOAT.str}")
    if not isinstance(shape, tuple) or len(shape) != 2 or type(shape[0]) is not int or shape[0] < 0 or shape[1] != dim:
        raise InvalidArgument(f"{path} holds an array of the shape {shape}, expected rows of {dim} dimensions, (n, {dim})")
    if is_fortran is not False:
        raise InvalidArgument(f"{path} is in Fortran's order, column by column: expected C's order, row by row")
    begin = opened.tell()
    expected = begin + FLOAT.itemsize * shape[0] * dim
    if size != expected:
        raise InvalidArgument(f"{path} has {size} bytes, its header says {expected}")
    return begin


def npy_header(path: str, opened: BinaryIO) -> dict[Any, Any]:
    """What it says of the array that follows."""
    magic = opened.read(8)
    if magic.startswith(b"PK\x03\x04"):
        raise InvalidArgument(f"{path} is a zip archive, as .npz files are: save the array of rows by itself")
    if len(magic) < 8 or magic[:6] != b"\x93NUMPY":
        raise InvalidArgument(f"{path} is no .npy file")
    if magic[6:] not in NPY_LENGTHS:
        raise InvalidArgument(f"{path} is of version {magic[6]}.{magic[7]} of .npy, expected 1.0 or 2.0")
    length = struct.Struct(NPY_LENGTHS[magic[6:]])
    length_bytes = opened.read(length.size)
    (wanted,) = length.unpack(length_bytes) if len(length_bytes) == length.size else (0,)
    text = opened.read(min(wanted, LONGEST_NPY_HEADER))
    try:
        header = ast.literal_eval(text.decode("latin1").strip())
    except Exception as error:  # whatever Python's parser makes of nonsense
        raise InvalidArgument(f"{path} has a header that is none of .npy: {error}") from error
    if len(text) != wanted or not isinstance(header, dict):
        raise InvalidArgument(f"{path} has a header that is none of .npy")
    return header


def fbin_begin(path: str, header: bytes, dim: int, size: int) -> int:
    """The same of a file whose header is the numbers of rows and of dimensions."""
    rows, of_file = struct.unpack("<II", header) if len(header) == 8 else (0, 0)
    if of_file != dim or size != 8 + FLOAT.itemsize * rows * of_file:
        raise InvalidArgument(f"{path} says that it has {rows} rows of {of_file} dimensions, expected {dim}, and their bytes")
    return 8
