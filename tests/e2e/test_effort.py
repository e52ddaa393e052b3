# SPDX-License-Identifier: Apache-2.0
"""Effort by recall, measured recall, and searches that are answered in pages."""

import signal
import time

import numpy as np
import pytest

import live
import words
from wire import ErrorReply

K = 10


def fields(reply):
    return {name.decode(): value for name, value in zip(reply[::2], reply[1::2])}


# --- RECALL ---------------------------------------------------------------------------------------


@pytest.mark.skipif(live.SANITIZED, reason="a sanitizer takes twenty times as long for the curve")
def test_searches_find_what_recall_asks_for(shared, loaded):
    """Of stored words without themselves, which is easier than of others: experiments/effort.py
    measures those."""
    client = shared.redis()
    rows = np.random.default_rng(3).choice(len(loaded.keys), 120, replace=False)
    found = [
        words.recall(client, "hnsw", loaded, rows, K, "RECALL", target)
        for target in (0.8, 0.9, 0.95, 0.99)
    ]
    for share, target in zip(found, (0.8, 0.9, 0.95, 0.99)):
        assert share >= target - 0.03
    assert found == sorted(found) and found[0] < 0.99
    assert words.recall(client, "hnsw", loaded, rows[:20], K, "RECALL", 1) == 1
    info = fields(client.execute_command("VINFO", "hnsw"))
    assert info["curve-items"] == len(loaded.keys)
    efs = [float(info[f"ef-for-recall-{target}"]) for target in ("0.9", "0.95", "0.99")]
    assert efs == sorted(efs)
    queries = [loaded.packed(row) for row in rows[:20]]
    batch = client.execute_command("VMSEARCH", "hnsw", K, "RECALL", "0.9", *queries)
    assert batch == [client.execute_command("VSEARCH", "hnsw", q, K, "RECALL", "0.9") for q in queries]


def test_what_vtune_measured_survives_a_kill(start, reopen):
    server = start("--fsync", "always")
    client = server.redis()
    client.execute_command("VNEW", "i", 16, "METRIC", "l2")
    vectors = np.random.default_rng(1).normal(size=(1200, 16)).astype(np.float32)
    items = [part for row, vector in enumerate(vectors) for part in (row, vector.tobytes())]
    client.execute_command("VMADD", "i", *items)
    tuned = fields(client.execute_command("VTUNE", "i"))
    assert tuned["curve-items"] == b"1200" and float(tuned["recall-at-10-ef-12"]) > 0.8
    before = fields(client.execute_command("VINFO", "i"))
    server.send_signal(signal.SIGKILL)
    server.wait()
    after = fields(reopen(server).redis().execute_command("VINFO", "i"))
    names = [name for name in before if name.startswith(("curve-", "ef-for-", "beta"))]
    assert len(names) >= 6
    assert [after[name] for name in names] == [before[name] for name in names]


def test_a_recall_that_there_is_not_is_refused(start):
    server = start("--appendonly", "no")
    with server.wire() as wire:
        wire.call("VNEW", "i", 1)
        query = np.ones(1, np.float32).tobytes()
        for bad in ("0", "1.1", "nan", "much"):
            reply = wire.call("VSEARCH", "i", query, 1, "RECALL", bad)
            assert reply.startswith("ERR RECALL must be a number above 0 and at most 1, got")
            assert wire.call("VMSEARCH", "i", 1, "RECALL", bad, query) == reply
        assert wire.call("VSEARCH", "i", query, 1, "RECALL", "0.9", "EF", 9) == ErrorReply(
            "ERR RECALL chooses what EF would say: give one of them"
        )


# --- MEASURE --------------------------------------------------------------------------------------


