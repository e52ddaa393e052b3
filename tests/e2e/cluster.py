# SPDX-License-Identifier: Apache-2.0
"""A Redis Cluster of nodes with engram's module, and routers in front of it, as tests have them."""

import contextlib
import os
import signal

import redis

import live
import redis_cluster

PATIENT_MS = 15_000  # a node that waits for the processor has not failed
FAILOVER_MS = 1500


class Node(redis_cluster.Node, live.Reachable):
    def __init__(self, folder, timeout_ms, *flags, **where):
        module = os.environ["ENGRAM_MODULE"]
        own = ("--enable-debug-command", "yes", *flags)
        super().__init__(folder, module, timeout_ms, own, **where)

    def call(self, *command):
        """The reply, errors included, through a connection of its own."""
        with self.wire() as wire:
            return wire.call(*command)


class Cluster(redis_cluster.Cluster):
    """Masters that share the slots evenly, each with as many replicas. To be ended with end(), or used as a
    context manager."""

    def __init__(self, folder, masters=3, replicas=0, timeout_ms=PATIENT_MS, flags=(), places=()):
        """`places` are where nodes run, `host` and `launcher` of each, unless they run here."""
        folder.mkdir(exist_ok=True)
        self.folder = folder
        count = masters * (1 + replicas)
        wheres = places or [{}] * count
        nodes = redis_cluster.start_nodes(
            count, lambda i: Node(folder / f"node{i}", timeout_ms, *flags, **wheres[i])
        )
        try:
            super().__init__(nodes, masters)
        except BaseException:
            redis_cluster.end_nodes(nodes)
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.end()

    def client(self):
        """redis-py's client of clusters."""
        nodes = [redis.cluster.ClusterNode(node.host, node.port) for node in self.alive()]
        return redis.RedisCluster(startup_nodes=nodes, socket_timeout=live.PATIENCE_SECONDS)

    def router(self, *flags, launcher=()):
        """One more router before the cluster; ends with it."""
        folder = self.folder / f"router{len(self.routers)}"
        self.routers.append(Router(folder, self.addresses(), *flags, launcher=launcher))
        return self.routers[-1]

    def end(self):
        with contextlib.ExitStack() as all_ends:
            all_ends.callback(super().end)
            for router in self.routers:
                all_ends.callback(router.end)


class Router(redis_cluster.Router, live.Reachable):
    def __init__(self, folder, addresses, *flags, launcher=()):
        super().__init__(folder, os.environ["ENGRAM_SERVER"], addresses, flags, launcher)

    def end(self):
        """It must have run until now, and end cleanly."""
        self.assert_running()
        self.go_on()
        self.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(timeout=live.PATIENCE_SECONDS)
        finally:
            self.kill()
        assert status == 0, f"the router ended with {status}:\n{self.output()}"
