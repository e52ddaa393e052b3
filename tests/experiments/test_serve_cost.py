# SPDX-License-Identifier: Apache-2.0
"""Asking through raw connections: how much is under way, when an answer is whole, and recall."""

import socket

import numpy as np
import pytest

import serve_cost
from client import Answer
from common import UserError
from compare_graphs import Curve, Point
from serve_cost import (
    DEPTH,
    Lane,
    Searches,
    Turns,
    ask_all,
    lines_of_answer,
    ratios_of_rounds,
    recall,
)

ANSWER = b"*2\r\n$1\r\n7\r\n$3\r\n0.5\r\n"  # one key and its distance
LINES = lines_of_answer(1)
REQUESTS = [b"request %02d|" % number for number in range(DEPTH + 4)]


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        yield ours, theirs


def test_an_answer_has_the_lines_that_are_counted():
    assert ANSWER.count(b"\n") == LINES


def test_no_more_is_under_way_than_may_be(pair):
    ours, theirs = pair
    lane = Lane(ours, REQUESTS, LINES)
    lane.send()
    assert theirs.recv(10_000) == b"".join(REQUESTS[:DEPTH])
    theirs.sendall(3 * ANSWER)
    lane.receive()
    lane.send()
    assert lane.answered == 3 and theirs.recv(10_000) == b"".join(REQUESTS[DEPTH : DEPTH + 3])


def test_half_an_answer_does_not_count(pair):
    ours, theirs = pair
    lane = Lane(ours, REQUESTS[:1], LINES)
    lane.send()
    theirs.sendall(ANSWER[:-1])
    lane.receive()
    assert not lane.done
    theirs.sendall(ANSWER[-1:])
    lane.receive()
    assert lane.done


def test_a_closed_connection_is_an_error(pair):
    ours, theirs = pair
    theirs.close()
    with pytest.raises(UserError, match="closed a connection"):
        Lane(ours, REQUESTS, LINES).receive()


def test_silence_is_an_error(pair, monkeypatch):
    monkeypatch.setattr(serve_cost, "PATIENCE_SECONDS", 0.01)
    with pytest.raises(UserError, match="did not answer"):
        ask_all({pair[0].fileno(): Lane(pair[0], REQUESTS, LINES)})


def test_a_point_is_the_median_of_the_rounds():
    point = Searches(20, REQUESTS, 0.9, [5.0, 1.0, 3.0], [10.0, 30.0, 20.0], [0.1]).point()
    assert (point.ef, point.recall, point.qps, point.p50_us) == (20, 0.9, 3.0, 20.0)


def test_each_side_is_first_as_often_as_second():
    log = []
    served = [Searches(ef, REQUESTS, 0.9) for ef in (10, 20)]
    turns = Turns(served, lambda searches: log.append(f"served {searches.ef}"))
    for number in range(2):
        for ef in (10, 20):
            turns.before(number, ef)
            log.append(f"in process {ef}")
    turns.end()
    turns.end()
    assert log == [
        "served 10", "in process 10", "in process 20", "served 20",
        "in process 10", "served 10", "served 20", "in process 20",
    ]


def curve_of(*points):
    return Curve("x", {}, 0, [Point(ef, found, qps, qps) for ef, found, qps in points])


def test_the_sides_of_a_round_are_compared_with_each_other():
    own = curve_of((10, 0.9, [4.0, 8.0]), (20, 0.95, [2.0, 4.0]))
    other = curve_of((10, 0.9, [9.0, 9.0]), (20, 0.95, [1.0, 3.0]))
    assert ratios_of_rounds(own, other) == pytest.approx([0.5, 0.75])


def test_a_curve_that_does_not_lead_to_the_recall_is_not_compared():
    bound, low = curve_of((10, 0.99, [4.0])), curve_of((10, 0.5, [4.0]))
    assert ratios_of_rounds(bound, bound) == ratios_of_rounds(low, low) == []


def test_recall_counts_keys_as_rows():
    answers = [Answer([b"3", b"1"], [0.1, 0.2]), Answer([b"0", b"9"], [0.1, 0.2])]
    assert recall(answers, np.array([[1, 3], [9, 4]])) == 0.75
