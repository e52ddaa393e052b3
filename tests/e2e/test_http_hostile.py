# SPDX-License-Identifier: Apache-2.0
"""HTTP that no honest client sends: it is answered with an error or a closed connection, others are
served meanwhile, and memory stays bounded."""

import contextlib
import json
import random
import re
import resource
import socket
import struct
import time
from pathlib import Path

import pytest

import live
from http_client import Http, module_server, serve  # fixtures
from live import SANITIZED

MIB = 1 << 20
SEED = 77
# A sanitizer holds back what was freed.
LEEWAY = 1024 * MIB if SANITIZED else 0
HEAD = b"POST /vectors HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture
def client(module_server):
    """A server that holds nothing; it must serve still when the test has ended."""
    with module_server.server.redis() as redis:
        redis.flushall()
    client = Http(module_server.server, module_server.port)
    yield client
    client.connection.close()
    assert_serving(module_server)


def connect(client):
    return socket.create_connection(("127.0.0.1", client.port), timeout=live.PATIENCE_SECONDS)


def assert_serving(client):
    """Others are served."""
    with connect(client) as peer:
        peer.sendall(HEALTH)
        assert peer.recv(12) == b"HTTP/1.1 200"


@contextlib.contextmanager
def growth_below(client, most):
    """Once the block has ended, resident memory exceeds that of its start by less than `most` bytes."""
    before = client.server.resident_bytes()
    yield
    # What is freed last is given back a little later.
    live.wait_until(
        lambda: client.server.resident_bytes() - before < most + LEEWAY,
        f"memory has grown by less than {(most + LEEWAY) / MIB:.0f} MiB",
    )


def answer_to(client, data):
    """All that comes before the server closes; it may close before it has read everything."""
    answer = b""
    with connect(client) as peer, contextlib.suppress(ConnectionError):
        with contextlib.suppress(ConnectionError):
            peer.sendall(data)
        while piece := peer.recv(65536):
            answer += piece
    return answer


def post(client, path, body, kind="application/json"):
    """The status and the sentence of an error."""
    response = client.ask("POST", path, body, {"Content-Type": kind})
    return response.status, response.json.get("error", "")


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (HEAD + b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length: 3\r\nContent-Length: 5\r\n\r\nabcde", 400),
        (HEAD + b"Content-Length: 3, 5\r\n\r\nabcde", 400),
        (HEAD + b"Content-Length: +3\r\n\r\nabc", 400),
        (HEAD + b"Content-Length: 99999999999999999999999\r\n\r\n", 400),
        (HEAD + b"Content-Length: 18446744073709551615\r\n\r\n", 413),
        (HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 415),
        (HEAD + b"Transfer-Encoding: \x0bchunked\r\n\r\n0\r\n\r\n", 400),
        (HEAD + b"Content-Length : 3\r\n\r\nabc", 400),
        (HEAD + b"A: b\x00c\r\n\r\n", 400),
        (HEAD + b"Host: b\r\n\r\n", 400),
        (CHUNKED + b"ffffffffffffffff\r\n", 413),
        (CHUNKED + b"-1\r\n", 400),
        (CHUNKED + b"3\r\nabcdef\r\n0\r\n\r\n", 400),
        (CHUNKED + b"1;" + b"x" * 70_000, 400),
        (CHUNKED + b"1;a=b\r\nx\r\n" * 20_000, 400),
        (CHUNKED + b"0\r\n" + b"A: b\r\n" * 20_000, 400),
        (b"GET /" + b"x" * 70_000, 431),
        (HEAD + b"A: b\r\n" * 200_000, 431),
        (HEAD + b"A: " + b"b" * 2_000_000, 431),
        (b"POST /vectors HTTP/9.9\r\n\r\n", 400),
        (b"\x00" * 100_000, 400),
        (b"*1\r\n$4\r\nPING\r\n", 400),
    ],
    ids=lambda value: str(value) if isinstance(value, int) else "",
)
def test_broken_framing_is_refused_and_the_connection_closed(client, data, status):
    with growth_below(client, 16 * MIB):
        answer = answer_to(client, data)
        # The answer may be lost to a reset if much was sent behind what was refused.
        if answer or len(data) < 60_000:
            assert answer.startswith(b"HTTP/1.1 4"), answer[:200]
            assert answer.count(b"\r\nServer: ") == 1
            if status != 400:
                assert answer.startswith(b"HTTP/1.1 %d" % status), answer[:200]


