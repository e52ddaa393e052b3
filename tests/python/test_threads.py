# SPDX-License-Identifier: Apache-2.0
"""Many threads in one store."""

import os
import threading

import engramdb
import numpy as np
import pytest


def run(threads):
    errors = []

    def guarded(work):
        try:
            work()
        except BaseException as error:  # is raised below
            errors.append(error)

    running = [threading.Thread(target=guarded, args=(work,)) for work in threads]
    for thread in running:
        thread.start()
    for thread in running:
        thread.join()
    if errors:
        raise errors[0]


@pytest.mark.parametrize("primitive", ["flat", "hnsw", "hopfield"])
def test_threads_that_write_and_search_see_what_they_wrote(store, primitive):
    index = store.create("notes", 8, metric="l2", primitive=primitive)

    def work(number):
        generator = np.random.default_rng(number)
        for i in range(40):
            vector = generator.standard_normal(8).astype(np.float32) + 10 * number
            assert index.add(f"{number}:{i}", vector) == 1
            assert index.search(vector, k=1).keys == [f"{number}:{i}"]
            if i % 4 == 0:
                assert index.erase(f"{number}:{i}")

    run([lambda number=number: work(number) for number in range(4)])
    assert len(index) == 4 * 30


def test_a_thread_that_counts_goes_on_while_others_work():
    generator = np.random.default_rng(1)
    rows = generator.standard_normal((4000, 64)).astype(np.float32)
    index = engramdb.Index(64, primitive="flat")
    counted = 0
    ends = threading.Event()

    def count():
        nonlocal counted
        while not ends.is_set():
            counted += 1

    def work():
        index.add([str(i) for i in range(len(rows))], rows)
        before = counted
        index.search(rows, k=10)
        ends.set()
        assert counted > before

    run([count, work])


def test_more_callers_than_workers_search_themselves():
    together = threading.Barrier(5)
    searched_by = set()

    class Meeting:
        """Searches that wait for each other"""

        def __init__(self, memory):
            self.memory = memory

        def insert(self, slot):
            pass

        def erase(self, slot):
            pass

        def search(self, query, k):
            together.wait(60)
            searched_by.add(threading.get_ident())
            return self.memory.slots

    engramdb.primitive(Meeting)
    with engramdb.Store(workers=2) as store:
        index = store.create("notes", 2, metric="l2", primitive="meeting")
        index.add("a", [1, 2])
        callers = set()

        def work():
            callers.add(threading.get_ident())
            assert index.search([1, 2], k=1).keys == ["a"]

        run([work] * 5)
    assert searched_by == callers


def test_closing_waits_for_calls_under_way():
    generator = np.random.default_rng(1)
    rows = generator.standard_normal((2000, 32)).astype(np.float32)
    index = engramdb.Index(32, primitive="flat")
    index.add([str(i) for i in range(len(rows))], rows)
    ready = threading.Barrier(4)

    def work():
        ready.wait()
        try:
            while True:
                assert len(index.search(rows[:100], k=3).keys) == 100
        except engramdb.Unsupported as error:
            assert "closed" in str(error)

    def close():
        ready.wait()
        index.close()

    run([work, work, work, close])


def test_a_process_that_was_forked_has_no_store_and_ends():
    index = engramdb.Index(4)
    index.add("a", [1, 2, 3, 4])
    child = os.fork()
    if child == 0:
        try:
            index.search([1, 2, 3, 4])
        except engramdb.Unsupported:
            del index
            os._exit(7)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 7
    assert index.search([1, 2, 3, 4]).keys == ["a"]
