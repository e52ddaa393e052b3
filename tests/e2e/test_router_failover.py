# SPDX-License-Identifier: Apache-2.0
"""What a router makes of nodes that disagree on who leads."""

import contextlib

import pytest

import live
from cluster import Router
from scripted_node import ScriptedNode, bulk

LAYOUT = "dim 1 metric l2 primitive flat partitions 1 epoch 5 state ready"


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
