#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Rules of the house that no formatter knows. Prints one line for each breach; exits with 1 if there
are any.

  tests/tidy.py [root of the tree]
"""

import re
import sys
from pathlib import Path

# Imports point downward: a folder includes from itself and from those to the right of it.
FOLDERS = ("tests", "experiments", "server", "primitives", "core")
# The same for the rooms of server/. Neighbours in one tuple do not know each other.
ROOMS = (
    ("main",),
    ("hosts",),
    ("doors",),
    ("session",),
    ("commands",),
    ("requests",),
    ("engine",),
    ("filters",),
    ("durability",),
    ("config",),
    ("json", "resp"),
    ("metrics",),
    ("net", "runtime"),
)
MOST_LINES = 500
# What is tested from another language.
TESTED_BY = {
    "server/doors/grpc": "tests/e2e",
    "server/hosts/python": "tests/python",
    "server/hosts/module": "tests/e2e",
}
EXAMPLE = "tests/primitives/example/lsh.cc"
# Reports a broken invariant before it ends the process: there is nobody else to tell.
MAY_PRINT = {"core/assert.h"}

CODE = {".cc", ".h", ".c"}
SCRIPTS = {".py", ".sh"}
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)
PRINTING = re.compile(r"\bstd::(cout|cerr|clog)\b|\b(f?printf|f?puts|putchar)\s*\(|\bspdlog::|<iostream>")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")


class Tree:
    """The source files below a root, by their paths from there."""

    def __init__(self, root):
        self.texts = {
            path.relative_to(root).as_posix(): path.read_text(encoding="utf-8")
            for folder in (*FOLDERS, ".ci")
            for path in sorted((root / folder).rglob("*"))
            if path.suffix in CODE | SCRIPTS and "__pycache__" not in path.parts
        }

    def of(self, kinds, *folders):
        for path, text in self.texts.items():
            if Path(path).suffix in kinds and (not folders or path.split("/")[0] in folders):
                yield path, text


def room_rank(path):
    """The height of a room of server/ and its name; None outside of server/."""
    parts = path.split("/")
    if parts[0] != "server":
        return None
    room = "main" if len(parts) == 2 else parts[1]
    for rank, rooms in enumerate(ROOMS):
        if room in rooms:
            return rank, room
    return -1, room


def check_includes(tree):
    for path, text in tree.of(CODE):
        for target in INCLUDE.findall(text):
            if target not in tree.texts:
                yield path, f'"{target}" is no file of this tree; includes are from its root'
            elif problem := wrong_direction(path, target):
                yield path, f'includes "{target}": {problem}'


def wrong_direction(path, target):
    source_folder, target_folder = path.split("/")[0], target.split("/")[0]
    if FOLDERS.index(target_folder) < FOLDERS.index(source_folder):
        return f"{source_folder}/ lies below {target_folder}/"
    source, room = room_rank(path), room_rank(target)
    if source is None or room is None or source[1] == room[1]:
        return None
    if -1 in (source[0], room[0]):
        return "tests/tidy.py does not know the room; add it to ROOMS"
    if room[0] <= source[0]:
        return f"{source[1]} lies not above {room[1]}"
    return None


def check_tests(tree):
    """Every folder with sources has a folder of tests of the same name, or is included by a test. Primitives
    are exempt: the conformance suite finds them by itself."""
    test_folders = {path.rpartition("/")[0] for path, _ in tree.of({".cc", ".py"}, "tests")}
    included = {
        target.rpartition("/")[0]
        for _, text in tree.of(CODE, "tests")
        for target in INCLUDE.findall(text)
    }
    sources = {path.rpartition("/")[0] for path, _ in tree.of({".cc"}, "core", "server")}
    for folder in sorted(sources - {"server"}):
        own = TESTED_BY.get(folder, f"tests/{folder}")
        if own not in test_folders and folder not in included:
            yield folder, "no test is in a folder of this name, and none includes from here"


def check_builds(root, tree):
    """Every test is named in a meson.build: what is not compiled protects nothing."""
    named = "\n".join(path.read_text(encoding="utf-8") for path in root.glob("tests/**/meson.build"))
    for path, _ in tree.of({".cc"}, "tests"):
        if path.endswith("_test.cc") and Path(path).name not in named:
            yield path, "no meson.build of tests/ names it"


def check_texts(tree):
    for path, text in tree.of(CODE | SCRIPTS):
        lines = text.splitlines()
        if not any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2]):
            yield path, "the licence is missing: SPDX-License-Identifier: Apache-2.0"
        if len(lines) > MOST_LINES:
            yield path, f"{len(lines)} lines; a file has one subject and at most {MOST_LINES}"
        if path != "tests/tidy.py" and (found := UNFINISHED.search(text)):
            yield path, f"{found.group()}: what is unfinished belongs in an issue"
    for path, text in tree.of({".h"}):
        if "#pragma once" not in text and not path.endswith("-inl.h"):
            yield path, "#pragma once is missing"


def check_printing(tree):
    for path, text in tree.of(CODE, "core", "primitives"):
        found = PRINTING.search(text)
        if found and path not in MAY_PRINT:
            yield path, f"{found.group()}: a library returns values and errors, it does not print"


def check_readme(root):
    """The C++ that the README shows is from the example primitive, "..." standing for what is left out."""
    readme = (root / "README.md").read_text(encoding="utf-8")
    example = (root / EXAMPLE).read_text(encoding="utf-8").splitlines()
    for shown in re.findall(r"^```cpp\n(.*?)^```$", readme, re.MULTILINE | re.DOTALL):
        rest = iter(example)
        for line in shown.splitlines():
            if line != "..." and line not in rest:
                yield "README.md", f"shows a line that is not in {EXAMPLE}, or not there: {line}"
                break


def main():
    root = Path(sys.argv[1] if len(sys.argv) > 1 else __file__).resolve()
    root = root if root.is_dir() else root.parents[1]
    tree = Tree(root)
    breaches = [
        breach
        for check in (check_includes, check_tests, check_texts, check_printing)
        for breach in check(tree)
    ]
    breaches += check_builds(root, tree)
    breaches += check_readme(root)
    for path, problem in breaches:
        print(f"{path}: {problem}")
    print(f"{len(tree.texts)} files, {len(breaches)} breaches")
    sys.exit(bool(breaches))


if __name__ == "__main__":
    main()
