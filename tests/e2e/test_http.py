# SPDX-License-Identifier: Apache-2.0
"""The HTTP door: every route and error, by Python's client, curl and bare sockets."""

import base64
import json
import re
import shutil
import signal
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest

import live
from http_client import Http, client, module_server, serve  # fixtures

PASSWORD = "open sesame"


ITEMS = [
    {"id": "a", "vector": [1, 0, 0], "metadata": {"color": "red", "year": 1999}},
    {"id": "b", "vector": [0, 1, 0], "metadata": {"color": "blue", "year": 2005}},
    {"id": "c/d e", "vector": [0, 0.1, 1]},
]


@pytest.fixture
def filled(client):
    assert client.expect(201, "POST", "/vectors/batch", {"vectors": ITEMS}) == {"stored": 3, "created": 3}
    return client


def test_a_vector_is_stored_shown_replaced_and_deleted(client):
    vector = [0.1, -2.5e-3, 3]
    given = {"id": "x", "vector": vector, "metadata": {"a": [1, {"b": None}], "s": "é\"\n"}}
    assert client.expect(201, "POST", "/vectors", given) == {"id": "x", "created": True}
    assert client.expect(200, "POST", "/vectors", {"id": "x", "vector": [1, 2, 3]}) == {
        "id": "x",
        "created": False,
    }
    shown = client.expect(200, "GET", "/vectors/x")
    assert shown["metadata"] == given["metadata"]  # kept, as the second did not speak of it
    client.expect(200, "POST", "/vectors", {"id": "x", "vector": [1, 2, 3], "metadata": None})
    assert client.expect(200, "GET", "/vectors/x")["metadata"] is None
    assert client.expect(200, "DELETE", "/vectors/x") == {"id": "x", "deleted": True}
    assert client.error(404, "GET", "/vectors/x") == "there is no vector 'x'"
    assert client.error(404, "DELETE", "/vectors/x") == "there is no vector 'x'"


def test_floats_read_back_to_the_same_float32(serve):
    client = serve("--http-metric", "l2", "--http-primitive", "flat")
    bits = [1, 0x00800000, 0x7F7FFFFF, 0x3DCCCCCD, 0x4B800001, 0xC2F6E979, 0x80000001, 0x34000000]
    packed = struct.pack("<8I", *bits)
    given = base64.b64encode(packed).decode()
    client.expect(400, "POST", "/vectors", {"id": "x", "vector": {"base64": given}})  # its norm is too large
    bits[2] = 0x5D7FFFFF
    packed = struct.pack("<8I", *bits)
    given = base64.b64encode(packed).decode()
    client.expect(201, "POST", "/vectors", {"id": "x", "vector": {"base64": given}})
    shown = client.expect(200, "GET", "/vectors/x")["vector"]
    assert struct.pack("<8f", *shown) == packed
    client.expect(201, "POST", "/vectors", {"id": "y", "vector": shown})
    with client.server.redis() as redis:
        redis.execute_command("VGET", "default", "y")
    assert client.expect(200, "GET", "/vectors/y")["vector"] == shown


def test_the_default_collection_is_made_by_the_first_insert(serve):
    client = serve("--http-metric", "l2", "--http-primitive", "flat")
    assert client.expect(200, "GET", "/vectors") == {"vectors": [], "next": None}
    assert "default" in client.error(404, "POST", "/search", {"vector": [1, 2]})
    client.error(400, "POST", "/vectors", {"id": "", "vector": [1, 2]})
    with client.server.redis() as redis:
        assert redis.execute_command("VLIST") == []  # what is refused makes nothing
        client.expect(201, "POST", "/vectors", {"id": "a", "vector": [1, 2]})
        info = redis.execute_command("VINFO", "default")
        facts = dict(zip(info[::2], info[1::2])) if isinstance(info, list) else info
        facts = {str(name): str(value) for name, value in facts.items()}
        assert "flat" in str(facts) and "l2" in str(facts)
    assert "dimension" in client.error(400, "POST", "/vectors", {"id": "a", "vector": [1, 2, 3]})


