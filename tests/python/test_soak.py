# SPDX-License-Identifier: Apache-2.0
"""Random operations of four threads against a model. ENGRAM_SOAK_SECONDS says for how long, ENGRAM_TEST_SEED repeats a run."""

import os
import random
import threading
import time

import engramdb
import numpy as np
import pytest

SECONDS = float(os.environ.get("ENGRAM_SOAK_SECONDS", "1"))
SEED = int(os.environ.get("ENGRAM_TEST_SEED", random.SystemRandom().randrange(2**32)))
THREADS = 4
KEYS = 60
DIM = 8
# What grows with the first operations and then no more; under a second it is all that there is.
WARM_UP_SECONDS = 20
MOST_GROWTH = 1.05


class Worker:
    """Keys of its own, so that what it expects does not depend on the others."""

    def __init__(self, index, number):
        self.index = index
        self.number = number
        self.random = random.Random(f"{SEED}:{number}")
        self.generator = np.random.default_rng([SEED, number])
        self.model = {}
        self.years = {}

    def key(self):
        return f"{self.number}:{self.random.randrange(KEYS)}"

    def vector(self):
        # Far from what other threads store, and no two the same.
        return (self.generator.standard_normal(DIM) + 100 * self.number).astype(np.float32)

    def put(self):
        key, vector = self.key(), self.vector()
        assert self.index.add(key, vector) == (key not in self.model)
        self.model[key] = vector

    def put_many(self):
        keys = [self.key() for _ in range(8)]
        rows = np.stack([self.vector() for _ in keys])
        new = len(set(keys) - set(self.model))
        years = [self.random.randrange(2000) for _ in keys]
        assert self.index.add(keys, rows, attributes=[{"year": year} for year in years]) == new
        self.model.update(zip(keys, rows))
        self.years.update(zip(keys, years))

    def erase(self):
        key = self.key()
        assert self.index.erase(key) == (key in self.model)
        self.model.pop(key, None)
        self.years.pop(key, None)

    def get(self):
        keys = [self.key() for _ in range(4)]
        for key, row in zip(keys, self.index.get(keys)):
            expected = self.model.get(key, np.full(DIM, np.nan, dtype=np.float32))
            assert np.array_equal(row, expected, equal_nan=True)
            assert (key in self.index) == (key in self.model)

    def attributes(self):
        key = self.key()
        year = self.years.get(key)
        assert self.index.attributes(key) == (None if year is None else {"year": year})

    def search(self):
        query = self.vector()
        keys, distances = self.index.search(query, k=5)
        mine = sorted((float(np.linalg.norm(vector - query)), key) for key, vector in self.model.items())[:5]
        found = [key for key in keys if key.startswith(f"{self.number}:")]
        assert found == [key for _, key in mine][: len(found)]
        assert len(found) >= min(5, len(mine))
        assert np.allclose(distances[: len(found)], [distance for distance, _ in mine][: len(found)], rtol=1e-3)

    def search_many(self):
        queries = np.stack([self.vector() for _ in range(16)])
        keys, distances = self.index.search(queries, k=3, filter=".year >= 0")
        assert len(keys) == len(distances) == 16
        for row in keys:
            assert {key for key in row if key and key.startswith(f"{self.number}:")} <= set(self.years)

    def list(self):
        assert {key for key in self.index if key.startswith(f"{self.number}:")} == set(self.model)

    def run(self, until):
        operations = [self.put, self.put_many, self.erase, self.get, self.attributes, self.search, self.search_many]
        while time.monotonic() < until:
            for _ in range(50):
                self.random.choice(operations)()
            self.list()


def resident_bytes():
    with open("/proc/self/statm", encoding="ascii") as statm:
        return int(statm.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def soak(index, seconds):
    errors = []
    until = time.monotonic() + seconds
    warm = None

    def guarded(worker):
        try:
            worker.run(until)
        except BaseException as error:  # is raised below
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(Worker(index, number),)) for number in range(THREADS)]
    for thread in threads:
        thread.start()
    if seconds > 2 * WARM_UP_SECONDS:
        threads[0].join(WARM_UP_SECONDS)
        warm = resident_bytes()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]
    if warm is not None:
        now = resident_bytes()
        print(f"resident after {WARM_UP_SECONDS} s {warm / 2**20:.1f} MiB, after {seconds:.0f} s {now / 2**20:.1f} MiB")
        assert now <= MOST_GROWTH * warm


@pytest.mark.parametrize("primitive", ["flat", "hnsw"])
def test_operations_of_threads_answer_as_a_model_does(store, primitive):
    print("seed", SEED)
    soak(store.create("soak", DIM, metric="l2", primitive=primitive), SECONDS / 6)


@pytest.mark.long
def test_memory_stays_level_for_as_long_as_it_takes():
    print("seed", SEED)
    with engramdb.Index(DIM, metric="l2", primitive="flat") as index:
        soak(index, SECONDS)
