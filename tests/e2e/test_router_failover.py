# SPDX-License-Identifier: Apache-2.0
"""What a router makes of nodes that disagree on who leads, and of one that has just been deposed."""

import contextlib
import select
import socket
import struct

import pytest

import live
from cluster import Router
from scripted_node import ScriptedNode, bulk, moved, slots_of
from wire import ErrorReply, encode, pack

LAYOUT = "dim 1 metric l2 primitive flat partitions 1 epoch 5 state ready"
UNBLOCKED = (
    b"-UNBLOCKED force unblock from blocking operation, instance state changed (master -> replica?)\r\n"
)
VECTOR = pack(1)


@pytest.fixture
def nodes():
    """A node that led, and its successor. Both take the first for the master, until told otherwise."""
    with ScriptedNode() as deposed, ScriptedNode() as successor:
        deposed.view = [deposed.line(3, "myself,master"), successor.line(3, "slave", "")]
        successor.view = [deposed.line(3, "master"), successor.line(3, "myself,slave", "")]
        for node in (deposed, successor):
            node.replies["GET"] = [bulk(LAYOUT)]
        deposed.replies["ENGRAM.VGET"] = [bulk("deposed")]
        successor.replies["ENGRAM.VGET"] = [bulk("successor")]
        yield deposed, successor


@contextlib.contextmanager
def router_of(tmp_path, *nodes, flags=()):
    router = Router(tmp_path / "router", ",".join(node.address for node in nodes), *flags)
    try:
        with router.wire() as wire:
            live.wait_until(lambda: maps_learned(router) > 0, "it knows the cluster")
            yield router, wire
    finally:
        router.end()


def maps_learned(router):
    return router.redis().info("router")["slot_maps_learned"]


def test_a_deposed_master_is_not_asked_once_its_successor_is_known(nodes, tmp_path):
    deposed, successor = nodes
    with router_of(tmp_path, *nodes) as (router, wire):
        assert wire.call("VGET", "i", "key") == b"deposed"
        successor.view = [deposed.line(3, "master,fail", ""), successor.line(4, "myself,master")]
        live.wait_until(lambda: wire.call("VGET", "i", "key") == b"successor", "the successor is known")
        # Each is asked again, and says of itself that it leads.
        learned = maps_learned(router)
        answers = {wire.call("VGET", "i", "key")}
        while maps_learned(router) < learned + 4:
            answers.add(wire.call("VGET", "i", "key"))
        assert answers == {b"successor"}


def test_a_read_that_a_deposed_master_gave_up_is_asked_of_its_successor(nodes, tmp_path):
    deposed, successor = nodes
    with router_of(tmp_path, *nodes) as (_, wire):
        deposed.replies["ENGRAM.VGET"] = [UNBLOCKED, moved(successor)]
        assert wire.call("VGET", "i", "key") == b"successor"
        assert deposed.asked["ENGRAM.VGET"] == 2


def test_a_read_that_nobody_takes_over_counts_as_missing(nodes, tmp_path):
    deposed, _ = nodes
    deposed.replies["ENGRAM.VSEARCH"] = [UNBLOCKED]
    with router_of(tmp_path, *nodes) as (_, wire):
        error = wire.call("VSEARCH", "i", VECTOR, 1)
        assert isinstance(error, ErrorReply)
        assert error.startswith("MISSING 1 of 1 partitions of index 'i' did not answer") and "UNBLOCKED" in error
        partial = wire.call("VSEARCH", "i", VECTOR, 1, "PARTIAL")
        told = dict(zip(partial[0::2], partial[1::2]))
        assert (told[b"results"], told[b"ok"], told[b"total"]) == ([], 0, 1)


def test_a_write_that_a_deposed_master_gave_up_may_be_done_and_is_not_repeated(nodes, tmp_path):
    deposed, successor = nodes
    deposed.replies["ENGRAM.VADD"] = [UNBLOCKED, moved(successor)]
    successor.replies["ENGRAM.VADD"] = [b":1\r\n"]
    with router_of(tmp_path, *nodes) as (_, wire):
        error = wire.call("VADD", "i", "key", VECTOR)
        assert isinstance(error, ErrorReply) and error.startswith("MISSING 1 of 1 partitions")
        assert error.endswith("; the write may be done in part or in full")
        assert deposed.asked["ENGRAM.VADD"] == 1 and successor.asked["ENGRAM.VADD"] == 0
        # The next one finds its way.
        assert wire.call("VADD", "i", "key", VECTOR) == 1


def test_a_layout_whose_writing_was_not_confirmed_may_be_written(nodes, tmp_path):
    deposed, _ = nodes
    deposed.replies["EVAL"] = [UNBLOCKED]
    with router_of(tmp_path, *nodes) as (_, wire):
        error = wire.call("VNEW", "i", 1, "PARTITIONS", 1)
        assert isinstance(error, ErrorReply) and error.startswith("MISSING whether the layout of index 'i'")
        assert error.endswith("; the write may be done")


def test_why_an_index_cannot_be_made_is_told_whatever_becomes_of_its_layout(nodes, tmp_path):
    deposed, _ = nodes
    deposed.replies["ENGRAM.VNEW"] = [b"-ERR unknown metric 'far'\r\n"]
    deposed.replies["UNLINK"] = [b":0\r\n"]
    with router_of(tmp_path, *nodes) as (_, wire):
        for taken in (UNBLOCKED, b"-ERR no scripts\r\n", b"$-1\r\n", b":1\r\n"):
            deposed.replies["EVAL"] = [b"+OK\r\n", taken]
            assert wire.call("VNEW", "i", 1, "PARTITIONS", 1) == "ERR unknown metric 'far'"
        assert deposed.asked["EVAL"] == 8