def test_a_batch_is_stored_whole_or_not_at_all(client):
    bad = ITEMS + [{"id": "z", "vector": [1, 2]}]
    assert "'vectors[3]'" in client.error(400, "POST", "/vectors/batch", {"vectors": bad})
    assert client.expect(200, "GET", "/vectors")["vectors"] == []
    client.expect(201, "POST", "/vectors/batch", {"vectors": ITEMS})
    assert client.expect(200, "POST", "/vectors/batch", {"vectors": ITEMS}) == {"stored": 3, "created": 0}
    for item in ITEMS:
        path = "/vectors/" + item["id"].replace("/", "%2F").replace(" ", "%20")
        assert client.expect(200, "GET", path)["metadata"] == item.get("metadata")


def test_a_listing_comes_in_pages(filled):
    assert [item["id"] for item in filled.expect(200, "GET", "/vectors")["vectors"]] == ["a", "b", "c/d e"]
    page = filled.expect(200, "GET", "/vectors?limit=2&metadata=true")
    assert page["vectors"][0] == {"id": "a", "metadata": ITEMS[0]["metadata"]}
    assert page["next"] == "b"
    page = filled.expect(200, "GET", "/vectors?limit=2&cursor=b&vectors=true")
    assert [item["id"] for item in page["vectors"]] == ["c/d e"]
    assert page["next"] is None
    assert len(page["vectors"][0]["vector"]) == 3
    assert "limit" in filled.error(400, "GET", "/vectors?limit=0")
    assert "metadata" in filled.error(400, "GET", "/vectors?metadata=perhaps")
    assert "cursor" in filled.error(400, "GET", "/vectors?cursor=%zz")
    assert "cursor" in filled.error(400, "GET", "/vectors?cursor=~z")


def listed(client, query, between=lambda: None):
    """The ids of all pages, by cursors as they came."""
    ids, cursor = [], ""
    for _ in range(1000):
        page = client.expect(200, "GET", f"/vectors?{query}{cursor}")
        ids += [item["id"] for item in page["vectors"]]
        if page["next"] is None:
            return ids
        cursor = "&cursor=" + page["next"]
        between()
    raise AssertionError("the listing does not end")


def test_a_listing_ends_whatever_bytes_its_ids_have_and_whatever_comes_and_goes(client):
    client.expect(201, "POST", "/vectors", {"id": "a", "vector": [1, 2]})
    ids = [b"\xff\x01", b"\xff\xfe", b"\x80", b"a b", b"a%41", b"a+b", b"a&limit=1", b"~", b"~41", b"#", b'"', b"\xc3\xa9"]
    with client.server.wire() as wire:
        vector = struct.pack("<2f", 1, 2)
        for id in ids:
            assert wire.call("VMADD", "default", id, vector) == 1
        everything = [id.decode(errors="replace") for id in sorted([b"a", *ids])]
        assert listed(client, "limit=1") == everything
        assert listed(client, "limit=5") == everything
        # What a cursor names goes, and others come before it.
        def disturb():
            wire.call("VDEL", "default", "a b")
            wire.call("VMADD", "default", "!", vector)

        assert listed(client, "limit=1", disturb) == [id for id in everything if id != "a b"]


def test_a_page_ends_where_it_has_many_bytes(client):
    """A thousand items with 64 KB of metadata each would be one answer of 64 MB."""
    metadata = {"text": "x" * 60_000}
    for first in range(0, 400, 100):
        items = [{"id": f"{number:03}", "vector": [1, 2], "metadata": metadata} for number in range(first, first + 100)]
        client.expect(201, "POST", "/vectors/batch", {"vectors": items})
    response = client.ask("GET", "/vectors?limit=1000&metadata=true")
    assert len(response.text) < 9 << 20
    assert 100 < len(response.json["vectors"]) < 200
    assert listed(client, "limit=1000&metadata=true") == [f"{number:03}" for number in range(400)]
    assert len(client.expect(200, "GET", "/vectors?limit=1000")["vectors"]) == 400