def test_measured_recall_is_shown(start):
    server = start("--appendonly", "no")
    client = server.redis()
    client.execute_command("VNEW", "i", 4, "PRIMITIVE", "flat", "MEASURE", 1)
    vectors = np.random.default_rng(2).normal(size=(100, 4)).astype(np.float32)
    for row, vector in enumerate(vectors):
        client.execute_command("VADD", "i", row, vector.tobytes())
    for vector in vectors[:25]:
        client.execute_command("VSEARCH", "i", vector.tobytes(), K)

    def counted():
        info = fields(client.execute_command("VINFO", "i"))
        return info.get("measured-searches-at-10", 0) + info["measured-dropped"] == 25

    live.wait_until(counted, "the searches are measured or dropped")
    info = fields(client.execute_command("VINFO", "i"))
    assert info["measured-recall-at-10"] == 1 and info["measured-high-at-10"] == 1
    assert 0 < float(info["measured-low-at-10"]) < 1
    assert str(client.info("stats")["measured_recalls"]).find("1.0000") > 0
    assert client.execute_command("VINFO", "i")
    with server.wire() as wire:
        assert wire.call("VNEW", "j", 4, "MEASURE", "2").startswith("ERR MEASURE must be a number in 0..1")


# --- CURSOR ---------------------------------------------------------------------------------------


def test_pages_are_the_whole_search(shared, loaded):
    client = shared.redis()
    query = loaded.packed(17)
    everything = client.execute_command("VSEARCH", "flat", query, 500)
    paged, cursor = [], b"0"
    while len(paged) < 1000:
        client = shared.redis()  # a cursor does not belong to a connection
        cursor, page = client.execute_command("VSEARCH", "flat", query, 100, "CURSOR", cursor)
        paged += page
    assert paged[:1000] == everything and cursor != b"0"
    assert client.info("stats")["search_cursors"] == 1
    assert client.info("memory")["mem_search_cursors"] > 500
    last, page = client.execute_command("VSEARCH", "flat", query, len(loaded.keys), "CURSOR", cursor)
    assert last == b"0" and len(page) == 2 * (len(loaded.keys) - 500)
    assert client.info("stats")["search_cursors"] == 0


def test_pages_of_a_graph_answer_every_key_once(shared, loaded):
    client = shared.redis()
    keys, cursor = [], b"0"
    while True:
        cursor, page = client.execute_command(
            "VSEARCH", "hnsw", loaded.packed(5), 900, "RECALL", "0.9", "CURSOR", cursor
        )
        keys += page[::2]
        if cursor == b"0":
            break
    assert sorted(keys) == sorted(loaded.keys)


def test_an_idle_cursor_ends_and_says_so(start):
    server = start("--appendonly", "no")
    with server.wire(3) as wire:
        wire.call("VNEW", "i", 1, "METRIC", "l2")
        for number in range(9):
            wire.call("VADD", "i", number, np.float32(number).tobytes())
        zero = np.float32(0).tobytes()
        assert wire.call("CONFIG", "SET", "search-cursor-timeout", 1) == "OK"
        cursor, page = wire.call("VSEARCH", "i", zero, 2, "CURSOR", 0)
        assert page[::2] == [b"0", b"1"]
        again, page = wire.call("VSEARCH", "i", zero, 3, "CURSOR", cursor, "WITHRAW")
        assert again == cursor and page[::3] == [b"2", b"3", b"4"]
        time.sleep(1.3)
        assert wire.call("INFO", "stats").find("search_cursors:0") > 0
        assert wire.call("VSEARCH", "i", zero, 3, "CURSOR", cursor) == ErrorReply(
            f"ERR cursor {cursor.decode()} has ended: it was idle for longer than "
            "search-cursor-timeout allows"
        )
        assert wire.call("CONFIG", "SET", "search-cursor-timeout", 300) == "OK"
        assert wire.call("CONFIG", "SET", "search-cursors", 0) == "OK"
        assert wire.call("VSEARCH", "i", zero, 3, "CURSOR", 0).startswith("ERR there are 0 cursors")
        assert wire.call("CONFIG", "SET", "search-cursors", 1000) == "OK"
        for bad in ("-1", "x", ""):
            reply = wire.call("VSEARCH", "i", zero, 3, "CURSOR", bad)
            assert reply.startswith("ERR CURSOR must be 0 or a cursor that was answered")
        assert wire.call("VMSEARCH", "i", 3, "CURSOR", "0", zero).startswith("ERR")