def role_of_replica(master, offset):
    return f"*5\r\n$5\r\nslave\r\n$9\r\n{master.host}\r\n:{master.port}\r\n$9\r\nconnected\r\n:{offset}\r\n".encode()


def test_a_replica_that_has_changed_its_master_is_not_fresh_for_the_other(tmp_path):
    with ScriptedNode() as first, ScriptedNode() as second, ScriptedNode() as replica:
        nodes = (first, second, replica)
        masters = [first.line(3, "master", "0"), second.line(4, "master", "1-16383")]

        def follow(master):
            line = f"id{replica.port} {replica.address}@1 slave id{master.port} 0 0 3 connected"
            for node in nodes:
                node.view = [*masters, line]

        follow(first)
        for node, name in zip(nodes, ("first", "second", "replica")):
            node.slots = slots_of(*nodes)
            node.replies |= {"GET": [bulk(LAYOUT)], "READONLY": [b"+OK\r\n"], "ENGRAM.VGET": [bulk(name)]}
        first.replies["ROLE"] = [b"*3\r\n$6\r\nmaster\r\n:100\r\n*0\r\n"]
        second.replies["ROLE"] = [b"*3\r\n$6\r\nmaster\r\n:50\r\n*0\r\n"]
        replica.replies["ROLE"] = [role_of_replica(first, 100)]
        flags = ("--reads", "replica", "--staleness", 60_000)
        with router_of(tmp_path, *nodes, flags=flags) as (router, wire):

            def fresh():
                return router.redis().info("router")["fresh_replicas"]

            live.wait_until(lambda: fresh() == 1, "the replica is fresh")
            follow(second)
            # It goes by its old master still.
            live.wait_until(lambda: fresh() == 0, "the replica is not fresh for its new master")
            asked = replica.asked["ROLE"]
            live.wait_until(lambda: replica.asked["ROLE"] > asked + 2, "the replica is asked again")
            assert fresh() == 0
            assert wire.call("VGET", "i", "key") == b"second" and replica.asked["ENGRAM.VGET"] == 0
            replica.replies["ROLE"] = [role_of_replica(second, 50)]
            live.wait_until(lambda: fresh() == 1, "the replica has all of its new master")
            assert wire.call("VGET", "i", "key") == b"replica"


def test_a_write_does_not_begin_from_what_a_replica_says(tmp_path):
    with ScriptedNode() as master, ScriptedNode() as replica:
        line = f"id{replica.port} {replica.address}@1 slave id{master.port} 0 0 3 connected"
        for node in (master, replica):
            node.view = [master.line(3, "master"), line]
            node.slots = slots_of(master, replica)
            node.replies |= {"READONLY": [b"+OK\r\n"], "ENGRAM.VGET": [bulk("value")], "ENGRAM.VADD": [b":1\r\n"]}
        master.replies["GET"] = [bulk(LAYOUT)]
        replica.replies["GET"] = [bulk(LAYOUT.replace("epoch 5", "epoch 4"))]
        master.replies["ROLE"] = [b"*3\r\n$6\r\nmaster\r\n:100\r\n*0\r\n"]
        replica.replies["ROLE"] = [role_of_replica(master, 100)]
        flags = ("--reads", "replica", "--staleness", 60_000)
        with router_of(tmp_path, master, replica, flags=flags) as (router, wire):
            live.wait_until(lambda: router.redis().info("router")["fresh_replicas"] == 1, "it is fresh")
            assert wire.call("VGET", "i", "key") == b"value" and master.asked["GET"] == 0
            assert wire.call("VADD", "i", "key", VECTOR) == 1
            assert master.asked["GET"] == 1 and master.asked["ENGRAM.VADD"] == 1


def test_a_client_that_hangs_up_while_it_is_held_up_is_let_go(nodes, tmp_path):
    deposed, _ = nodes
    deposed.replies["ENGRAM.VADD"] = [b""]
    command = encode("VADD", "i", "key", VECTOR) * 1000
    with router_of(tmp_path, *nodes, flags=("--node-timeout", 600_000)) as (router, wire):
        with router.wire() as client:
            client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            client.socket.setblocking(False)

            def takes_no_more():
                for _ in range(50):  # turns of the router
                    if select.select([], [client.socket], [], 0)[1]:
                        client.socket.send(command)
                        return False
                    assert wire.call("PING") == "PONG"
                return True

            live.wait_until(takes_no_more, "the router has read as far ahead as it does")
            clients = router.redis().info("clients")["connected_clients"]
        live.wait_until(
            lambda: router.redis().info("clients")["connected_clients"] == clients - 1, "the client is let go"
        )


def test_a_write_that_a_node_refuses_for_want_of_replicas_is_not_done(nodes, tmp_path):
    """NOREPLICAS of a router says the reverse."""
    deposed, _ = nodes
    deposed.replies["ENGRAM.VADD"] = [b"-NOREPLICAS Not enough good replicas to write.\r\n"]
    with router_of(tmp_path, *nodes) as (_, wire):
        assert wire.call("VADD", "i", "key", VECTOR) == (
            "ERR the write is not done at partition 0, "
            "whose node says NOREPLICAS Not enough good replicas to write."
        )