def test_searches_find_filter_and_show(filled):
    found = filled.expect(200, "POST", "/search", {"vector": [1, 0.1, 0], "k": 2})["results"]
    assert [result["id"] for result in found] == ["a", "b"]
    assert found[0]["metadata"] == ITEMS[0]["metadata"]
    for condition in ({"op": "gte", "field": "year", "value": 2000}, ".year >= 2000"):
        found = filled.expect(200, "POST", "/search", {"vector": [1, 0, 0], "filter": condition})["results"]
        assert [result["id"] for result in found] == ["b"]
    near = {"vector": [1, 0, 0], "radius": 0.5, "ef": 50, "include_metadata": False, "include_vectors": True}
    found = filled.expect(200, "POST", "/search", near)["results"]
    assert found == [{"id": "a", "distance": found[0]["distance"], "vector": [1, 0, 0]}]
    assert filled.expect(200, "POST", "/search", {"vector": [1, 0, 0], "recall": 0.9, "k": 1})["results"]
    assert filled.expect(200, "POST", "/search", {"vector": [1, 0, 0], "exact": True, "k": 1})["results"]


def test_a_batch_of_searches_answers_what_single_ones_do(filled):
    queries = [[1, 0.1, 0], [0, 1, 0.2], [0.3, 0.1, 1]] * 50
    batch = filled.expect(200, "POST", "/search/batch", {"vectors": queries, "k": 3})["results"]
    single = [filled.expect(200, "POST", "/search", {"vector": query, "k": 3})["results"] for query in queries[:3]]
    assert batch == single * 50


@pytest.mark.parametrize(
    ("path", "body", "part"),
    [
        ("/vectors", {}, "'id' is missing"),
        ("/vectors", {"id": 7, "vector": [1]}, "'id' must be a string, got a number"),
        ("/vectors", {"id": "a"}, "'vector' is missing"),
        ("/vectors", {"id": "a", "vector": "x"}, "'vector' must be an array of numbers"),
        ("/vectors", {"id": "a", "vector": [1, "x"]}, "'vector' must be an array of numbers"),
        ("/vectors", {"id": "a", "vector": []}, "vector"),
        ("/vectors", {"id": "a", "vector": [1e300, 0, 0]}, "finite"),
        ("/vectors", {"id": "a", "vector": {"base64": "AAAA"}}, "base64"),
        ("/vectors", {"id": "a", "vector": {"base64": "?"}}, "base64"),
        ("/vectors", {"id": "a", "vector": [1], "metadata": 3}, "'metadata' must be an object, or null"),
        ("/vectors", {"id": "a", "vector": [1], "extra": 3}, "the body has no field 'extra'"),
        ("/vectors", [1], "the body must be a JSON object, got an array"),
        ("/vectors", "{", "the body is not JSON"),
        ("/vectors", "", "the body is empty"),
        ("/vectors/batch", {"vectors": []}, "at least one vector"),
        ("/vectors/batch", {"vectors": [{"id": "a"}]}, "'vectors[0].vector' is missing"),
        ("/search", {"vector": [1, 2, 3], "k": 0}, "k"),
        ("/search", {"vector": [1, 2, 3], "k": 1.5}, "'k' must be a whole number"),
        ("/search", {"vector": [1, 2, 3], "filter": 1}, "'filter' must be an object, or a string"),
        ("/search", {"vector": [1, 2, 3], "filter": "(.x"}, ""),
        ("/search", {"vector": [1, 2, 3], "ef": 0}, "'ef' must be at least 1"),
        ("/search", {"vector": [1, 2, 3], "recall": 2}, "RECALL"),
        ("/search", {"vector": [1, 2, 3], "radius": -1}, "RADIUS"),
        ("/search", {"vector": [1, 2, 3], "include_vectors": "yes"}, "'include_vectors' must be true or false"),
        ("/search", {"vector": [1, 2]}, "'vector'"),
        ("/search/batch", {"vectors": [[1, 2, 3], [1]]}, "'vectors[1]'"),
    ],
)
def test_an_error_names_the_field_and_what_was_expected(filled, path, body, part):
    headers = {"Content-Type": "application/json"}
    assert part in filled.error(400, "POST", path, body, headers)


