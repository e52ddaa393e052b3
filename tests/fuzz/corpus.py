#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""The inputs that fuzzing has found, one archive per fuzzer: corpus/<fuzzer>.tar.xz.

    corpus.py replay ARCHIVE PROGRAM   gives PROGRAM every input as a file name
    corpus.py unpack ARCHIVE FOLDER    writes the inputs to FOLDER
    corpus.py add ARCHIVE FOLDER...    adds the files in FOLDER... to the archive, or creates it

Inputs keep the names of their files; libFuzzer names what it finds by hash. Equal inputs make equal
archives.
"""

import argparse
import io
import lzma
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path


def read(archive):
    """The inputs by name; none if there is no archive yet."""
    if not archive.exists():
        return {}
    with tarfile.open(archive, "r:xz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}


def write(archive, inputs):
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for name in sorted(inputs):
            member = tarfile.TarInfo(name)  # no time, no owner
            member.size = len(inputs[name])
            tar.addfile(member, io.BytesIO(inputs[name]))
    archive.write_bytes(lzma.compress(plain.getvalue(), preset=9))


def unpack(archive, folder):
    folder.mkdir(parents=True, exist_ok=True)
    for name, content in read(archive).items():
        (folder / name).write_bytes(content)


def add(archive, folders):
    inputs = read(archive)
    kept = len(inputs)
    for folder in folders:
        for path in folder.iterdir():
            inputs[path.name] = path.read_bytes()
    write(archive, inputs)
    print(f"{archive}: {len(inputs)} inputs, {len(inputs) - kept} of them new")


def replay(archive, program):
    with tempfile.TemporaryDirectory() as folder:
        unpack(archive, Path(folder))
        inputs = sorted(str(path) for path in Path(folder).iterdir())
        if not inputs:
            sys.exit(f"{archive} has no inputs")
        return subprocess.run([program, *inputs], check=False).returncode


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = parser.add_subparsers(dest="action", required=True)
    for action, argument, count in (
        ("replay", "program", None),
        ("unpack", "folder", None),
        ("add", "folders", "+"),
    ):
        subparser = actions.add_parser(action)
        subparser.add_argument("archive", type=Path)
        subparser.add_argument(argument, type=Path, nargs=count)
    arguments = parser.parse_args()
    if arguments.action == "replay":
        sys.exit(replay(arguments.archive, arguments.program))
    elif arguments.action == "unpack":
        unpack(arguments.archive, arguments.folder)
    else:
        add(arguments.archive, arguments.folders)


if __name__ == "__main__":
    main()
