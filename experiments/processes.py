# SPDX-License-Identifier: Apache-2.0
"""Servers that an experiment starts and ends by itself, each in a folder of its own."""

from __future__ import annotations

import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Sequence

from common import UserError

ENGRAM = Path(__file__).resolve().parents[1] / "build" / "server" / "engram"
START_SECONDS = 120
POLL_SECONDS = 0.0005


class ServerProcess:
    """A server on a port that was free. The folder is kept over restarts, and removed by close()
    unless it was given."""

    def __init__(self, command: Sequence[str], folder: Path | None = None) -> None:
        self._folder = None if folder else tempfile.TemporaryDirectory(prefix="engram-experiment-")
        self.folder = folder or Path(self._folder.name)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = int(probe.getsockname()[1])
        self._command = [*command, "--port", str(self.port), "--dir", str(self.folder)]
        self._process: subprocess.Popen | None = None

    def start(self) -> socket.socket:
        """Returns a connection, made as soon as the server listens."""
        try:
            with open(self.folder / "log", "ab") as log:
                self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        except OSError as error:
            raise UserError(f"cannot start {self._command[0]}: {error.strerror}") from error
        deadline = time.monotonic() + START_SECONDS
        while time.monotonic() < deadline and self._process.poll() is None:
            try:
                return socket.create_connection(("127.0.0.1", self.port))
            except ConnectionRefusedError:
                time.sleep(POLL_SECONDS)
        raise UserError(f"{self._command[0]} did not start: {(self.folder / 'log').read_text()}")

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    def stop(self) -> None:
        """Ends it in good order, so that it may be started again."""
        if self._process is not None:
            self._process.send_signal(signal.SIGTERM)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.stop()
        if self._folder is not None:
            self._folder.cleanup()

    def __enter__(self) -> ServerProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def engram(program: Path, *flags: str) -> ServerProcess:
    return ServerProcess([str(program), "serve", "--log-level", "warning", *flags])


def redis_server(*flags: str) -> ServerProcess:
    return ServerProcess(["redis-server", "--save", "", *flags])