def test_collections_are_made_described_and_dropped(client):
    made = client.expect(
        201, "PUT", "/collections/notes", {"dim": 3, "metric": "l2", "primitive": "hnsw", "options": {"M": 8}}
    )
    assert made == {"name": "notes", "dim": 3, "metric": "l2", "primitive": "hnsw", "count": 0}
    assert "already exists" in client.error(409, "PUT", "/collections/notes", {"dim": 3})
    client.expect(201, "POST", "/collections/notes/vectors", ITEMS[0])
    client.expect(201, "POST", "/collections/notes/vectors/batch", {"vectors": ITEMS})
    shown = client.expect(200, "GET", "/collections/notes")
    assert shown["count"] == 3
    listed = client.expect(200, "GET", "/collections")["collections"]
    assert [collection["name"] for collection in listed] == ["notes"]
    found = client.expect(200, "POST", "/collections/notes/search", {"vector": [1, 0, 0], "k": 1})["results"]
    assert found[0]["id"] == "a" and found[0]["distance"] == 0
    batch = {"vectors": [[1, 0, 0]], "k": 1}
    assert client.expect(200, "POST", "/collections/notes/search/batch", batch)["results"] == [found]
    assert len(client.expect(200, "GET", "/collections/notes/vectors")["vectors"]) == 3
    client.expect(200, "GET", "/collections/notes/vectors/a")
    client.expect(200, "DELETE", "/collections/notes/vectors/a")
    assert client.expect(200, "DELETE", "/collections/notes") == {"name": "notes", "deleted": True}
    client.error(404, "GET", "/collections/notes")
    client.error(404, "DELETE", "/collections/notes")
    client.error(404, "POST", "/collections/notes/vectors", ITEMS[0])


@pytest.mark.parametrize(
    ("body", "part"),
    [
        ({}, "'dim' is missing"),
        ({"dim": 0}, "dimension"),
        ({"dim": "x"}, "'dim' must be a whole number"),
        ({"dim": 3, "metric": "far"}, "metric"),
        ({"dim": 3, "primitive": "none"}, "primitive"),
        ({"dim": 3, "options": {"M": [1]}}, "'options.M' must be a string or a number"),
        ({"dim": 3, "options": {"NONE": 1}}, "NONE"),
        ({"dim": 3, "options": 3}, "'options' must be an object"),
    ],
)
def test_a_collection_that_cannot_be_made_says_why(client, body, part):
    assert part in client.error(400, "PUT", "/collections/notes", body)
    assert client.expect(200, "GET", "/collections")["collections"] == []


def test_a_string_is_no_collection(client):
    with client.server.redis() as redis:
        redis.set("text", "x")
    client.error(409, "GET", "/collections/text")
    client.error(409, "POST", "/collections/text/search", {"vector": [1]})


def test_primitives_tell_their_options(client):
    primitives = {primitive["name"]: primitive for primitive in client.expect(200, "GET", "/primitives")["primitives"]}
    assert primitives["flat"]["exact"]
    assert "M" in [option["name"] for option in primitives["hnsw"]["options"]]


def test_the_page_comes_from_the_program_and_is_cached(client):
    client.connection.request("GET", "/")
    page = client.connection.getresponse()
    assert b"<title>engram" in page.read()
    assert page.getheader("Content-Type") == "text/html; charset=utf-8"
    client.connection.request("GET", "/", headers={"If-None-Match": page.getheader("ETag")})
    again = client.connection.getresponse()
    assert (again.status, again.read()) == (304, b"")
    client.error(404, "GET", "/assets/none.js")


def test_unknown_paths_and_methods_are_told(client):
    assert client.error(404, "GET", "/nowhere") == "there is no route '/nowhere'"
    response = client.ask("PATCH", "/vectors/a")
    assert response.status == 405
    assert response.getheader("Allow") == "GET, HEAD, DELETE"
    response = client.ask("HEAD", "/health")
    assert (response.status, response.text) == (200, b"")
    assert int(response.getheader("Content-Length")) > 0


def test_every_response_says_when_by_whom_and_to_what(client):
    response = client.ask("GET", "/health", headers={"X-Request-Id": "mine-1"})
    assert response.getheader("X-Request-Id") == "mine-1"
    assert response.getheader("Server").startswith("engram/")
    assert response.getheader("Date").endswith("GMT")
    ids = {client.ask("GET", "/health").getheader("X-Request-Id") for _ in range(20)}
    assert len(ids) == 20
    assert "\n" not in client.ask("GET", "/health", headers={"X-Request-Id": "a b"}).getheader("X-Request-Id")


