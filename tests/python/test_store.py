# SPDX-License-Identifier: Apache-2.0
"""Stores: collections by name, directories, and what one place does alone."""

import resource
import signal
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


def test_where_nothing_was_saved_nothing_is_loaded_or_made(tmp_path):
    with pytest.raises(engramdb.NotFound, match="holds no index"):
        engramdb.Index.load(tmp_path / "typo")
    assert not (tmp_path / "typo").exists()


def test_a_request_beyond_memory_is_an_error_and_the_next_is_answered():
    with engramdb.Store() as store:
        index = store.create("wide", 65536, metric="l2", primitive="flat", decay="exp 3600000")
        index.add(["x"], np.ones((1, 65536), dtype=np.float32))
        limits = resource.getrlimit(resource.RLIMIT_AS)
        resource.setrlimit(resource.RLIMIT_AS, (24 << 30, limits[1]))
        try:
            with pytest.raises((MemoryError, engramdb.Error)):
                index.get(["x"] * 200_000)  # 52 GB
        finally:
            resource.setrlimit(resource.RLIMIT_AS, limits)
        assert index.search(np.ones(65536, dtype=np.float32), k=1, touch=1).keys == ["x"]


def run_python(program, *arguments):
    done = subprocess.run([sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_handlers_of_faults_that_come_later_leave_a_mapped_snapshot_readable(tmp_path):
    rows = np.random.default_rng(1).standard_normal((20_000, 64)).astype(np.float32)
    with engramdb.Store(tmp_path) as store:
        store.create("i", 64, metric="l2", primitive="flat").add([str(i) for i in range(len(rows))], rows)
        store.save()
    program = """
import faulthandler, sys
import engramdb
store = engramdb.Store(sys.argv[1])
faulthandler.enable()
print(store["i"].get("19999")[0])
"""
    assert float(run_python(program, tmp_path)) == pytest.approx(float(rows[19_999, 0]))


def test_a_fault_of_others_still_ends_the_process_and_is_told(tmp_path):
    test_handlers_of_faults_that_come_later_leave_a_mapped_snapshot_readable(tmp_path)
    program = """
import ctypes, faulthandler, sys
import engramdb
store = engramdb.Store(sys.argv[1])
faulthandler.enable()
store["i"].get("0")
ctypes.string_at(8)
"""
    done = subprocess.run([sys.executable, "-c", program, tmp_path], capture_output=True, text=True, timeout=60)
    assert done.returncode == -signal.SIGSEGV
    assert done.stderr.count("Fatal Python error") == 1


def test_a_child_that_lives_on_keeps_no_directory_locked(tmp_path):
    program = """
import os, sys, time
import engramdb
store = engramdb.Store(sys.argv[1])
child = os.fork()
if child == 0:
    time.sleep(30)
    os._exit(0)
store.close()
engramdb.Store(sys.argv[1]).close()
os.kill(child, 9)
os.waitpid(child, 0)
print("opened again")
"""
    assert run_python(program, tmp_path) == "opened again\n"


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
