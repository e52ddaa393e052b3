# SPDX-License-Identifier: Apache-2.0
"""What tests of strengths share."""

import time

import pytest

from wire import ErrorReply, pack  # noqa: F401: for those who import from here

HOUR_MS = 3_600_000


@pytest.fixture
def wire(server):
    with server.wire() as connection:
        connection.call("FLUSHALL")
        yield connection


def as_map(reply):
    return {name: value for name, value in zip(reply[::2], reply[1::2])}


def rows(reply, columns):
    return [
        (reply[i].decode(), *(float(value) for value in reply[i + 1 : i + columns]))
        for i in range(0, len(reply), columns)
    ]


def strength(wire, index, key, *words):
    return float(as_map(wire.call("VSTRENGTH", index, key, *words))["strength"])


def make(wire, *words, metric="l2", primitive="flat", index="i"):
    assert wire.call("VNEW", index, 2, "METRIC", metric, "PRIMITIVE", primitive, *words) == "OK"


def fill_line(wire, count=8, index="i"):
    """Keys 0, 1, ... on a line, each an hour younger than the one before."""
    for number in range(count):
        assert wire.call("VADD", index, number, pack(number, 0), "AT", number * HOUR_MS) == 1


def consolidate(wire, index, *words):
    reply = wire.call("VCONSOLIDATE", index, *words)
    assert not isinstance(reply, ErrorReply), reply
    answer = as_map(reply)
    answer["prototypes"] = [as_map(group) for group in answer["prototypes"]]
    return answer


def keys_of(wire, index, dim):
    return sorted(wire.call("VSEARCH", index, pack(*[1.0] * dim), 1_000_000, "EF", 1_000_000)[::2])


def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


def stat(wire, name):
    """A number of INFO's section Stats."""
    lines = wire.call("INFO", "stats").decode().splitlines()
    (count,) = [int(line.split(":")[1]) for line in lines if line.startswith(f"{name}:")]
    return count
