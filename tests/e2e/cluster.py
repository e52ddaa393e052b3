# SPDX-License-Identifier: Apache-2.0
"""A Redis Cluster of nodes with engram's module, and routers in front of it."""

import itertools
import re
import signal

import redis

import live
from wire import ErrorReply

SLOTS = 16384
PATIENT_MS = 15_000  # a node that waits for the processor has not failed
FAILOVER_MS = 1500


class Node(live.ModuleHost):
    """One node, which knows no other yet."""

    def __init__(self, folder, timeout_ms, *flags):
        cluster = {
            "--cluster-enabled": "yes",
            "--cluster-node-timeout": timeout_ms,
            "--cluster-require-full-coverage": "no",
            "--cluster-allow-reads-when-down": "yes",
            "--cluster-port": live.free_port(),
        }
        self.bus_port = cluster["--cluster-port"]
        super().__init__(folder, *(x for pair in cluster.items() for x in pair), *flags)
        self.id = self.call("CLUSTER", "MYID").decode()

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def call(self, *command):
        """The reply, errors included, through a connection of its own."""
        with self.wire() as wire:
            return wire.call(*command)

    def is_alive(self):
        return self.process.poll() is None

    def kill(self):
        self.send_signal(signal.SIGKILL)
        self.wait()

    def stop(self):
        """Keeps its sockets open and answers nothing, until go_on()."""
        self.send_signal(signal.SIGSTOP)

    def go_on(self):
        self.send_signal(signal.SIGCONT)


class Cluster:
    """Masters that share the slots evenly, each with as many replicas. To be ended with end(), or used as a
    context manager."""

    def __init__(self, folder, masters=3, replicas=0, timeout_ms=PATIENT_MS, flags=()):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.nodes = []
        self.routers = []
        try:
            for i in range(masters * (1 + replicas)):
                self.nodes.append(Node(folder / f"node{i}", timeout_ms, *flags))
            self.masters = self.nodes[:masters]
            self._join(replicas)
        except BaseException:
            self.end()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def _join(self, replicas):
        masters = len(self.masters)
        for i, node in enumerate(self.nodes):
            node.call("CLUSTER", "SET-CONFIG-EPOCH", i + 1)
        for i, node in enumerate(self.masters):
            first, last = SLOTS * i // masters, SLOTS * (i + 1) // masters - 1
            assert node.call("CLUSTER", "ADDSLOTSRANGE", first, last) == "OK"
        # All pairs: gossip would take seconds to introduce them.
        for one, other in itertools.combinations(self.nodes, 2):
            one.call("CLUSTER", "MEET", "127.0.0.1", other.port, other.bus_port)
        live.wait_until(lambda: all(self._knows_all(node) for node in self.nodes), "all nodes have met")
        for i, node in enumerate(self.nodes[masters:]):
            assert node.call("CLUSTER", "REPLICATE", self.masters[i % masters].id) == "OK"
        live.wait_until(lambda: self.is_whole(replicas), "the cluster is whole")

    def _knows_all(self, node):
        text = node.call("CLUSTER", "NODES").decode()
        return len(text.splitlines()) == len(self.nodes) and "handshake" not in text

    def is_whole(self, replicas=0):
        """Whether every node that runs says so, and sees so many connected replicas of each master."""
        return all(
            "cluster_state:ok" in node.call("CLUSTER", "INFO").decode()
            and self._slots_have(node, replicas)
            for node in self.alive()
        )

    def _slots_have(self, node, replicas):
        ranges = node.call("CLUSTER", "SLOTS")
        covered = sum(entry[1] - entry[0] + 1 for entry in ranges)
        if covered != SLOTS or any(len(entry) < 3 + replicas for entry in ranges):
            return False
        role = node.call("ROLE")
        return role[0] == b"master" or role[3] == b"connected"

    def alive(self):
        return [node for node in self.nodes if node.is_alive()]

    def addresses(self):
        """As `--cluster` takes them."""
        return ",".join(node.address for node in self.nodes)

    def replica_of(self, master):
        roles = ((node, node.call("ROLE")) for node in self.alive())
        return next(node for node, role in roles if role[0] == b"slave" and role[2] == master.port)

    def owner_of(self, slot):
        """The node that serves a slot now, as the nodes that run see it; None while there is none."""
        for node in self.alive():
            for first, last, master, *_ in node.call("CLUSTER", "SLOTS"):
                if first <= slot <= last:
                    found = [other for other in self.nodes if other.port == master[1]]
                    if found and found[0].is_alive():
                        return found[0]
        return None

    def slot_of(self, key):
        return self.alive()[0].call("CLUSTER", "KEYSLOT", key)

    def client(self):
        """redis-py's client of clusters."""
        nodes = [redis.cluster.ClusterNode("127.0.0.1", node.port) for node in self.alive()]
        return redis.RedisCluster(startup_nodes=nodes, socket_timeout=live.PATIENCE_SECONDS)

    def begin_migration(self, slot, target):
        """Marks a slot as on its way to `target`. Returns its source."""
        source = self.owner_of(slot)
        assert target.call("CLUSTER", "SETSLOT", slot, "IMPORTING", source.id) == "OK"
        assert source.call("CLUSTER", "SETSLOT", slot, "MIGRATING", target.id) == "OK"
        return source

    def move_keys(self, slot, source, target, timeout_ms=20000):
        """Moves all that is in the slot."""
        while keys := source.call("CLUSTER", "GETKEYSINSLOT", slot, 10):
            moved = source.call(
                "MIGRATE", "127.0.0.1", target.port, "", 0, timeout_ms, "KEYS", *keys
            )
            assert not isinstance(moved, ErrorReply), moved

    def end_migration(self, slot, target):
        for node in (target, *(other for other in self.alive() if other is not target)):
            if node.call("ROLE")[0] == b"master":
                assert node.call("CLUSTER", "SETSLOT", slot, "NODE", target.id) == "OK"

    def move_slot(self, slot, target):
        """A whole migration, as redis-cli --cluster reshard does it."""
        source = self.begin_migration(slot, target)
        self.move_keys(slot, source, target)
        self.end_migration(slot, target)

    def router(self, *flags):
        """One more router before the cluster; ends with it."""
        router = Router(self.folder / f"router{len(self.routers)}", self.addresses(), *flags)
        self.routers.append(router)
        return router

    def end(self):
        for router in self.routers:
            router.end()
        for node in self.nodes:
            if node.is_alive():
                node.go_on()
        # A replica that waits for its master, or a master for its replicas, would take its time.
        for node in self.alive():
            node.kill()


class Router(live.Process):
    """`engram serve --role router`, on a port that the system chooses."""

    def __init__(self, folder, addresses, *flags):
        folder.mkdir(exist_ok=True)
        command = live.engram_command(
            "serve", "--role", "router", "--cluster", addresses, "--port", 0, *flags
        )
        super().__init__(command, folder)

        def announced():
            self.assert_running()
            return re.search(r"listening on \S+:(\d+)", self.output())

        self.port = int(live.wait_until(announced, "the router listens").group(1))
