# SPDX-License-Identifier: Apache-2.0
"""Stores: collections by name, directories, and what one place does alone."""

import subprocess
import sys

import engramdb
import live
import numpy as np
import pytest

ROWS = np.array([[3, 4], [6, 8]], dtype=np.float32)


def fill(store):
    notes = store.create("notes", 2, metric="l2", primitive="hnsw")
    notes.add(["a", "b"], ROWS, attributes=[{"year": 1999}, None])
    return notes


def check(store):
    notes = store["notes"]
    assert notes["b"].tolist() == [6, 8]
    assert notes.attributes("a") == {"year": 1999}
    assert notes.search([6, 8], k=2).distances.tolist() == [0, 5]


def test_collections_have_names(store):
    store.create("b", 2)
    store.create("a", 3)
    assert list(store) == ["a", "b"]
    assert len(store) == 2
    assert "a" in store
    assert "c" not in store
    assert store["a"].dim == 3
    del store["a"]
    assert list(store) == ["b"]
    for missing in (lambda: store["a"], lambda: store.__delitem__("a")):
        with pytest.raises(engramdb.NotFound, match="no such index 'a'"):
            missing()
    assert repr(store).endswith(": 1 collections>")


def test_an_index_that_was_dropped_is_not_found(store):
    notes = fill(store)
    del store["notes"]
    for use in (lambda: len(notes), lambda: notes.search([0, 0]), lambda: notes.add("a", [0, 0])):
        with pytest.raises(engramdb.NotFound):
            use()


def test_a_closed_store_refuses(tmp_path):
    store = engramdb.Store(tmp_path / "store")
    notes = fill(store)
    store.close()
    store.close()
    with pytest.raises(engramdb.Unsupported, match="the store is closed"):
        notes.search([0, 0])


def test_a_directory_is_opened_again(tmp_path):
    with engramdb.Store(tmp_path / "store", fsync="always", workers=1) as store:
        fill(store)
        store.save()
        store["notes"].add("c", [1, 1])
    with engramdb.Store(tmp_path / "store") as store:
        check(store)
        assert len(store["notes"]) == 3


def test_one_process_at_a_time_has_a_directory(tmp_path):
    with engramdb.Store(tmp_path / "store"), pytest.raises(engramdb.AlreadyExists):
        engramdb.Store(tmp_path / "store")


def test_a_server_opens_the_directory_after_a_process_and_the_reverse(tmp_path):
    server = live.Server(tmp_path / "server")
    fill(engramdb.connect(port=server.port))
    server.end()
    with engramdb.Store(server.folder) as store:
        check(store)
        store["notes"].add("c", [1, 1])
    server = live.Server(tmp_path / "server")
    with engramdb.connect(port=server.port) as store:
        check(store)
        assert "c" in store["notes"]
    server.end()


def test_what_is_in_memory_is_saved_and_goes_on_elsewhere(tmp_path):
    with engramdb.Index(2, metric="l2") as index:
        index.add(["a", "b"], ROWS, attributes=[{"year": 1999}, None])
        index.save(str(tmp_path / "deep" / "saved"))
        index.add("later", [1, 1])
        with pytest.raises(engramdb.AlreadyExists, match="holds a store already"):
            index.save(str(tmp_path / "deep" / "saved"))
    with engramdb.Index.load(str(tmp_path / "deep" / "saved")) as index:
        assert list(index) == ["a", "b"]
        assert index.attributes("a") == {"year": 1999}
        index.add("c", [1, 1])
    with engramdb.Index.load(str(tmp_path / "deep" / "saved")) as index:
        assert list(index) == ["a", "b", "c"]


def test_a_store_in_memory_has_no_place_of_its_own():
    with engramdb.Store() as store, pytest.raises(engramdb.Unsupported, match="in memory only"):
        store.save()


def test_several_indexes_are_not_loaded_as_one(tmp_path):
    with engramdb.Store() as store:
        store.create("a", 2)
        store.create("b", 2)
        store.save(str(tmp_path / "saved"))
    with pytest.raises(engramdb.NotFound, match="there are 2"):
        engramdb.Index.load(str(tmp_path / "saved"))


def test_nobody_listens():
    with pytest.raises(engramdb.Disconnected):
        engramdb.connect(port=1)


def test_a_policy_that_there_is_not(tmp_path):
    with pytest.raises(engramdb.InvalidArgument, match="always, everysec or no"):
        engramdb.Store(tmp_path / "store", fsync="often")


def test_a_string_is_no_collection(shared):
    with shared.redis() as client:
        client.flushall()
        client.set("text", "value")
    with engramdb.connect(port=shared.port) as store, pytest.raises(engramdb.WrongType):
        store["text"].search([0, 0])


def test_an_interpreter_ends_with_a_store_open(tmp_path):
    program = (
        "import engramdb, sys, threading\n"
        "store = engramdb.Store(sys.argv[1])\n"
        "store.create('notes', 2).add('a', [1, 2])\n"
        "print(len(store['notes']))\n"
    )
    command = [sys.executable, "-c", program, str(tmp_path / "store")]
    assert subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout == "1\n"
    with engramdb.Store(tmp_path / "store") as store:
        assert len(store["notes"]) == 1
