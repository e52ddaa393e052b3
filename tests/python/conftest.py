# SPDX-License-Identifier: Apache-2.0
"""The package in three places: in memory, in a directory, and in a server. PYTHONPATH names the built package,
ENGRAM_SERVER the program."""

import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/e2e"))

import engramdb  # noqa: E402
import live  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line("markers", "long: left to `tests/run.sh all`")


@pytest.fixture(scope="session")
def shared(tmp_path_factory):
    """One server for all; who uses it empties it first."""
    server = live.Server(tmp_path_factory.mktemp("server"))
    yield server
    server.end()


@pytest.fixture(params=["memory", "directory", "server"])
def store(request, tmp_path):
    if request.param == "server":
        shared = request.getfixturevalue("shared")
        with shared.redis() as client:
            client.flushall()
        opened = engramdb.connect(port=shared.port)
    else:
        opened = engramdb.Store(tmp_path / "store" if request.param == "directory" else None)
    with opened:
        yield opened
