# SPDX-License-Identifier: Apache-2.0
"""What tests of strengths share."""

import pytest

from wire import pack  # noqa: F401: for those who import from here

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