def test_pipelined_requests_are_answered_in_order(filled):
    search = json.dumps({"vector": [1, 0, 0], "k": 1})
    one = f"POST /search HTTP/1.1\r\nHost: a\r\nContent-Length: {len(search)}\r\n\r\n{search}"
    put = json.dumps({"id": "n", "vector": [1, 1, 1]})
    two = f"POST /vectors HTTP/1.1\r\nHost: localhost\r\nContent-Length: {len(put)}\r\n\r\n{put}"
    get = "GET /vectors/n HTTP/1.1\r\nHost: localhost\r\n\r\n"
    last = "GET /health HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    one = one.replace("Host: a", "Host: localhost")
    answers = filled.raw(one * 100 + two + get + "GET /no HTTP/1.1\r\nHost: localhost\r\n\r\n" + last)
    assert answers.count("HTTP/1.1 ") == 104
    statuses = [part[:3] for part in answers.split("HTTP/1.1 ")[1:]]
    assert statuses == ["200"] * 100 + ["201", "200", "404", "200"]
    assert '"status":"ok"' in answers[-200:]
    assert "Connection: close" in answers[-400:]


def test_http_1_0_closes_unless_it_is_asked_to_stay(client):
    answer = client.raw("GET /health HTTP/1.0\r\n\r\nGET /health HTTP/1.0\r\n\r\n", wait=False)
    assert answer.count("HTTP/1.1 200") == 1
    kept = "GET /health HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
    answer = client.raw(kept + kept)
    assert answer.count("HTTP/1.1 200") == 2
    assert "Connection: keep-alive" in answer


def test_a_body_may_come_in_chunks_and_after_100_continue(client):
    put = json.dumps({"id": "n", "vector": [1, 1, 1]})
    chunks = "".join(f"1\r\n{letter}\r\n" for letter in put) + "0\r\n\r\n"
    head = "POST /vectors HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n"
    assert "201 Created" in client.raw(head + "\r\n" + chunks)
    with socket.create_connection(("127.0.0.1", client.port), timeout=live.PATIENCE_SECONDS) as peer:
        peer.sendall((head + "Expect: 100-continue\r\n\r\n").encode())
        assert peer.recv(1000) == b"HTTP/1.1 100 Continue\r\n\r\n"
        peer.sendall(chunks.encode())
        assert peer.recv(1000).startswith(b"HTTP/1.1 200")
        peer.sendall(b"POST /no HTTP/1.1\r\nHost: localhost\r\nExpect: 100-continue\r\nContent-Length: 9\r\n\r\n")
        assert peer.recv(1000).startswith(b"HTTP/1.1 404")


