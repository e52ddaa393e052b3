# SPDX-License-Identifier: Apache-2.0
"""A Redis Cluster of nodes with engram's module, and routers in front of it, each a process with a folder
of its own. Used by cluster.py and by the end-to-end tests. One thread at a time."""

from __future__ import annotations

import itertools
import re
import signal
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import redis

from common import UserError
from processes import PATIENCE_SECONDS, die_with_parent, free_port, redis_program, wait_until

SLOTS = 16384
MIGRATE_TIMEOUT_MS = 20_000
KEYS_AT_ONCE = 10


class Process:
    """A program, with `log` and `pid` in its folder. Unless it `outlives` this process, it ends with the
    thread that has started it."""

    host = "127.0.0.1"
    port = 0

    def __init__(self, folder: Path, outlives: bool = False) -> None:
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.log = folder / "log"
        self._outlives = outlives
        self.process: subprocess.Popen[bytes] | None = None

    def _spawn(self, command: Sequence[Any]) -> None:
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=self._outlives,
                preexec_fn=None if self._outlives else die_with_parent,
            )
        (self.folder / "pid").write_text(f"{self.process.pid}\n")

    @property
    def address(self) -> str:
        return f"{self.host}:{self.port}"

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def assert_running(self) -> None:
        if not self.is_alive():
            raise UserError(f"{self.folder.name} has ended:\n{self.output()}")

    def send_signal(self, number: int) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """Waits for its end."""
        self.send_signal(signal.SIGKILL)
        assert self.process is not None
        self.process.wait(timeout=PATIENCE_SECONDS)

    @contextmanager
    def _killed_on_failure(self) -> Iterator[None]:
        """One that does not start is not left behind."""
        try:
            yield
        except BaseException:
            if self.is_alive():
                self.kill()
            raise

    def stop(self) -> None:
        """Keeps its sockets open and answers nothing, until go_on()."""
        self.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        self.send_signal(signal.SIGCONT)


class Node(Process):
    """A server of the cluster, which knows no other yet. `launcher` stands before its command."""

    def __init__(
        self,
        folder: Path,
        module: Path,
        timeout_ms: int,
        flags: Sequence[Any] = (),
        host: str = "127.0.0.1",
        launcher: Sequence[Any] = (),
        outlives: bool = False,
        workers: int = 2,
    ) -> None:
        super().__init__(folder, outlives)
        self.host = host
        self.port, self.bus_port = free_port(), free_port()
        settings = {
            "--bind": host,
            "--protected-mode": "no",
            "--port": self.port,
            "--dir": folder,
            "--save": "",
            "--repl-diskless-sync-delay": 0,
            # Until the first ping a replica has no offset, and nobody lists it.
            "--repl-ping-replica-period": 1,
            "--shutdown-timeout": 0,
            "--cluster-enabled": "yes",
            "--cluster-port": self.bus_port,
            "--cluster-node-timeout": timeout_ms,
            "--cluster-require-full-coverage": "no",
            "--cluster-allow-reads-when-down": "yes",
        }
        self._command = [*launcher, redis_program(folder)]
        self._command += [word for setting in settings.items() for word in setting]
        self._command += ["--loadmodule", module, "workers", workers, *flags]
        with self._killed_on_failure():
            self.start()
            self.id = self.ask("CLUSTER", "MYID").decode()

    def start(self) -> None:
        """The same node anew after its end: it knows the cluster, and has no data."""
        self._spawn(self._command)
        wait_until(self._answers, f"{self.folder.name} answers")

    def _answers(self) -> bool:
        self.assert_running()
        try:
            return bool(self.ask("PING"))
        except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
            return False

    def ask(self, *command: Any) -> Any:
        """The reply as it came, text as bytes, through a connection of its own. Errors: redis.RedisError."""
        connection = redis.Connection(self.host, self.port, socket_timeout=PATIENCE_SECONDS)
        try:
            connection.send_command(*command)
            return connection.read_response()
        finally:
            connection.disconnect()

    def is_master(self) -> bool:
        return bool(self.ask("ROLE")[0] == b"master")


class Router(Process):
    """`engram serve --role router`, on a port that the system chooses unless the flags name one."""

    def __init__(
        self,
        folder: Path,
        program: Path | str,
        nodes: str,
        flags: Sequence[Any] = (),
        launcher: Sequence[Any] = (),
        outlives: bool = False,
    ) -> None:
        super().__init__(folder, outlives)
        role = ["serve", "--role", "router", "--cluster", nodes, "--port", 0]
        self._spawn([*launcher, program, *role, *flags])

        def announced() -> re.Match[str] | None:
            self.assert_running()
            return re.search(r"listening on (\S+):(\d+)", self.output())

        with self._killed_on_failure():
            found = wait_until(announced, "the router listens")
        assert found is not None
        self.host, self.port = found[1], int(found[2])


