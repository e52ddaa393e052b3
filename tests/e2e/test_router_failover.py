# SPDX-License-Identifier: Apache-2.0
"""What a router makes of nodes that disagree on who leads, and of one that has just been deposed."""

import contextlib

import pytest

import live
from cluster import Router
from scripted_node import ScriptedNode, bulk, moved
from wire import ErrorReply, pack

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
def router_of(tmp_path, *nodes):
    router = Router(tmp_path / "router", ",".join(node.address for node in nodes))
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
