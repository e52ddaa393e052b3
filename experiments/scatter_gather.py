# SPDX-License-Identifier: Apache-2.0
"""Real scattered searches: hosts of the module on this machine, partitions of an index on them, and
one thread that asks all partitions and merges, as a router does. cluster_model.py fits its model to
what is measured here, and is checked against it.

All processes share the cores of this machine. CLIENTS searches are under way at a time, each with
a connection of its own to each host: a blocked client of Redis begins nothing else."""

from __future__ import annotations

import hashlib
import heapq
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from common import UserError
from processes import ServerProcess

STRETCH = 100  # searches
RECEIVED_AT_ONCE = 1 << 16


def module_host(module: Path, workers: int) -> ServerProcess:
    """A Redis of Debian with the module, which keeps nothing."""
    flags = ["--save", "", "--loadmodule", str(module.resolve()), "workers", str(workers)]
    return ServerProcess(["redis-server", *flags])


def encode(*words: bytes | str | int) -> bytes:
    """A command as RESP has it."""
    parts = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(p), p) for p in parts)


def partition_of(key: bytes, partitions: int) -> int:
    """Where a key lies, by a hash of it."""
    digest = hashlib.blake2b(key, digest_size=4).digest()
    return int.from_bytes(digest, "little") * partitions >> 32


@dataclass(frozen=True)
class Processors:
    """Seconds of processor time that threads have used so far."""

    asker: float
    mains: float
    workers: float

    def __sub__(self, other: Processors) -> Processors:
        return Processors(
            self.asker - other.asker, self.mains - other.mains, self.workers - other.workers
        )


def processors(pids: Sequence[int]) -> Processors:
    """Of this thread, and of the main threads and all other threads of `pids`."""
    mains, others = 0.0, 0.0
    for pid in pids:
        for task in Path(f"/proc/{pid}/task").iterdir():
            seconds = int((task / "schedstat").read_text().split()[0]) * 1e-9
            if task.name == str(pid):
                mains += seconds
            else:
                others += seconds
    return Processors(time.thread_time(), mains, others)


@dataclass
class Measured:
    """What a run of scattered searches took. `latencies_s` is by query, `ends_s` in order."""

    latencies_s: list[float]
    ends_s: list[float]
    bytes: int
    refetches: int
    used: Processors

    @property
    def rate(self) -> float:
        """Searches a second: the median of stretches of them, some of which other programs delay."""
        return STRETCH / float(np.median(np.diff(self.ends_s[::STRETCH])))

    def percentile_ms(self, percent: float) -> float:
        return float(np.percentile(self.latencies_s, percent)) * 1e3


class Asker:
    """Searches an index of which each port holds a partition under `name`, `hits` at first of each;
    options stand behind k."""

    def __init__(
        self,
        ports: Sequence[int],
        name: str,
        k: int,
        hits: int,
        options: Sequence[str],
        command: str = "ENGRAM.VSEARCH",
    ) -> None:
        self._ports, self._name, self._k, self._hits = ports, name, k, hits
        self._options = options
        self._command = command
        self._bytes = 0
        self._refetches = 0

    def run(self, queries: np.ndarray, clients: int, pids: Sequence[int]) -> Measured:
        """Each of `queries` once; `clients` of them at a time."""
        waiting = iter(range(len(queries)))
        latencies, ends = [0.0] * len(queries), [time.perf_counter()]
        self._bytes = self._refetches = 0
        with selectors.DefaultSelector() as selector:
            seats = [_Seat(self, selector, self._ports) for _ in range(clients)]
            before = processors(pids)
            busy = 0
            for seat, number in zip(seats, waiting):
                seat.begin(number, queries[number].tobytes())
                busy += 1
            while busy > 0:
                for key, _ in selector.select():
                    seat, which = key.data
                    if not seat.read(which):
                        continue
                    ends.append(time.perf_counter())
                    latencies[seat.number] = ends[-1] - seat.began
                    following = next(waiting, None)
                    if following is None:
                        busy -= 1
                    else:
                        seat.begin(following, queries[following].tobytes())
            used = processors(pids) - before
            for seat in seats:
                seat.close()
        return Measured(latencies, ends, self._bytes, self._refetches, used)

    def request(self, query: bytes, hits: int) -> bytes:
        return encode(self._command, self._name, query, hits, *self._options)

    def count(self, size: int) -> None:
        self._bytes += size

    def merge(self, replies: list[list[tuple[float, bytes]]]) -> list[int]:
        """Leaves the k nearest; returns the partitions that may hold more of them."""
        nearest = heapq.nsmallest(self._k, (hit for reply in replies for hit in reply))
        if self._hits >= self._k:
            return []
        last = nearest[-1]
        again = [i for i, reply in enumerate(replies) if len(reply) == self._hits and reply[-1] <= last]
        self._refetches += bool(again)
        return again

    @property
    def hits(self) -> int:
        return self._hits

    @property
    def k(self) -> int:
        return self._k


class _Seat:
    """A client: one search at a time."""

    def __init__(
        self, asker: Asker, selector: selectors.BaseSelector, ports: Sequence[int]
    ) -> None:
        self.number = 0
        self.began = 0.0
        self._asker = asker
        self._query = b""
        self._left = 0
        self._is_second = False
        self._sockets = []
        for which, port in enumerate(ports):
            connection = socket.create_connection(("127.0.0.1", port))
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ, (self, which))
            self._sockets.append(connection)
        self._buffers = [b""] * len(ports)
        self._replies: list[list[tuple[float, bytes]]] = [[] for _ in ports]

    def begin(self, number: int, query: bytes) -> None:
        self.number, self._query, self._is_second = number, query, False
        self.began = time.perf_counter()
        self._ask(range(len(self._sockets)), self._asker.hits)

    def _ask(self, partitions: Sequence[int], hits: int) -> None:
        request = self._asker.request(self._query, hits)
        self._left = len(partitions)
        for which in partitions:
            self._buffers[which] = b""
            self._sockets[which].sendall(request)
            self._asker.count(len(request))

    def read(self, which: int) -> bool:
        """Whether the search has its answer."""
        received = self._sockets[which].recv(RECEIVED_AT_ONCE)
        if not received:
            raise UserError("a host has closed a connection")
        buffer = self._buffers[which] = self._buffers[which] + received
        hits = _hits_of(buffer)
        if hits is None:
            return False
        self._asker.count(len(buffer))
        self._replies[which] = hits
        self._left -= 1
        if self._left > 0:
            return False
        again = [] if self._is_second else self._asker.merge(self._replies)
        if again:
            self._is_second = True
            self._ask(again, self._asker.k)
        return not again

    def close(self) -> None:
        for connection in self._sockets:
            connection.close()


def _hits_of(reply: bytes) -> list[tuple[float, bytes]] | None:
    """The hits of a whole reply in RESP2, whose keys hold no line breaks; None if some is
    missing."""
    if reply.startswith(b"-"):
        raise UserError(f"a host refused a search: {reply.decode(errors='replace').strip()}")
    lines = reply.split(b"\r\n")
    if len(lines) < 2 or len(lines) != 2 * int(lines[0][1:]) + 2:
        return None
    return [(float(distance), key) for key, distance in zip(lines[2::4], lines[4::4])]
