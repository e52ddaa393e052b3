# SPDX-License-Identifier: Apache-2.0
"""What every experiment shares: errors, the cache, progress bars, and a record of where a figure
was measured."""

from __future__ import annotations

import argparse
import importlib
import os
import platform
import shlex
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any, Callable

import redis
from tqdm import tqdm

HERE = Path(__file__).resolve().parent


class UserError(Exception):
    """Something the person at the keyboard can put right; its text says how."""


def run_main(main: Callable[[], None]) -> None:
    """Runs a script's `main`; an expected failure becomes one sentence on stderr and exit code
    1."""
    try:
        main()
    except (UserError, OSError, redis.RedisError) as error:
        sys.exit(f"{Path(sys.argv[0]).name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)


def require(module: str, package: str) -> ModuleType:
    """Imports a module that only some experiments need, or names the Debian package that holds
    it."""
    try:
        return importlib.import_module(module)
    except ImportError as error:
        raise UserError(
            f"the Python module {module} is missing: apt-get install {package}"
        ) from error


def cache_root() -> Path:
    """Where converted datasets and ground truth are kept: $ENGRAM_DATA, else engram/ in the user's
    cache folder."""
    chosen = os.environ.get("ENGRAM_DATA")
    if chosen:
        return Path(chosen)
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "engram"


def progress(total: int, what: str, unit: str = "", bytes_: bool = False) -> tqdm:
    """A progress bar on stderr; nothing is shown when stderr is not a terminal."""
    return tqdm(
        total=total,
        desc=what,
        unit="B" if bytes_ else f" {unit}",
        unit_scale=bytes_,
        disable=not sys.stderr.isatty(),
    )


def environment() -> dict[str, Any]:
    """The facts without which a measured figure means nothing."""
    return {
        "command": shlex.join(sys.argv),
        "commit": _commit(),
        "cpu": _cpu_model(),
        "cpus": len(os.sched_getaffinity(0)),
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _commit() -> str:
    """The commit of the tree, marked when the tree differs from it."""
    try:
        described = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--abbrev=12"],
            cwd=HERE,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()


def add_rounds(parser: argparse.ArgumentParser, usual: int) -> None:
    """The option --rounds of scripts that measure a thing several times."""
    parser.add_argument(
        "--rounds", type=_positive, default=usual, help="times that each is measured (default %(default)s)"
    )


def _positive(text: str) -> int:
    if not (text.isdecimal() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"{text!r} is not a number above 0")
    return int(text)
