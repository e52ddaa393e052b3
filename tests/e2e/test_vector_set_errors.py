# SPDX-License-Identifier: Apache-2.0
"""The errors of vector-set commands, which clients of Redis 8 know."""


import pytest

from wire import ErrorReply, pack


@pytest.fixture
def points(wire):
    """A set of three elements that are kept as they are given."""
    for element, values in {"a": (1, 0, 0), "b": (0, 1, 0), "c": (-1, 0, 0)}.items():
        assert wire.call("VADD", "points", "VALUES", 3, *values, element, "NOQUANT") == 1
    return "points"


BAD_VECTOR = "ERR invalid vector specification"
BAD_OPTION = "ERR invalid option after element"


@pytest.mark.parametrize(
    "command, complaint",
    [
        ("VADD s VALUES 3 1 2", BAD_VECTOR),
        ("VADD s VALUES 2 1 x e", BAD_VECTOR),
        ("VADD s VALUES 2 1 nan e", BAD_VECTOR),
        ("VADD s VALUES 2 1 inf e", BAD_VECTOR),
        ("VADD s VALUES 0 e e", BAD_VECTOR),
        ("VADD s VALUES -1 1 e", BAD_VECTOR),
        ("VADD s VALUES x 1 e", BAD_VECTOR),
        ("VADD s FP32 abcde e", BAD_VECTOR),
        ("VADD s REDUCE 2 FP16 abcd e", BAD_VECTOR),
        ("VADD s REDUCE 0 VALUES 2 1 2 e", BAD_VECTOR),
        ("VADD s REDUCE 3 VALUES 2 1 2 e", BAD_VECTOR),
        ("VADD s REDUCE 9000 VALUES 9000 e", BAD_VECTOR),
        ("VADD s VALUES 2 1 2", "ERR wrong number of arguments for 'VADD' command"),
        ("VADD s VALUES 2 1 2 e FOO", BAD_OPTION),
        ("VADD s VALUES 2 1 2 e EF", BAD_OPTION),
        ("VADD s VALUES 2 1 2 e SETATTR", BAD_OPTION),
        ("VADD s VALUES 2 1 2 e EF 0", "ERR invalid EF"),
        ("VADD s VALUES 2 1 2 e EF 1000001", "ERR invalid EF"),
        ("VADD s VALUES 2 1 2 e M 1", "ERR invalid M"),
        ("VADD s VALUES 2 1 2 e M 100000", "ERR invalid M"),
        ("VADD text VALUES 3 1 2 3 e", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("VADD points VALUES 2 1 2 e NOQUANT", "ERR Vector dimension mismatch - got 2 but set has 3"),
        ("VADD points VALUES 3 1 2 3 e Q8", "ERR asked quantization mismatch with existing vector set"),
        ("VADD points VALUES 3 1 2 3 e BIN", "ERR asked quantization mismatch with existing vector set"),
        ("VADD s VALUES", "ERR wrong number of arguments for 'VADD' command"),
        ("VADD points VALUES 3 1 2 3 e M 17", "ERR asked M value mismatch with existing vector set"),
        ("VADD points REDUCE 2 VALUES 3 1 2 3 e", "ERR cannot add projection to existing set without projection"),
        ("VADD reduced REDUCE 2 VALUES 3 1 2 3 e", "ERR Input dimension mismatch for projection - got 3 but projection expects 4"),
        ("VADD reduced VALUES 4 1 2 3 4 e", "ERR Vector dimension mismatch - got 4 but set has 2"),
        ("VSIM reduced VALUES 3 1 2 3", "ERR Input dimension mismatch for projection - got 3 but projection expects 4"),
        ("VSIM points VALUES 2 1 2", "ERR Vector dimension mismatch - got 2 but set has 3"),
        ("VSIM points VALUES 3 1 2", BAD_VECTOR),
        ("VSIM points FP64 abc", BAD_VECTOR),
        ("VSIM points ELE nobody", "ERR element not found in set"),
        ("VSIM points ELE a COUNT 0", "ERR invalid COUNT"),
        ("VSIM points ELE a COUNT -1", "ERR invalid COUNT"),
        ("VSIM points ELE a COUNT x", "ERR invalid COUNT"),
        ("VSIM points ELE a EF 0", "ERR invalid EF"),
        ("VSIM points ELE a EF 1000001", "ERR invalid EF"),
        ("VSIM points ELE a FILTER-EF 0", "ERR invalid FILTER-EF"),
        ("VSIM points ELE a FILTER-EF x", "ERR invalid FILTER-EF"),
        ("VSIM points ELE a FILTER", "ERR syntax error in VSIM command"),
        ("VSIM points ELE a FILTER .x==.y==", "ERR syntax error in FILTER expression near: "),
        ("VSIM points ELE a EPSILON 0", "ERR invalid EPSILON"),
        ("VSIM points ELE a EPSILON nan", "ERR invalid EPSILON"),
        ("VSIM points ELE a FOO", "ERR syntax error in VSIM command"),
        ("VSIM points ELE a COUNT", "ERR syntax error in VSIM command"),
        ("VSIM text ELE a", "WRONGTYPE Operation against a key holding the wrong kind of value"),
        ("VEMB points a FOO", "ERR invalid option"),
        ("VRANDMEMBER points x", "ERR COUNT value is not an integer"),
        ("VRANGE points a +", "ERR invalid start range format"),
        ("VRANGE points [ +", "ERR invalid start range format"),
        ("VRANGE points - b", "ERR invalid end range format"),
        ("VRANGE points - + x", "ERR invalid COUNT value"),
        ("VRANGE points + -", "ERR '-' can only be used as first argument, '+' only as second"),
        ("VREM points a b", "ERR wrong number of arguments for 'VREM' command"),
        ("VCARD", "ERR wrong number of arguments for 'VCARD' command"),
        ("VSIM points a", "ERR wrong number of arguments for 'VSIM' command"),
        ("VLINKS points a FOO", "ERR wrong number of arguments for 'VLINKS' command"),
        ("VRANDMEMBER points 1 2", "ERR wrong number of arguments for 'VRANDMEMBER' command"),
        ("VGETATTR points", "ERR wrong number of arguments for 'VGETATTR' command"),
        ("VSETATTR points a", "ERR wrong number of arguments for 'VSETATTR' command"),
        ("VISMEMBER points", "ERR wrong number of arguments for 'VISMEMBER' command"),
    ]
    + [
        (f"{name} text" + " e" * (arity - 2), "WRONGTYPE Operation against a key holding the wrong kind of value")
        for name, arity in {"VREM": 3, "VCARD": 2, "VDIM": 2, "VEMB": 3, "VINFO": 2, "VISMEMBER": 3, "VLINKS": 3, "VRANDMEMBER": 2}.items()
    ]
    + [("VRANGE text - +", "WRONGTYPE Operation against a key holding the wrong kind of value")],
)  # fmt: skip
def test_errors_are_those_that_clients_of_redis_know(wire, points, command, complaint):
    wire.call("SET", "text", "value")
    wire.call("VADD", "reduced", "REDUCE", 2, "VALUES", 4, 1, 2, 3, 4, "e")
    reply = wire.call(*command.split(" "))
    assert isinstance(reply, ErrorReply)
    assert reply == complaint or complaint.endswith(": ") and reply.startswith(complaint)
    assert wire.call("EXISTS", "s") == 0 and wire.call("VCARD", points) == 3


def test_what_redis_takes_and_should_not_is_refused(wire, points):
    assert wire.call("VADD", points, "VALUES", 3, 1, 2, 3, "") == "ERR a vector's key must have 1 to 65536 bytes, got 0"
    assert "its norm exceeds" in wire.call("VADD", "s", "FP32", pack(1e30), "e", "NOQUANT")
    assert "random numbers, at most" in wire.call("VADD", "s", "REDUCE", 4000, "VALUES", 4000, *range(4000), "e")
    assert wire.call("EXISTS", "s") == 0
