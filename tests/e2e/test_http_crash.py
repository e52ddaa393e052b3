# SPDX-License-Identifier: Apache-2.0
"""A server that is killed amid batches over HTTP has, once it is back, all that it has answered.
CRASH_SEED=<seed> replays the moments of a run, CRASH_KILLS=<n> runs so many kills:

    CRASH_KILLS=300 ENGRAM_SERVER=build/server/engram python3 -m pytest tests/e2e/test_http_crash.py
"""

import contextlib
import http.client
import os
import random
import struct
import threading
import time

import pytest

import live
from http_client import Http

DIM = 8
WRITERS = 3
BATCH = 40
# Then a new one: everything in it is read after each.
MOST_KILLS_OF_A_DIRECTORY = 20


def packed_vector(vector):
    return struct.pack(f"<{DIM}f", *vector)


def vector_of(name):
    """What is stored under an id."""
    source = random.Random(name)
    return [source.uniform(-1, 1) for _ in range(DIM)]


def packed(ids):
    body = b"EGVB" + struct.pack("<HHII", 1, 0, len(ids), DIM)
    body += struct.pack(f"<{len(ids)}I", *map(len, ids))
    return body + b"".join(packed_vector(vector_of(name)) for name in ids) + "".join(ids).encode()


class Writer(threading.Thread):
    """Sends batches, in binary and as JSON by turns, until the server is gone."""

    def __init__(self, port, name):
        super().__init__()
        self.client = Http(None, port)
        self.name = name
        self.answered = []
        self.refused = None

    def run(self):
        with contextlib.suppress(OSError, http.client.HTTPException):
            for number in range(1_000_000):
                ids = [f"{self.name}-{number}-{i}" for i in range(BATCH)]
                if number % 2:
                    headers = {"Content-Type": "application/octet-stream"}
                    response = self.client.ask("POST", "/vectors/batch", packed(ids), headers)
                else:
                    vectors = [{"id": name, "vector": vector_of(name)} for name in ids]
                    response = self.client.ask("POST", "/vectors/batch", {"vectors": vectors})
                if response.status != 201:
                    self.refused = response.json
                    return
                self.answered += ids


def stored_in(client):
    """Every id with its vector."""
    found, cursor = {}, ""
    while cursor is not None:
        page = client.expect(200, "GET", f"/vectors?limit=1000&vectors=true&cursor={cursor}")
        found.update((item["id"], item["vector"]) for item in page["vectors"])
        cursor = page["next"]
    return found


def flags(port):
    return ("--http-port", port, "--http-metric", "l2", "--http-primitive", "flat", "--fsync", "always")


def kill_and_look(folder, source, kills):
    """Kills the server of a directory so often, and looks each time. Returns how many vectors were answered."""
    answered, checked = [], set()
    for kill in range(kills + 1):
        port = live.free_port()
        server = live.Server(folder, *flags(port))
        try:
            client = Http(server, port)
            found = stored_in(client)
            missing = [name for name in answered if name not in found]
            assert not missing, (kill, len(missing), missing[:5])
            new = found.keys() - checked
            wrong = [name for name in new if packed_vector(found[name]) != packed_vector(vector_of(name))]
            assert not wrong, (kill, wrong[:5])
            checked |= new
            if kill == kills:
                return len(answered)
            writers = [Writer(port, f"{kill}-{number}") for number in range(WRITERS)]
            for writer in writers:
                writer.start()
            time.sleep(source.uniform(0.02, 0.15))
            server.process.kill()
            for writer in writers:
                writer.join()
                assert writer.refused is None
                answered += writer.answered
        finally:
            server.end()


def numbers_of_kills():
    if "CRASH_KILLS" in os.environ:
        return [int(os.environ["CRASH_KILLS"])]
    return [2, pytest.param(12, marks=pytest.mark.long)]


@pytest.mark.parametrize("kills", numbers_of_kills())
def test_what_was_answered_over_http_survives_kills(tmp_path, kills):
    seed = int(os.environ.get("CRASH_SEED", random.SystemRandom().getrandbits(32)))
    print(f"CRASH_SEED={seed}")
    source = random.Random(seed)
    answered = 0
    for begin in range(0, kills, MOST_KILLS_OF_A_DIRECTORY):
        folder = tmp_path / f"server-{begin}"
        answered += kill_and_look(folder, source, min(kills - begin, MOST_KILLS_OF_A_DIRECTORY))
    print(f"{kills} kills, {answered} vectors were answered before them and are there")
    assert answered