class Cluster:
    """Nodes that become one: the first are masters that share the slots evenly, the others their replicas,
    the same number for each."""

    def __init__(self, nodes: Sequence[Node], masters: int) -> None:
        self.nodes = list(nodes)
        self.masters = self.nodes[:masters]
        self.replicas = len(self.nodes) // masters - 1
        self.routers: list[Router] = []
        self._join()

    def _join(self) -> None:
        masters = len(self.masters)
        for i, node in enumerate(self.nodes):
            node.ask("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for i, node in enumerate(self.masters):
            first, last = SLOTS * i // masters, SLOTS * (i + 1) // masters - 1
            node.ask("CLUSTER", "ADDSLOTSRANGE", first, last)
        # All pairs: gossip would take seconds to introduce them.
        for one, other in itertools.combinations(self.nodes, 2):
            one.ask("CLUSTER", "MEET", other.host, other.port, other.bus_port)
        wait_until(lambda: all(self._knows_all(node) for node in self.nodes), "all nodes have met")
        for i, node in enumerate(self.nodes[masters:]):
            node.ask("CLUSTER", "REPLICATE", self.masters[i % masters].id)
        wait_until(self.is_whole, "the cluster is whole")

    def _knows_all(self, node: Node) -> bool:
        text = node.ask("CLUSTER", "NODES").decode()
        return len(text.splitlines()) == len(self.nodes) and "handshake" not in text

    def is_whole(self, replicas: int | None = None) -> bool:
        """Whether every node that runs says so, and sees so many connected replicas of each master; as many
        as there were, unless told."""
        wanted = self.replicas if replicas is None else replicas
        return all(
            b"cluster_state:ok" in node.ask("CLUSTER", "INFO") and self._slots_have(node, wanted)
            for node in self.alive()
        )

    def _slots_have(self, node: Node, replicas: int) -> bool:
        ranges = node.ask("CLUSTER", "SLOTS")
        covered = sum(entry[1] - entry[0] + 1 for entry in ranges)
        if covered != SLOTS or any(len(entry) < 3 + replicas for entry in ranges):
            return False
        role = node.ask("ROLE")
        return bool(role[0] == b"master" or role[3] == b"connected")

    def alive(self) -> list[Node]:
        return [node for node in self.nodes if node.is_alive()]

    def addresses(self) -> str:
        """As `--cluster` takes them."""
        return ",".join(node.address for node in self.nodes)

    def replica_of(self, master: Node) -> Node:
        roles = ((node, node.ask("ROLE")) for node in self.alive())
        return next(node for node, role in roles if role[0] == b"slave" and role[2] == master.port)

    def master_of(self, replica: Node) -> Node:
        port = replica.ask("ROLE")[2]
        return next(node for node in self.nodes if node.port == port)

    def owner_of(self, slot: int) -> Node | None:
        """The node that serves a slot now, as the nodes that run see it; None while there is none."""
        for node in self.alive():
            for first, last, master, *_ in node.ask("CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    found = [other for other in self.nodes if other.port == master[1]]
                    if found and found[0].is_alive():
                        return found[0]
        return None

    def slot_of(self, key: str) -> int:
        return int(self.alive()[0].ask("CLUSTER", "KEYSLOT", key))

    def partitions(self, index: str) -> dict[str, Node]:
        """The partitions of an index, by the keys under which they lie, in the order of their slots; and
        who has them."""
        found: dict[str, Node] = {}
        for node in self.alive():
            if node.is_master():
                keys = (key.decode() for key in node.ask("KEYS", f"{index}:{{*"))
                found |= {key: node for key in keys if not key.endswith(":meta")}
        return {key: found[key] for key in sorted(found, key=self.slot_of)}

    # --- moving slots -----------------------------------------------------------------------------

    def begin_migration(self, slot: int, target: Node) -> Node:
        """Marks a slot as on its way to `target`. Returns its source."""
        source = self.owner_of(slot)
        if source is None:
            raise UserError(f"no node serves slot {slot}")
        target.ask("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id)
        source.ask("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id)
        return source

    def move_keys(
        self, slot: int, source: Node, target: Node, timeout_ms: int = MIGRATE_TIMEOUT_MS
    ) -> None:
        """Moves all that is in the slot."""
        while keys := source.ask("CLUSTER", "GETKEYSINSLOT", slot, KEYS_AT_ONCE):
            where = (target.host, target.port, "", 0, timeout_ms)
            source.ask("MIGRATE", *where, "KEYS", *keys)

    def end_migration(self, slot: int, target: Node) -> None:
        for node in (target, *(other for other in self.alive() if other is not target)):
            if node.is_master():
                node.ask("CLUSTER", "SETSLOT", slot, "NODE", target.id)

    def move_slot(self, slot: int, target: Node) -> None:
        """A whole migration, as redis-cli --cluster reshard does it."""
        source = self.begin_migration(slot, target)
        self.move_keys(slot, source, target)
        self.end_migration(slot, target)

    def end(self) -> None:
        end_nodes(self.nodes)


def start_nodes(count: int, start_one: Callable[[int], Node]) -> list[Node]:
    """All, or none if one does not start."""
    nodes: list[Node] = []
    try:
        for i in range(count):
            nodes.append(start_one(i))
    except BaseException:
        end_nodes(nodes)
        raise
    return nodes


def end_nodes(nodes: Sequence[Node]) -> None:
    """At once: a replica that waits for its master, or a master for its replicas, would take its time."""
    for node in nodes:
        if node.is_alive():
            node.kill()
