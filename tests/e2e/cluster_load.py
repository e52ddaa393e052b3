# SPDX-License-Identifier: Apache-2.0
"""Clients of a cluster's routers that know what they were promised: writers, which hold the routers to every write that
was acknowledged with a replica, and watchers, which note of every answer how much of the index it is."""

import collections
import contextlib
import random
import struct
import threading
import time
from dataclasses import dataclass, field

import live
from wire import Closed, ErrorReply

DIM = 8
PARTITIONS = 8
WRITTEN, WATCHED = "written", "watched"
WATCHED_KEYS = 160
KEYS_OF_WRITER = 100
REPLICA_TIMEOUT_MS = 2000
# A router's own errors, of nodes that are missing and of replicas that are late.
UNAVAILABLE = ("MISSING ", "NOREPLICAS ")
BEAT_SECONDS = 0.005
TOLD_WRITES = 20
# A machine that has stopped this process for so long may have stopped nodes and routers, too, which then miss each other
# until they are connected again.
STALL_SECONDS = 0.5
SETTLE_SECONDS = 3
SLOW_SECONDS = 0.5


def version(number):
    """A vector that tells which one it is."""
    return struct.pack(f"<{DIM}f", number, *[1.0] * (DIM - 1))


def is_unavailable(reply):
    return isinstance(reply, ErrorReply) and reply.startswith(UNAVAILABLE)


def make_indexes(router):
    with router.wire() as wire:
        for index in (WRITTEN, WATCHED):
            made = wire.call("VNEW", index, DIM, "METRIC", "l2", "PRIMITIVE", "flat", "PARTITIONS", PARTITIONS)
            assert made == "OK", made
        words = [x for i in range(WATCHED_KEYS) for x in (f"k{i}", version(i))]
        added = wire.call("VMADD", WATCHED, *words, "REPLICAS", 1, "TIMEOUT", 30_000)
        assert added == WATCHED_KEYS, added


class Load:
    """Threads that work until the block ends; the first error of any is raised there. `stalls` are the times during which
    the machine let nobody work."""

    def __init__(self, *workers):
        self.failures = []
        self.stalls = []
        self._over = threading.Event()
        self._threads = [threading.Thread(target=self._run, args=(worker,)) for worker in workers]
        self._threads.append(threading.Thread(target=self._watch_clock))

    def _watch_clock(self):
        last = time.monotonic()
        while not self._over.wait(BEAT_SECONDS):
            now = time.monotonic()
            if now - last > STALL_SECONDS:
                self.stalls.append((last, now))
            last = now

    def _run(self, worker):
        with live.noting(self.failures):
            worker.run(self._over)

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self._over.set()
        for thread in self._threads:
            thread.join()
        if kind is None:
            self.check()

    def check(self):
        if self.failures:
            raise self.failures[0]


class Writer:
    """One client that adds, overwrites, deletes, reads and searches keys of its own. `maybe` has for each key the versions
    that it may have: one if the last write was acknowledged, more if some since were not. None stands for no key."""

    def __init__(self, router, number, seed):
        self.router = router
        self.number = number
        self.rng = random.Random(f"{seed} {number}")
        self.maybe = {f"w{number}-{i}": {None} for i in range(KEYS_OF_WRITER)}
        self.history = {key: collections.deque(maxlen=TOLD_WRITES) for key in self.maybe}
        self.versions = 0
        self.acknowledged = 0
        self.refused = 0

    def run(self, over):
        with self.router.wire() as wire:
            while not over.is_set():
                key = self.rng.choice([*self.maybe])
                self.rng.choices((self._add, self._delete, self.read, self._search), (6, 1, 2, 1))[0](wire, key)

    def _add(self, wire, key):
        self.versions += 1
        made = version(self.versions)
        began = time.monotonic()
        reply = wire.call("VADD", WRITTEN, key, made, "REPLICAS", 1, "TIMEOUT", REPLICA_TIMEOUT_MS)
        self.history[key].append((self.versions, began, time.monotonic(), reply))
        if reply in (0, 1):
            self.maybe[key] = {made}
            self.acknowledged += 1
        else:
            assert is_unavailable(reply), reply
            self.maybe[key].add(made)
            self.refused += 1

    def _delete(self, wire, key):
        """No replica needs to have it: it may be lost."""
        self.maybe[key].add(None)
        reply = wire.call("VDEL", WRITTEN, key)
        assert reply in (0, 1) or is_unavailable(reply), reply

    def read(self, wire, key):
        """Whether there was an answer."""
        found = wire.call("VGET", WRITTEN, key)
        if is_unavailable(found):
            return False
        assert not isinstance(found, ErrorReply), found
        assert found in self.maybe[key], self._explain(key, found)
        return True

    def _explain(self, key, found):
        """What key cannot be, and the last writes to it."""
        shown = found and int(struct.unpack_from("<f", found)[0])
        writes = "\n".join(f"{v} from {began:.3f} to {ended:.3f}: {reply}" for v, began, ended, reply in self.history[key])
        return f"{key} has version {shown} at {time.monotonic():.3f}, after\n{writes}"

    def _search(self, wire, _key):
        reply = wire.call("VSEARCH", WRITTEN, version(0), 20)
        if is_unavailable(reply):
            return
        assert not isinstance(reply, ErrorReply), reply
        keys, distances = reply[0::2], [float(distance) for distance in reply[1::2]]
        assert len(set(keys)) == len(keys) and distances == sorted(distances)

    def check_all(self, router):
        """Every key has a version that it may have; all partitions are there."""
        with router.wire() as wire:
            for key in self.maybe:
                assert self.read(wire, key), f"nobody answers for {key}"


