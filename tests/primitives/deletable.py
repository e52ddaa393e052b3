#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Deletes each primitive in turn, in a copy of the tree: the rest must do without it.

  tests/primitives/deletable.py [--build [NAME]...]

A primitive is its folder and its name in Meson's list. For each, the copy is searched for includes of the
deleted folder and configured; without those that --build names (by default hopfield, by which others recall, and
hnsw, by which others find candidates) it is also built, and the suites of primitives run. CC and CXX choose
the compilers. Exits with 1 if anything fails."""

import argparse
import contextlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LIST = "primitives/meson.build"
SUITES = (["conformance_test"], ["primitives_test", "--test-suite-exclude=long"])
# As the quick suites are built: what does not know the primitive comes from the cache of the compiler, if there is one.
OPTIONS = ("-Dbenchmarks=false",)
# A sample of the variants: the same code as elsewhere, all of which runs there.
ENVIRONMENT = {"ENGRAM_VARIANT_STEP": "43"}


def names():
    """A primitive's folder is the one in which it registers itself."""
    folders = sorted(path for path in (ROOT / "primitives").iterdir() if path.is_dir())
    return [path.name for path in folders if path.name != "shared"]


def copy_tree(target):
    tracked = subprocess.check_output(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"], cwd=ROOT, text=True
    )
    for name in filter(None, tracked.split("\0")):
        if (ROOT / name).is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, target / name)


@contextlib.contextmanager
def deleted(tree, name, aside):
    """Within, the tree is without the primitive. What does not know of it is not built again for the next."""
    folder, names_file = tree / "primitives" / name, tree / LIST
    text = names_file.read_text(encoding="utf-8")
    without, count = re.subn(rf"'{name}',?\s*", "", text, count=1)
    if count != 1:
        raise ValueError(f"{LIST} does not list {name}")
    names_file.write_text(without, encoding="utf-8")
    folder.rename(aside / name)
    yield
    (aside / name).rename(folder)
    names_file.write_text(text, encoding="utf-8")


def users_of(tree, name):
    """Files outside of a primitive's own tests that include from its folder."""
    for folder in ("core", "primitives", "server", "experiments", "tests"):
        for path in sorted((tree / folder).rglob("*")):
            if path.suffix not in (".cc", ".h") or path.is_relative_to(tree / "tests/primitives" / name):
                continue
            if f'"primitives/{name}/' in path.read_text(encoding="utf-8"):
                yield path.relative_to(tree)


def run(command, tree, **environment):
    done = subprocess.run(
        command, cwd=tree, env={**os.environ, "CCACHE_BASEDIR": str(tree), **environment}, text=True, capture_output=True, check=False
    )
    if done.returncode != 0:
        print(done.stdout[-4000:], done.stderr[-4000:], sep="\n")
    return done.returncode == 0


def stands(tree, name, builds):
    """Whether the tree, without the primitive, is one that others can work with."""
    users = list(users_of(tree, name))
    for user in users:
        print(f"{user} includes from primitives/{name}/")
    again = ["--reconfigure"] if (tree / "build/build.ninja").exists() else []
    if users or not run(["meson", "setup", "build", *again, *OPTIONS], tree):
        return False
    if not builds:
        return True
    programs = [f"tests/primitives/{suite[0]}" for suite in SUITES]
    return run(["ninja", "-C", "build", *programs], tree) and all(
        run([f"build/{program}", *suite[1:]], tree, **ENVIRONMENT)
        for program, suite in zip(programs, SUITES)
    )


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--build", nargs="*", default=["hopfield", "hnsw"], metavar="NAME")
    built = parser.parse_args().build
    failed = 0
    with tempfile.TemporaryDirectory(prefix="engram-deletable-") as directory:
        tree, aside = Path(directory, "tree"), Path(directory, "aside")
        aside.mkdir()
        copy_tree(tree)
        for name in names():
            with deleted(tree, name, aside):
                stands_without = stands(tree, name, name in built)
            how = "built and tested" if name in built else "configured"
            print(f"without {name}: {how if stands_without else 'FAILED'}", flush=True)
            failed += not stands_without
    sys.exit(failed > 0)


if __name__ == "__main__":
    main()
