# SPDX-License-Identifier: Apache-2.0
"""redis-py and hiredis, as Debian ships them, and node-redis."""

import os
import subprocess
from pathlib import Path

import pytest
import redis

import npm_packages
from live import PATIENCE_SECONDS

NODE_REDIS = "redis@6.3.1"


def test_redis_py_commands(server):
    client = server.redis(decode_responses=True, client_name="tester")
    assert client.ping() and client.echo("hello") == "hello"
    assert client.set("a", "1") and client.get("a") == "1" and client.get("none") is None
    assert client.set("a", "2", nx=True) is None
    assert client.set("a", "2", get=True) == "1"
    assert client.incr("a") == 3 and client.decr("a", 2) == 1
    assert client.append("a", "23") == 3
    assert client.exists("a", "a", "none") == 2
    assert client.set("b", "x", px=100_000) and 0 < client.pttl("b") <= 100_000
    assert client.persist("b") and client.ttl("b") == -1
    assert client.expire("b", 50) and 0 < client.ttl("b") <= 50
    assert client.type("a") == "string" and client.type("none") == "none"
    assert sorted(client.keys("*")) == ["a", "b"] and client.dbsize() == 2
    assert sorted(client.scan_iter()) == ["a", "b"]
    assert client.delete("a", "b", "none") == 2
    assert client.flushall()


def test_redis_py_administration(server):
    client = server.redis(decode_responses=True, client_name="tester")
    assert client.client_getname() == "tester"
    assert [row["name"] for row in client.client_list()] == ["tester"]
    assert client.info()["redis_mode"] == "standalone"
    assert client.info("clients")["connected_clients"] == 1
    assert client.config_get("port") == {"port": str(server.port)}
    assert client.config_set("timeout", 0) and client.config_resetstat()
    assert client.command()["get"]["arity"] == 2
    assert client.command_count() == len(client.command())
    seconds, microseconds = client.time()
    assert seconds > 1_600_000_000 and 0 <= microseconds < 1_000_000
    with pytest.raises(redis.ResponseError, match="DB index is out of range"):
        client.execute_command("SELECT", 1)


def test_redis_py_binary_values(server):
    client = server.redis()
    every_byte = bytes(range(256)) * 300
    assert client.set(b"\0key\r\n", every_byte)
    assert client.get(b"\0key\r\n") == every_byte


def test_redis_py_pipeline(server):
    pipeline = server.redis().pipeline(transaction=False)
    for number in range(500):
        pipeline.set(f"key {number}", number).get(f"key {number}").incr("sum", number)
    replies = pipeline.execute()
    assert replies[1::3] == [str(number).encode() for number in range(500)]
    assert replies[-1] == sum(range(500))


def test_redis_py_pipeline_reports_each_error_in_its_place(server):
    pipeline = server.redis().pipeline(transaction=False)
    pipeline.set("a", "text").incr("a").get("a")
    first, error, last = pipeline.execute(raise_on_error=False)
    assert first is True and last == b"text"
    assert "not an integer" in str(error)


def test_hiredis(server):
    subprocess.run(
        [os.environ["ENGRAM_HIREDIS_CLIENT"], str(server.port)],
        check=True,
        timeout=PATIENCE_SECONDS,
    )


@pytest.fixture(scope="module")
def node_packages():
    return npm_packages.fetched(NODE_REDIS)


@pytest.mark.long
@pytest.mark.parametrize("protocol", [2, 3])
def test_node_redis_has_its_helpers_of_vector_sets(server, node_packages, protocol):
    script = Path(__file__).with_name("node_redis.js")
    ended = subprocess.run(
        ["node", script, node_packages, str(server.port), str(protocol)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
