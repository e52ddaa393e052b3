# SPDX-License-Identifier: Apache-2.0
"""A client of the HTTP door."""

import http.client
import json
import socket

import pytest

import live


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