def test_an_announced_body_costs_nothing_before_it_comes(client):
    with contextlib.ExitStack() as stack, growth_below(client, 32 * MIB):
        for number in range(40):
            peer = stack.enter_context(connect(client))
            body = b"Content-Length: 30000000\r\n\r\n" if number % 2 else b"Transfer-Encoding: chunked\r\n\r\n1c00000\r\n"
            peer.sendall(HEAD + body + b"x" * 1000)
        assert_serving(client)


def test_a_body_beyond_the_limit_is_refused_while_it_comes(client):
    with growth_below(client, 96 * MIB):
        with connect(client) as peer:
            peer.sendall(CHUNKED)
            with contextlib.suppress(ConnectionError):
                for _ in range(100):
                    peer.sendall(b"80000\r\n" + b"x" * 0x80000 + b"\r\n")
            with contextlib.suppress(ConnectionError):
                assert peer.recv(12) in (b"HTTP/1.1 413", b"")


def test_json_that_would_hold_up_others_is_refused_and_as_much_binary_is_not(client):
    dim, count = 1024, 3000
    ids = [b"%d" % number for number in range(count)]
    packed = b"EGVB" + struct.pack("<HHII", 1, 0, count, dim) + struct.pack(f"<{count}I", *map(len, ids))
    packed += struct.pack(f"<{dim}f", *range(1, dim + 1)) * count + b"".join(ids)
    client.expect(201, "PUT", "/collections/wide", {"dim": dim, "primitive": "flat"})
    large = b" " * (9 * MIB)
    announced = HEAD + b"Content-Length: %d\r\n\r\n" % len(large)
    assert answer_to(client, announced).startswith(b"HTTP/1.1 413")
    answer = answer_to(client, CHUNKED + b"%x\r\n" % len(large) + large)
    assert answer == b"" or answer.startswith(b"HTTP/1.1 413")
    headers = {"Content-Type": "application/octet-stream"}
    client.expect(201, "POST", "/collections/wide/vectors/batch", packed, headers)


def test_a_body_that_stops_is_dropped_and_others_are_not(client):
    with client.server.redis() as redis:
        redis.config_set("http-timeout", 1)
        try:
            with connect(client) as peer:
                peer.sendall(HEAD + b"Content-Length: 1000\r\n\r\nhalf")
                begun = time.monotonic()
                for _ in range(8):
                    assert_serving(client)
                    time.sleep(0.02)
                assert peer.recv(100) == b""
                assert 0.5 < time.monotonic() - begun < live.PATIENCE_SECONDS / 2
        finally:
            redis.config_set("http-timeout", 60)


def test_ten_thousand_pipelined_requests_are_answered_in_order(client):
    count = 10_000
    lines = b"".join(b"GET /n%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % number for number in range(count))
    with growth_below(client, 64 * MIB), connect(client) as peer:
        peer.settimeout(live.PATIENCE_SECONDS)
        sent, answer = 0, bytearray()
        while answer.count(b"\r\n\r\n") < count:
            peer.setblocking(False)
            with contextlib.suppress(BlockingIOError):
                sent += peer.send(lines[sent : sent + 65536]) if sent < len(lines) else 0
            peer.setblocking(True)
            peer.settimeout(0.05 if sent < len(lines) else live.PATIENCE_SECONDS)
            with contextlib.suppress(TimeoutError):
                piece = peer.recv(1 << 20)
                assert piece
                answer += piece
        numbers = [int(part.split(b"'")[0]) for part in bytes(answer).split(b"there is no route '/n")[1:]]
        assert numbers == list(range(count))


def test_a_client_that_never_reads_its_answers_is_not_served_further(client):
    page = b"GET /primitives HTTP/1.1\r\nHost: localhost\r\n\r\n"
    with growth_below(client, 128 * MIB), connect(client) as peer:
        peer.settimeout(1)
        with contextlib.suppress(TimeoutError, ConnectionError):
            peer.sendall(page * 100_000)
        assert_serving(client)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 1_000_000,
        b'{"vector":' * 100_000,
        b'{"id":"a","vector":' + b"[" * 100 + b"1" + b"]" * 100 + b"}",
        b'{"id":"a","vector":[1],"metadata":' + b'{"a":' * 1000 + b"1" + b"}" * 1001,
        b'{"id":"a","vector":[NaN]}',
        b'{"id":"a","vector":[Infinity]}',
        b'{"id":"a","vector":[1e400]}',
        b'{"id":"a","vector":[-1e400]}',
        b'{"id":"a","vector":[1e39]}',
        b'{"id":"a","vector":[99999999999999999999999999999999999999999999999999]}',
        b'{"id":"a","vector":[01]}',
        b'{"id":"a","vector":[1,]}',
        b'{"id":"a","vector":[0x10]}',
        b'{"id":"a","vector":[null]}',
        b'{"id":"a","vector":[true]}',
        b'{"id":"a","vector":[[1]]}',
        b'{"id":"\xff\xfe","vector":[1]}',
        b'{"id":"\xc0\xaf","vector":[1]}',
        b'{"id":"\\ud800","vector":[1]}',
        b'{"id":"a\nb","vector":[1]}',
        b'{"id":"a","vector":[1]} {}',
        b'{"id":"a","vector":[1]',
        b'\xef\xbb\xbf',
        b"\x00" * 1000,
        b'{"id":"' + b"x" * 100_000 + b'","vector":[1]}',
        b'{"id":"a","vector":[' + b"1," * 100_000 + b"1]}",
        b'{"id":"a","vector":{"base64":"' + b"A" * 1_000_000 + b'"}}',
        b'{"id":"a","vector":{"base64":"AACAfw=="}}',
        b'{"id":"a","vector":{"base64":"AADAfw=="}}',
    ],
    ids=lambda body: "",
)
def test_json_that_means_no_vector_stores_none(client, body):
    with growth_below(client, 64 * MIB):
        status, sentence = post(client, "/vectors", body)
        assert status == 400 and sentence
        status, sentence = post(client, "/vectors/batch", b'{"vectors":[' + body + b"]}")
        assert status == 400 and sentence
    assert client.expect(200, "GET", "/collections") == {"collections": []}


