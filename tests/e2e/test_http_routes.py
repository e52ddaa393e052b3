# SPDX-License-Identifier: Apache-2.0
"""The HTTP door: batches in binary, what routes tell of themselves, memory dynamics, and what is refused or waits."""

import json
import os
import re
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

import live
import npm_packages
from http_client import BINARY, Http, packed_batch
from http_client import client, module_server, serve  # fixtures


def test_a_batch_in_binary_is_what_the_same_in_json_is(client):
    items = [("a", [1, 0, 0.5], '{"x": 1}'), ("b\u00e9", [0, 1, -1e-30], None), ("c", [0, 0, 1], "")]
    stored = client.expect(201, "POST", "/vectors/batch", packed_batch(items, 3, 1), BINARY)
    assert stored == {"stored": 3, "created": 3}
    shown = client.expect(200, "GET", "/vectors?vectors=true&metadata=true")["vectors"]
    assert [item["metadata"] for item in shown] == [{"x": 1}, None, None]
    assert [struct.pack("<3f", *item["vector"]) for item in shown] == [
        struct.pack("<3f", *vector) for _, vector, _ in items
    ]
    again = client.expect(200, "POST", "/vectors/batch", packed_batch(items, 3), BINARY)
    assert again == {"stored": 3, "created": 0}
    assert client.expect(200, "GET", "/vectors/a")["metadata"] == {"x": 1}  # nothing was said of it
    client.expect(201, "PUT", "/collections/notes", {"dim": 3})
    client.expect(201, "POST", "/collections/notes/vectors/batch", packed_batch(items, 3), BINARY)
    assert client.expect(200, "GET", "/collections/notes")["count"] == 3


def test_a_batch_in_binary_that_is_wrong_stores_nothing(client):
    good = packed_batch([("a", [1, 2], None), ("b", [3, 4], None)], 2)
    for body, part in (
        (b"", "EGVB"),
        (good[:-1], "add up"),
        (good + b"x", "add up"),
        (b"EGVC" + good[4:], "EGVB"),
        (good[:4] + b"\x02" + good[5:], "version 2"),
        (good[:8] + b"\xff" * 4 + good[12:], "too few"),
        (good[:12] + b"\xff" * 4 + good[16:], "too few"),
        (packed_batch([("a", [1, 2], None), ("", [3, 4], None)], 2), "'vectors[1]'"),
        (packed_batch([("a", [1, 2], None), ("b", [float("nan"), 4], None)], 2), "'vectors[1]'"),
        (packed_batch([("a", [1, 2], "[1]")], 2, 1), "'vectors[0]'"),
    ):
        assert part in client.error(400, "POST", "/vectors/batch", body, BINARY)
    assert client.expect(200, "GET", "/collections")["collections"] == []
    assert "octet-stream" in client.error(415, "POST", "/vectors/batch", good, {"Content-Type": "text/plain"})
    assert "octet-stream" not in client.error(415, "POST", "/vectors", good, BINARY)


VALIDATOR = "@seriousme/openapi-schema-validator@2.11.0"


@pytest.mark.long
def test_the_openapi_document_is_valid(client, tmp_path):
    document = tmp_path / "openapi.json"
    document.write_text(json.dumps(client.expect(200, "GET", "/openapi.json")))
    script = Path(__file__).with_name("validate_openapi.mjs")
    module = npm_packages.fetched(VALIDATOR) / "@seriousme/openapi-schema-validator/index.js"
    told = subprocess.run(["node", script, module, document], capture_output=True, text=True, timeout=live.PATIENCE_SECONDS)
    assert told.returncode == 0, told.stdout + told.stderr


