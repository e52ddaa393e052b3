# SPDX-License-Identifier: Apache-2.0
"""A client of the HTTP door."""

import http.client
import json
import socket
import struct

import pytest

import live

BINARY = {"Content-Type": "application/octet-stream"}


def packed_batch(items, dim, flags=0):
    """`items` (id, vector, metadata as JSON text or None) as application/octet-stream."""
    ids = [item[0].encode() for item in items]
    metadata = [item[2].encode() if item[2] is not None else None for item in items]
    count = len(items)
    body = b"EGVB" + struct.pack("<HHII", 1, flags, count, dim)
    body += struct.pack(f"<{count}I", *map(len, ids))
    if flags:
        body += struct.pack(f"<{count}I", *(0xFFFFFFFF if one is None else len(one) for one in metadata))
    body += b"".join(struct.pack(f"<{dim}f", *item[1]) for item in items) + b"".join(ids)
    return body + (b"".join(one or b"" for one in metadata) if flags else b"")


class Http:
    """A client of one server, over one connection that is kept."""

    def __init__(self, server, port):
        self.server = server
        self.port = port
        live.wait_until(self._listens, "the server listens for HTTP")
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=live.PATIENCE_SECONDS)

    def _listens(self):
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) == 0

    def ask(self, method, path, body=None, headers=None):
        """The response, with `json` beside it."""
        headers = dict(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        self.connection.request(method, path, body, headers)
        response = self.connection.getresponse()
        response.text = response.read()
        response.json = json.loads(response.text) if response.text else None
        return response

    def expect(self, status, method, path, body=None, headers=None):
        """The JSON of a response that must have that status."""
        response = self.ask(method, path, body, headers)
        assert response.status == status, (response.status, response.json)
        return response.json

    def error(self, status, method, path, body=None, headers=None):
        answer = self.expect(status, method, path, body, headers)
        assert list(answer) == ["error"]
        return answer["error"]

    def raw(self, text, wait=True):
        """All that is answered to bytes, until the server closes."""
        with socket.create_connection(("127.0.0.1", self.port), timeout=live.PATIENCE_SECONDS) as peer:
            peer.sendall(text if isinstance(text, bytes) else text.encode())
            if wait:
                peer.shutdown(socket.SHUT_WR)
            answer = b""
            while piece := peer.recv(65536):
                answer += piece
            return answer.decode()


@pytest.fixture
def serve(start):
    """Starts a server with flags."""

    def begin(*flags):
        port = live.free_port()
        server = start("--http-port", port, *flags)
        return Http(server, port)

    return begin


@pytest.fixture(scope="module")
def module_server(tmp_path_factory):
    port = live.free_port()
    server = live.Server(tmp_path_factory.mktemp("http"), "--http-port", port)
    yield Http(server, port)
    server.end()


@pytest.fixture
def client(module_server):
    """A server that holds nothing."""
    with module_server.server.redis() as redis:
        redis.flushall()
    return Http(module_server.server, module_server.port)
