# SPDX-License-Identifier: Apache-2.0
"""VNEW ... ROWS disk: an index answers as one in memory does, keeps what it was given, and takes no memory for it."""

import signal

import numpy as np

import live
from strengths import as_map

DIM = 96
COUNT = 1200 if live.SANITIZED else 2000  # more than what lies on the heap before a file is begun
FIRST = COUNT * 2 // 3  # before a snapshot
KINDS = {
    "walk": ("hnsw", "QUANT", "sq4"),
    "plain": ("hnsw",),
    "exact": ("flat",),
    "coded": ("flat", "QUANT", "sq8"),
    "mind": ("hopfield",),
}


def random_vectors(seed, count=COUNT):
    return np.random.default_rng(seed).standard_normal((count, DIM)).astype(np.float32)


def add(client, index, first, vectors):
    for begin in range(0, len(vectors), 500):
        words = []
        for i, vector in enumerate(vectors[begin : begin + 500]):
            words += [f"k{first + begin + i}", vector.tobytes()]
        client.execute_command("VMADD", index, *words)


def known(client):
    names = {as_map(primitive)[b"name"].decode() for primitive in client.execute_command("VPRIMITIVES")}
    return {name: kind for name, kind in KINDS.items() if kind[0] in names}


def make(client, index, kind, place):
    client.execute_command("VNEW", index, DIM, "METRIC", "l2", "PRIMITIVE", *kind, "ROWS", place)


def answers(client, index, queries):
    return [client.execute_command("VSEARCH", index, query.tobytes(), 10) for query in queries]


def test_rows_on_the_disk_and_in_memory_give_the_same_answers(start):
    server = start("--appendonly", "yes")
    vectors, queries = random_vectors(1), random_vectors(2, 20)
    with server.redis() as client:
        for name, kind in known(client).items():
            for place in ("disk", "memory"):
                make(client, f"{name}-{place}", kind, place)
                add(client, f"{name}-{place}", 0, vectors)
                add(client, f"{name}-{place}", 0, vectors[::-1][:300])  # overwritten
                for i in range(500, 520):
                    client.execute_command("VDEL", f"{name}-{place}", f"k{i}")
            on_disk, in_memory = (answers(client, f"{name}-{place}", queries) for place in ("disk", "memory"))
            if kind[0] == "hnsw":  # two graphs differ by the order in which workers insert
                on_disk, in_memory = ([reply[0] for reply in replies] for replies in (on_disk, in_memory))
            assert on_disk == in_memory, name
            info = as_map(client.execute_command("VINFO", f"{name}-disk"))
            assert info[b"rows"] == b"disk"
            assert as_map(client.execute_command("VINFO", f"{name}-memory"))[b"rows"] == b"memory"
            if name != "coded":
                saved = as_map(client.execute_command("VINFO", f"{name}-memory"))[b"memory-bytes"] - info[b"memory-bytes"]
                assert saved > 0.9 * COUNT * DIM * 4


def test_rows_on_the_disk_survive_restarts(start, reopen):
    server = start("--fsync", "always")
    vectors, queries = random_vectors(3), random_vectors(4, 20)
    with server.redis() as client:
        kinds = known(client)
        for name, kind in kinds.items():
            make(client, name, kind, "disk")
            add(client, name, 0, vectors[:FIRST])
    server.send_signal(signal.SIGKILL)
    server.wait()
    second = reopen(server)
    with second.redis() as client:
        for name in kinds:
            assert client.execute_command("VCARD", name) == FIRST
        client.execute_command("SAVE")
    second.end()
    third = reopen(server)
    with third.redis() as client:
        for name in kinds:
            add(client, name, FIRST, vectors[FIRST:])  # behind rows that are mapped from the snapshot
            add(client, name, 0, vectors[:100][::-1])
            assert as_map(client.execute_command("VINFO", name))[b"rows"] == b"disk"
    third.send_signal(signal.SIGKILL)
    third.wait()
    last = reopen(server)
    expected = np.concatenate([vectors[:100][::-1], vectors[100:]])
    with last.redis() as client:
        for name in kinds:
            for i in (0, 50, FIRST // 2, FIRST - 1, FIRST, COUNT - 1):
                stored = np.frombuffer(client.execute_command("VGET", name, f"k{i}"), np.float32)
                assert np.allclose(stored, expected[i], atol=0.02 if name == "coded" else 0), (name, i)
        if "exact" in kinds:
            for query in queries:
                nearest = np.argmin(np.linalg.norm(expected - query, axis=1))
                reply = client.execute_command("VSEARCH", "exact", query.tobytes(), 1)
                assert reply[0] == f"k{nearest}".encode()


def test_without_a_directory_there_are_no_rows_on_the_disk(start):
    server = start("--appendonly", "no")
    with server.wire() as wire:
        refused = wire.call("VNEW", "i", DIM, "ROWS", "disk")
        assert refused == "ERR ROWS disk keeps vectors in a file, and without a directory no file is written"
        assert wire.call("VNEW", "i", DIM, "ROWS", "memory") == "OK"
        assert wire.call("VNEW", "j", DIM, "ROWS", "tape") == "ERR ROWS must be memory or disk, got 'tape'"