def test_what_is_refused_ends_the_connection_if_a_body_may_follow(client):
    head = "POST /vectors HTTP/1.1\r\nHost: localhost\r\n"
    both = client.raw(head + "Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabcGET /health HTTP/1.1\r\n\r\n")
    assert both.startswith("HTTP/1.1 400") and both.count("HTTP/1.1") == 1
    assert client.raw(head + "Content-Encoding: gzip\r\nContent-Length: 3\r\n\r\nabc").startswith("HTTP/1.1 415")
    assert client.raw(head + "Content-Type: text/plain\r\nContent-Length: 3\r\n\r\nabc").startswith("HTTP/1.1 415")
    assert client.raw(head + "Content-Length: 99999999999\r\n\r\n", wait=False).startswith("HTTP/1.1 413")
    assert client.raw(head + "A: " + "b" * 20000 + "\r\n\r\n").startswith("HTTP/1.1 431")
    assert client.raw(head + "Expect: cake\r\nContent-Length: 3\r\n\r\nabc").startswith("HTTP/1.1 417")
    assert client.raw("nonsense\r\n\r\n").startswith("HTTP/1.1 400")
    assert client.raw(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n").startswith("HTTP/1.1 400")
    client.expect(200, "GET", "/health")


def test_pages_of_others_and_their_names_are_refused(client):
    assert "origins" in client.error(403, "GET", "/vectors", headers={"Origin": "http://evil.example"})
    assert "Host" in client.error(403, "GET", "/vectors", headers={"Host": "evil.example"})
    host = f"localhost:{client.port}"
    client.expect(200, "GET", "/vectors", headers={"Host": host, "Origin": f"http://{host}"})


def test_a_password_is_asked_for(serve):
    client = serve("--requirepass", PASSWORD)
    response = client.ask("GET", "/vectors")
    assert response.status == 401
    assert response.getheader("WWW-Authenticate") == "Bearer"
    client.error(401, "GET", "/nowhere")
    client.error(401, "GET", "/vectors", headers={"api-key": PASSWORD + "x"})
    client.error(401, "GET", "/vectors", headers={"Authorization": "Basic " + PASSWORD})
    client.expect(200, "GET", "/vectors", headers={"api-key": PASSWORD})
    client.expect(200, "GET", "/vectors", headers={"Authorization": "Bearer " + PASSWORD})
    client.expect(200, "GET", "/health")
    refused = client.raw("POST /vectors HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\n\r\n", wait=False)
    assert refused.startswith("HTTP/1.1 401")


def test_half_a_head_is_dropped_after_a_while(serve):
    client = serve()
    with client.server.redis() as redis:
        redis.config_set("http-timeout", 1)
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", client.port), timeout=live.PATIENCE_SECONDS) as peer:
        peer.sendall(b"GET /health HTTP/1.1\r\n")
        try:
            for _ in range(200):  # as slowly as it likes
                peer.sendall(b"A")
                time.sleep(0.05)
        except OSError:
            pass
    assert 0.5 < time.monotonic() - begun < 8


def test_what_was_answered_survives_a_kill(start, reopen):
    port = live.free_port()
    server = start("--http-port", port, "--fsync", "always")
    client = Http(server, port)
    for i in range(20):
        client.expect(201, "POST", "/vectors", {"id": str(i), "vector": [i, 1], "metadata": {"i": i}})
    client.expect(200, "DELETE", "/vectors/3")
    server.send_signal(signal.SIGKILL)
    server.wait()
    again = reopen(server, "--http-port", port)
    client = Http(again, port)
    page = client.expect(200, "GET", "/vectors?metadata=true")
    assert {item["id"]: item["metadata"] for item in page["vectors"]} == {
        str(i): {"i": i} for i in range(20) if i != 3
    }


def test_curl_works_as_the_documents_say(client):
    curl = shutil.which("curl")
    if curl is None:
        pytest.skip("there is no curl")
    url = f"http://127.0.0.1:{client.port}"

    def run(*arguments):
        return json.loads(subprocess.check_output([curl, "-s", *arguments]))

    given = '{"id": "a", "vector": [1, 2, 3], "metadata": {"color": "red"}}'
    kind = ["-H", "Content-Type: application/json"]
    assert run(f"{url}/vectors", *kind, "-d", given) == {"id": "a", "created": True}
    found = run(f"{url}/search", *kind, "-d", '{"vector": [1, 2, 3], "k": 10, "filter": ".color == \\"red\\""}')
    assert [result["id"] for result in found["results"]] == ["a"]
    assert run("-X", "DELETE", f"{url}/vectors/a") == {"id": "a", "deleted": True}


@pytest.mark.skipif(not shutil.which("node"), reason="needs Node.js")
def test_fetch_of_node_walks_every_operation_and_is_told_errors(serve):
    client = serve("--requirepass", "secret", "--http-metric", "l2")
    script = Path(__file__).with_name("http_fetch.js")
    command = ["node", "--input-type=module", "-", f"http://127.0.0.1:{client.port}", "secret"]
    done = subprocess.run(
        command, input=script.read_text(), capture_output=True, text=True, timeout=live.PATIENCE_SECONDS
    )
    assert done.returncode == 0, done.stderr


def close_to(expected, came):
    """The same JSON, numbers to four digits."""
    if isinstance(expected, dict) and isinstance(came, dict):
        return expected.keys() == came.keys() and all(close_to(expected[key], came[key]) for key in expected)
    if isinstance(expected, list) and isinstance(came, list):
        return len(expected) == len(came) and all(map(close_to, expected, came))
    if isinstance(expected, float) or isinstance(came, float):
        return came == pytest.approx(expected, rel=1e-4, abs=1e-4)
    return expected == came and type(expected) is type(came)


def test_the_examples_of_the_documents_are_true(client):
    text = (Path(__file__).resolve().parents[2] / "server" / "HTTP.md").read_text(encoding="utf-8")
    exchanges = [
        exchange.split("\n")
        for block in re.findall(r"^```http\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
        for exchange in block.strip().split("\n\n")
    ]
    assert len(exchanges) > 15
    for request, answer in exchanges:
        method, path, *body = request.split(" ", 2)
        status, expected = answer.split(" ", 1)
        came = client.expect(int(status), method, path, json.loads(body[0]) if body else None)
        assert close_to(json.loads(expected), came), (request, came)
