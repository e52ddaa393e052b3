# SPDX-License-Identifier: Apache-2.0
"""Packages of npm that tests use, fetched once into ENGRAM_NODE_FOLDER."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

FETCH_SECONDS = 120


def fetched(package):
    """The folder node_modules with `package`, which is NAME@VERSION. Skips where there is none to be had."""
    if not (shutil.which("node") and shutil.which("npm")):
        pytest.skip("there is no Node.js")
    # One folder each: npm removes what it was not asked for.
    folder = Path(os.environ["ENGRAM_NODE_FOLDER"]) / "packages" / package.replace("/", "-").lstrip("@")
    done = folder / "done"
    if not done.exists():
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--prefix", folder, "--cache", folder / "cache", "--ignore-scripts"]
        try:
            subprocess.run([*install, "--no-audit", "--no-fund", "--no-save", package], check=True, timeout=FETCH_SECONDS)
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired) as error:
            pytest.skip(f"{package} cannot be fetched: {error}")
        done.touch()
    return folder / "node_modules"