def test_vectors_that_are_too_short_take_no_room_of_long_ones(client):
    """A hundred thousand vectors of one dimension for a collection of 32,768 would be 12 GiB."""
    client.expect(201, "PUT", "/collections/wide", {"dim": 32_768, "primitive": "flat"})
    count = 100_000
    batch = b'{"vectors":[' + b",".join([b'{"id":"a","vector":[1]}'] * count) + b"]}"
    with growth_below(client, 64 * MIB):
        status, sentence = post(client, "/collections/wide/vectors/batch", batch)
        assert status == 400 and "1 dimensions" in sentence
        queries = b'{"k":1,"vectors":[' + b",".join([b"[]"] * count) + b"]}"
        assert post(client, "/collections/wide/search/batch", queries)[0] == 400


def test_more_results_than_an_answer_holds_are_refused(client):
    client.expect(201, "POST", "/vectors/batch", {"vectors": [{"id": str(i), "vector": [i, 1]} for i in range(100)]})
    queries = {"vectors": [[1, 1]] * 10_000, "k": 4_294_967_295, "include_vectors": True}
    with growth_below(client, 256 * MIB):
        assert client.ask("POST", "/search/batch", queries).status in (200, 400)
        assert client.ask("POST", "/search", {"vector": [1, 1], "k": 2**53}).status in (200, 400)


def test_what_metadata_makes_too_large_an_answer_is_refused(client):
    items = [{"id": str(i), "vector": [i, 1], "metadata": {"t": "x" * 60_000}} for i in range(100)]
    for first in range(0, 1200, 100):
        client.expect(201, "POST", "/vectors/batch", {"vectors": [{**item, "id": f"{first}-{item['id']}"} for item in items]})
    sentence = client.error(400, "GET", "/collections/default/map?sample=10000")
    assert "sample" in sentence and "at once" in sentence
    assert len(client.expect(200, "GET", "/collections/default/map?sample=100")["points"]) == 100
    with peak_below(client, 800 * MIB):  # of 7.2 GB
        sentence = client.error(400, "POST", "/search/batch", {"vectors": [[1, 1]] * 100, "k": 1200})
    assert "smaller k" in sentence