@dataclass(frozen=True)
class Sample:
    """An answer with PARTIAL: when it was asked for and when it came, and which keys it held."""

    began: float
    ended: float
    ok: int
    keys: frozenset


class Watcher:
    """Asks one router for all of an index that nobody changes."""

    def __init__(self, router):
        self.router = router
        self.samples = []
        self._sets = {}  # of keys, each kept once

    def run(self, over):
        with self.router.wire() as wire:
            while not over.wait(BEAT_SECONDS):
                began = time.monotonic()
                reply = wire.call("VSEARCH", WATCHED, version(0), 2 * WATCHED_KEYS, "PARTIAL")
                ended = time.monotonic()
                if is_unavailable(reply):
                    continue
                assert not isinstance(reply, ErrorReply), reply
                told = dict(zip(reply[0::2], reply[1::2]))
                assert told[b"total"] == PARTITIONS
                listed = told[b"results"][0::2]
                keys = frozenset(listed)
                assert len(keys) == len(listed)
                self.samples.append(Sample(began, ended, told[b"ok"], self._sets.setdefault(keys, keys)))


class Partitions:
    """Which keys each partition of the watched index holds, and on which node it lay, as the nodes told when all was
    well."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.keys = {}
        for name, node in cluster.partitions(WATCHED).items():
            found = node.call("ENGRAM.VSEARCH", name, version(0), 2 * WATCHED_KEYS)[0::2]
            self.keys[name] = frozenset(found)
        assert len(self.keys) == PARTITIONS
        assert sum(map(len, self.keys.values())) == WATCHED_KEYS
        # A key lies in the same partition of every index that has as many.
        self.probes = {name: min(keys) for name, keys in self.keys.items()}

    def of(self, nodes):
        owners = self.cluster.partitions(WATCHED)
        return {name for name, node in owners.items() if node in nodes}

    def missing(self, sample):
        """Those of which an answer holds nothing. It holds all of the others, and counts them right."""
        missing = {name for name, keys in self.keys.items() if not keys & sample.keys}
        whole = frozenset().union(*(keys for name, keys in self.keys.items() if name not in missing))
        assert whole == sample.keys, "a part of a partition has answered"
        assert sample.ok == PARTITIONS - len(missing), (sample.ok, missing)
        return missing

    def check(self, outages, samples, stalls):
        """Each answer against the last outage that began before it ended. What was checked, in words."""
        during = stalled = 0
        for sample in samples:
            missing = self.missing(sample)
            if any(sample.began < end + SETTLE_SECONDS and begin < sample.ended for begin, end in stalls):
                stalled += 1
                continue
            begun = [outage for outage in outages if outage.began <= sample.ended]
            during += (begun or outages[:1])[-1].check(missing, sample)
        assert during > 0 or stalled > 0, "nobody has asked while something was lost"
        return (
            f"{len(samples)} answers with PARTIAL, {during} of them while partitions were surely missing, "
            f"{stalled} beside stalls of the machine"
        )


@dataclass
class Outage:
    """What was lost, and when: not before `began`, surely from `lost` to `replaced` (when nobody had taken over yet), and not
    any more from `back` on. Seconds of time.monotonic(). `doubtful` partitions may have been missing meanwhile, too."""

    partitions: set
    began: float
    lost: float
    replaced: float
    back: float
    doubtful: set = field(default_factory=set)

    def check(self, missing, sample):
        """Whether the answer came while all that was lost was surely missing. It tells what was there."""
        when = f"{sample.began - self.began:.3f} to {sample.ended - self.began:.3f} s after it began"
        # A node that waits for the processor as long as a router waits for it is missing.
        is_slow = sample.ended - sample.began > SLOW_SECONDS
        unexpected = missing - self.partitions - self.doubtful
        assert is_slow or not unexpected, f"{unexpected} were there and are missing, {when}: {self}"
        if self.lost <= sample.began and sample.ended <= self.replaced:
            assert self.partitions <= missing, f"{self.partitions - missing} were lost and answered, {when}: {self}"
            return True
        if sample.ended <= self.began or self.back <= sample.began:
            assert is_slow or not missing, f"{missing} were there and are missing, {when}: {self}"
        return False


def wait_until_leads(replica, load):
    """The last moment at which it had not taken over."""
    last = time.monotonic()

    def took_over():
        nonlocal last
        now = time.monotonic()
        if replica.is_master():
            return True
        last = now
        return False

    live.wait_until(lambda: load.failures or took_over(), f"{replica.folder.name} takes over")
    load.check()
    return last


def serves(router, partitions):
    """Whether a search of all partitions and a write to each of them are answered."""
    with contextlib.suppress(Closed), router.wire() as wire:
        if isinstance(wire.call("VSEARCH", WATCHED, version(0), 1), ErrorReply):
            return False
        return all(wire.call("VADD", WRITTEN, probe, version(0)) in (0, 1) for probe in partitions.probes.values())
    return False
