# SPDX-License-Identifier: Apache-2.0
"""A discrete-event simulation of threads, the cores they share, and links: what cluster_model.py is
made of. Times are seconds. Nothing here is random: who submits work draws it.

An event is an action at a time; events of one time happen in the order in which they were asked
for, so equal inputs give equal runs."""

from __future__ import annotations

import heapq
from collections import deque
from functools import partial
from typing import Callable

Action = Callable[[], None]


class Simulation:
    """The clock, and what is to happen."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Action]] = []
        self._asked = 0

    def after(self, seconds: float, action: Action) -> None:
        self._asked += 1
        heapq.heappush(self._events, (self.now + seconds, self._asked, action))

    def run(self) -> None:
        """Until nothing is left to happen."""
        events = self._events
        while events:
            self.now, _, action = heapq.heappop(events)
            action()


class Cores:
    """The cores of a machine. Threads that can run wait for a core in order, and keep it until they
    sleep, which is sooner than a slice of Linux's scheduler ends. With `count` None there is a core
    for each thread."""

    def __init__(self, count: int | None = None) -> None:
        self._free = float("inf") if count is None else count
        self._queue: deque[Callable[[bool], None]] = deque()

    def claim(self, run: Callable[[bool], None]) -> None:
        """Calls `run` once a core is there for it, which is held until release(); tells it whether
        the core was idle."""
        if self._free > 0:
            self._free -= 1
            run(True)
        else:
            self._queue.append(run)

    @property
    def is_waited_for(self) -> bool:
        return bool(self._queue)

    def release(self) -> None:
        if self._queue:
            self._queue.popleft()(False)
        else:
            self._free += 1


class Threads:
    """So many threads with one queue, first come, first served. One that has nothing to do sleeps. A
    core that was idle needs `turn_s` to get to a thread, and as long to become idle again; from one
    thread to another it needs `switch` of that, and to more work of the same thread nothing."""

    def __init__(
        self,
        simulation: Simulation,
        cores: Cores,
        count: int,
        turn_s: float = 0.0,
        switch: float = 1.0,
    ) -> None:
        self._simulation = simulation
        self._cores = cores
        self._asleep = count
        self._turn_s = turn_s
        self._switch_s = switch * turn_s
        self._queue: deque[tuple[float, Action]] = deque()
        self.busy_seconds = 0.0  # of work and turns, however long a core was waited for

    def submit(self, seconds: float, done: Action) -> None:
        self.busy_seconds += seconds
        self._queue.append((seconds, done))
        if self._asleep > 0:
            self._asleep -= 1
            self._cores.claim(self._wake)

    def _wake(self, was_idle: bool) -> None:
        """Another thread may have done meanwhile what this one was woken for."""
        self._go_on(self._turn_s if was_idle else self._switch_s)

    def _go_on(self, turn_s: float = 0.0) -> None:
        if self._queue:
            seconds, done = self._queue.popleft()
            self.busy_seconds += turn_s
            self._simulation.after(turn_s + seconds, partial(self._end, done))
        elif self._turn_s == 0:
            self._sleep()
        else:
            turn_s = self._switch_s if self._cores.is_waited_for else self._turn_s
            self.busy_seconds += turn_s
            self._simulation.after(turn_s, self._sleep)

    def _end(self, done: Action) -> None:
        done()
        self._go_on()

    def _sleep(self) -> None:
        """What came at the last moment is done first."""
        if self._queue:
            self._go_on()
        else:
            self._asleep += 1
            self._cores.release()


class Link:
    """A way into a machine: its bytes come one after another, each a hop after it was sent."""

    def __init__(
        self, simulation: Simulation, hop_s: float, bytes_per_s: float = float("inf")
    ) -> None:
        self._simulation = simulation
        self._hop_s = hop_s
        self._bytes_per_s = bytes_per_s
        self._free_at = 0.0
        self.bytes = 0

    def send(self, size: int, arrived: Action) -> None:
        self.bytes += size
        now = self._simulation.now
        self._free_at = max(now, self._free_at) + size / self._bytes_per_s
        self._simulation.after(self._free_at - now + self._hop_s, arrived)