@pytest.mark.skipif(SANITIZED, reason="a sanitizer ends the process where it runs out of memory")
def test_a_body_that_finds_no_memory_is_told_so_and_others_are_served(serve):
    client = serve("--appendonly", "no", "--workers", "1")
    packed = {"Content-Type": "application/octet-stream"}
    dim, count = 1024, 7_000  # 29 MB
    ids = [b"%d" % number for number in range(count)]
    body = b"EGVB" + struct.pack("<HHII", 1, 0, count, dim) + struct.pack(f"<{count}I", *map(len, ids))
    # The last vector of each is wrong: all is read, and nothing stored.
    body += struct.pack("<f", 1) * (dim * count - 1) + struct.pack("<f", float("nan")) + b"".join(ids)
    rows = [{"id": "a", "vector": [0.125] * 60_000}] * 17 + [{"id": "b", "vector": [1]}]
    batch = json.dumps({"vectors": rows}).encode()  # 7 MB
    client.expect(201, "PUT", "/collections/narrow", {"dim": dim, "primitive": "flat", "metric": "l2"})
    client.expect(201, "PUT", "/collections/wide", {"dim": 60_000, "primitive": "flat", "metric": "l2"})
    assert_serving(client)
    process = client.server.process.pid
    _, hard = resource.prlimit(process, resource.RLIMIT_AS)
    told = set()
    for room in (2, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 1024):
        used = int(re.search(r"VmSize:\s+(\d+) kB", Path(f"/proc/{process}/status").read_text())[1]) * 1024
        resource.prlimit(process, resource.RLIMIT_AS, (used + room * MIB, hard))
        for path, sent, headers in (("/collections/narrow/vectors/batch", body, packed), ("/collections/wide/vectors/batch", batch, {})):
            status, sentence = post_and_hear(client, path, sent, headers)
            told.add((status, sentence))
            assert status in (400, 503), (room, status, sentence)
        resource.prlimit(process, resource.RLIMIT_AS, (hard, hard))
        assert_serving(client)
    sentences = " ".join(sentence for _, sentence in told)
    assert "out of memory for the rest of the request" in sentences, told
    assert "out of memory for what the request holds" in sentences, told
    assert "finite" in sentences and "1 dimensions" in sentences and "not JSON" not in sentences, told


def post_and_hear(client, path, body, headers):
    """The status and sentence of a response, which may come before the body was sent."""
    with connect(client) as peer:
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        head = f"POST {path} HTTP/1.1\r\nHost: localhost\r\n{lines}Content-Length: {len(body)}\r\n\r\n"
        with contextlib.suppress(ConnectionError):
            peer.sendall(head.encode() + body)
        with contextlib.suppress(OSError):
            peer.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := peer.recv(65536):
            answer += piece
    head, _, text = answer.partition(b"\r\n\r\n")
    return int(head.split()[1]), json.loads(text).get("error", "")


@contextlib.contextmanager
def peak_below(client, most):
    """Resident memory never exceeds that of the start of the block by `most` bytes."""
    status = Path(f"/proc/{client.server.process.pid}/status")
    Path(f"/proc/{client.server.process.pid}/clear_refs").write_text("5")  # the peak begins anew
    before = client.server.resident_bytes()
    yield
    peak = int(re.search(r"VmHWM:\s+(\d+) kB", status.read_text())[1]) * 1024
    assert peak - before < most + LEEWAY, f"{(peak - before) / MIB:.0f} MiB"


def test_random_bytes(client):
    source = random.Random(SEED)
    whole = HEAD + b'Content-Length: 26\r\n\r\n{"id":"abc","vector":[1,2]}'
    with growth_below(client, 32 * MIB):
        for _ in range(50):
            data = bytearray(whole * source.randrange(1, 4))
            for _ in range(source.randrange(1, 30)):
                at = source.randrange(len(data))
                data[at : at + source.randrange(3)] = source.randbytes(source.randrange(4))
            with connect(client) as peer, contextlib.suppress(ConnectionError):
                peer.sendall(data)
                peer.shutdown(socket.SHUT_WR)
                while peer.recv(65536):
                    pass


def test_clients_that_leave_amid_everything_harm_nobody(client):
    vectors = [{"id": str(i), "vector": [i + 1] * 64} for i in range(500)]
    client.expect(201, "POST", "/vectors/batch", {"vectors": vectors})
    body = json.dumps({"vectors": [[1] * 64] * 200, "k": 100}).encode()
    request = b"POST /search/batch HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    for number in range(15):
        with connect(client) as peer:
            peer.sendall(request * 3 + request[: number * 97])
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert_serving(client)


@pytest.mark.long
def test_ten_thousand_connections_are_held(start):
    count = 10_000
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < count + 200:
        pytest.skip(f"a process may have {hard} descriptors here")
    resource.setrlimit(resource.RLIMIT_NOFILE, (count + 200, hard))
    try:
        port = live.free_port()
        server = start("--http-port", port, "--maxclients", count + 100)
        client = Http(server, port)
        with contextlib.ExitStack() as stack, growth_below(client, 400 * MIB):
            peers = []
            for number in range(count):
                peers.append(stack.enter_context(connect(client)))
                peers[-1].sendall(HEALTH[: number % len(HEALTH)])
            assert_serving(client)
            for number, peer in enumerate(peers):
                peer.sendall(HEALTH[number % len(HEALTH) :])
            for peer in peers:
                assert peer.recv(12) == b"HTTP/1.1 200"
        assert_serving(client)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
