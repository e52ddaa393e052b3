# SPDX-License-Identifier: Apache-2.0
"""A real server for every test: ENGRAM_SERVER names the program to run."""

from pathlib import Path

import pytest

import live
import words

ROOT = Path(__file__).resolve().parents[2]


def pytest_configure(config):
    config.addinivalue_line("markers", "long: left to `tests/run.sh all`")


@pytest.fixture
def start(tmp_path):
    """Starts servers with the given flags; those still running when the test ends must end
    cleanly."""
    servers = []

    def start_server(*flags):
        server = live.Server(tmp_path / f"server-{len(servers)}", *flags)
        servers.append(server)
        return server

    yield start_server
    for server in servers:
        server.end()


@pytest.fixture
def reopen():
    """Starts another process over the directory of a server that has ended."""
    servers = []

    def start_again(ended, *flags):
        server = live.Server(ended.folder, *flags)
        servers.append(server)
        return server

    yield start_again
    for server in servers:
        server.end()


@pytest.fixture
def start_host(tmp_path):
    """Starts Redis with the module; see `start`."""
    hosts = []

    def start_one(*flags, folder=None):
        host = live.ModuleHost(folder or tmp_path / f"host-{len(hosts)}", *flags)
        hosts.append(host)
        return host

    yield start_one
    for host in hosts:
        host.end()


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """One server for a whole file; `server` empties it before each test."""
    server = live.Server(tmp_path_factory.mktemp("server"))
    yield server
    server.end()


@pytest.fixture
def server(shared):
    with shared.redis() as client:
        client.flushall()
    return shared


@pytest.fixture(params=[2, 3], ids=["RESP2", "RESP3"])
def protocol(request):
    return request.param


@pytest.fixture
def wire(server, protocol):
    """A connection to `server`, in each protocol."""
    with server.wire(protocol) as connection:
        yield connection


@pytest.fixture(scope="module")
def loaded(shared):
    """The bundled words in one index for each primitive, named after it."""
    data = words.load()
    with shared.redis() as client:
        client.flushall()
        for primitive in ("flat", "hnsw"):
            words.fill(client, primitive, data, "PRIMITIVE", primitive)
    return data