def test_the_openapi_document_has_every_route_and_valid_schemas(client):
    document = client.expect(200, "GET", "/openapi.json")
    assert document["openapi"] == "3.1.0" and document["info"]["title"] == "engram"
    assert document["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"
    schemas = list(document["components"]["schemas"].values())
    ids = set()
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert method in ("get", "put", "post", "delete")
            assert operation["operationId"] not in ids and operation["summary"]
            ids.add(operation["operationId"])
            names = [one["name"] for one in operation["parameters"] if one["in"] == "path"]
            assert names == re.findall(r"{(\w+)}", path)
            assert "default" in operation["responses"] and "2XX" in operation["responses"]
            schemas += [one["schema"] for one in operation["parameters"]]
            media = [operation["responses"]["2XX"], operation.get("requestBody", {})]
            schemas += [kind["schema"] for one in media for kind in one.get("content", {}).values() if kind]
            # The path is a route: another method is refused for the method's sake.
            response = client.ask("BREW", path.replace("{", "").replace("}", ""))
            assert response.status == 405 and method.upper() in response.getheader("Allow")
    jsonschema = pytest.importorskip("jsonschema")
    for schema in schemas:
        jsonschema.Draft202012Validator.check_schema(schema)
    text = json.dumps(document)
    for reference in set(re.findall(r'"#/([^"]+)"', text)):
        at = document
        for step in reference.split("/"):
            at = at[step]


def test_the_page_of_the_routes_loads_nothing_from_elsewhere(client):
    for path, part in (("/docs", b"docs.js"), ("/assets/docs.js", b"openapi.json"), ("/assets/docs.css", b"details")):
        client.connection.request("GET", path)
        response = client.connection.getresponse()
        text = response.read()
        assert response.status == 200 and part in text
        assert b"http://" not in text and b"https://" not in text


def test_a_memory_is_tuned_diagnosed_touched_forgotten_and_consolidated(client):
    recalls = {"dim": 4, "metric": "l2", "primitive": "hopfield", "options": {"DECAY": "exp 1000", "CLOCK": "logical"}}
    client.expect(201, "PUT", "/collections/memory", recalls)
    rows = [[1, 0, 0, 0], [1, 0.01, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]
    with client.server.redis() as redis:
        for number, row in enumerate(rows):
            redis.execute_command("VADD", "memory", str(number), struct.pack("<4f", *row), "AT", 1000 * number)
    path = "/collections/memory"
    tuned = client.expect(200, "POST", path + "/tune", {"sample": 5, "seed": 1})
    assert tuned and all(isinstance(value, (int, float)) for value in tuned.values())
    assert client.expect(200, "GET", path + "/diag?sample=5&seed=1")
    assert "SAMPLE" in client.error(400, "GET", path + "/diag?sample=1")
    touched = client.expect(200, "POST", path + "/touch", {"ids": ["4", "none"], "gain": 2, "at": 4000})
    assert touched["strengths"][0] > 1 and touched["strengths"][1] is None
    weak = client.expect(200, "POST", path + "/forget", {"below": 0.1, "at": 5000, "dry_run": True})["forgotten"]
    assert weak == ["0", "1"][: len(weak)] and weak
    dry = client.expect(200, "POST", path + "/consolidate", {"radius": 0.1, "at": 5000, "dry_run": True})
    assert [sorted(group["members"]) for group in dry["groups"]] == [["0", "1"]]
    assert client.expect(200, "GET", path)["count"] == 5
    assert client.expect(200, "POST", path + "/forget", {"below": 0.1, "at": 5000})["forgotten"] == weak
    assert client.expect(200, "GET", path)["count"] == 5 - len(weak)
    assert "BELOW" in client.error(400, "POST", path + "/forget", {})
    assert "'ids'" in client.error(400, "POST", path + "/touch", {"ids": [1]})
    client.error(404, "POST", "/collections/none/tune", {})


READING = (
    ("recall", {"vector": [1, 0]}),
    ("recall", {"id": "a", "touch": None}),
    ("energy", {"vector": [1, 0]}),
    ("strengths", {"ids": ["a"]}),
    ("search", {"vector": [1, 0]}),
    ("search/batch", {"vectors": [[1, 0]]}),
    ("forget", {"below": 0.1, "dry_run": True}),
    ("consolidate", {"radius": 0.1, "dry_run": True}),
)
CHANGING = (
    ("recall", {"vector": [1, 0], "touch": 1}),
    ("recall", {"vector": [1, 0], "options": {"Touch": 1}}),
    ("touch", {"ids": ["a"]}),
    ("forget", {"below": 1e-9}),
    ("consolidate", {"radius": 0.1}),
    ("tune", {}),
)


def fill_memory(client, name, **options):
    made = {"dim": 2, "metric": "l2", "primitive": "hopfield", "options": {"BETA": 8, "DECAY": "exp 100000", **options}}
    client.expect(201, "PUT", f"/collections/{name}", made)
    rows = [{"id": "a", "vector": [1, 0]}, {"id": "b", "vector": [0, 1]}]
    client.expect(201, "POST", f"/collections/{name}/vectors/batch", {"vectors": rows})


def test_what_only_reads_is_told_from_what_changes_by_the_request_itself(client):
    """While nothing is written: reads are answered, and changes wait."""
    fill_memory(client, "plain")
    fill_memory(client, "learning", REINFORCE="winner")
    changing = [("plain", *request) for request in CHANGING] + [("learning", "recall", {"vector": [1, 0]})]
    with client.server.redis() as redis:
        redis.execute_command("CLIENT", "PAUSE", 600_000, "WRITE")
        try:
            for route, body in READING:
                client.expect(200, "POST", f"/collections/plain/{route}", body)
            client.error(400, "POST", "/collections/plain/recall", {"vector": "x", "touch": 1})
            for name, route, body in changing:
                with socket.create_connection(("127.0.0.1", client.port), timeout=0.2) as peer:
                    text = json.dumps(body)
                    head = f"POST /collections/{name}/{route} HTTP/1.1\r\nHost: localhost\r\n"
                    peer.sendall(f"{head}Content-Length: {len(text)}\r\n\r\n{text}".encode())
                    with pytest.raises(TimeoutError):
                        peer.recv(1)
        finally:
            redis.execute_command("CLIENT", "UNPAUSE")


def test_a_snapshot_is_on_disk_when_it_is_answered(client):
    client.expect(201, "POST", "/vectors", {"id": "a", "vector": [1, 2]})
    with client.server.redis() as redis:
        before = redis.lastsave()
        assert client.expect(200, "POST", "/snapshot") == {"saved": True}
        assert redis.lastsave() >= before


@pytest.mark.skipif(live.SANITIZED, reason="the allocator of a sanitizer does not tell what it has given")
def test_beyond_maxmemory_writes_are_to_be_tried_later_and_reads_go_on(serve):
    client = serve("--appendonly", "no")
    client.expect(201, "POST", "/vectors", {"id": "a", "vector": [1, 2]})
    fill_memory(client, "memory")
    with client.server.redis() as redis:
        redis.config_set("maxmemory", 1)
        client.error(429, "POST", "/collections/memory/consolidate", {"radius": 0.1})
        for route, body in READING:
            client.expect(200, "POST", f"/collections/memory/{route}", body)
        response = client.ask("POST", "/vectors", {"id": "b", "vector": [1, 2]})
        assert response.status == 429 and response.getheader("Retry-After") == "1"
        client.error(429, "POST", "/vectors/batch", {"vectors": [{"id": "b", "vector": [1, 2]}]})
        client.error(429, "PUT", "/collections/c", {"dim": 2})
        assert len(client.expect(200, "POST", "/search", {"vector": [1, 2]})["results"]) == 1
        client.expect(200, "DELETE", "/vectors/a")
        redis.config_set("maxmemory", 0)
    client.expect(201, "POST", "/vectors", {"id": "b", "vector": [1, 2]})


def test_a_journal_that_fails_is_told_and_reads_go_on(tmp_path):
    port = live.free_port()
    server = live.SmallDisk(tmp_path / "server", "--http-port", port)
    try:
        client = Http(server, port)
        client.expect(201, "POST", "/vectors", {"id": "a", "vector": [1, 2]})
        fill_memory(client, "memory")
        server.limit(os.path.getsize(next(server.folder.glob("journal-*.log"))))
        big = {"id": "b", "vector": [1, 2], "metadata": {"text": "x" * 10_000}}
        for _ in range(2):
            response = client.ask("POST", "/vectors", big)
            assert response.status == 503 and response.getheader("Retry-After") == "1"
        assert client.expect(503, "GET", "/health")["status"] == "read-only"
        client.error(503, "PUT", "/collections/c", {"dim": 2})
        client.error(503, "DELETE", "/vectors/a")
        for route, body in READING:
            client.expect(200, "POST", f"/collections/memory/{route}", body)
        for route, body in CHANGING:
            client.error(503, "POST", f"/collections/memory/{route}", body)
        assert client.expect(200, "GET", "/vectors/a")["vector"] == [1, 2]
        found = client.expect(200, "POST", "/search", {"vector": [1, 2]})["results"]
        assert "a" in [result["id"] for result in found]
    finally:
        server.process.kill()
        server.wait()


def test_a_pause_holds_requests_and_loses_none(client):
    client.expect(201, "POST", "/vectors", {"id": "a", "vector": [1, 2]})
    with client.server.redis() as redis:
        redis.execute_command("CLIENT", "PAUSE", 400, "WRITE")
        begun = time.monotonic()
        client.expect(200, "GET", "/vectors/a")
        client.expect(201, "POST", "/vectors", {"id": "b", "vector": [1, 2]})
        assert time.monotonic() - begun > 0.3
        redis.execute_command("CLIENT", "PAUSE", 400, "ALL")
        begun = time.monotonic()
        client.expect(200, "GET", "/vectors/b")
        assert time.monotonic() - begun > 0.3
