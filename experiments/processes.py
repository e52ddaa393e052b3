# SPDX-License-Identifier: Apache-2.0
"""Servers that an experiment starts and ends by itself, each in a folder of its own."""

from __future__ import annotations

import ctypes
import random
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Callable, Sequence, TypeVar

from common import UserError

ENGRAM = Path(__file__).resolve().parents[1] / "build" / "server" / "engram"
START_SECONDS = 120
POLL_SECONDS = 0.0005
PATIENCE_SECONDS = 60
LOST_SECONDS = 5
PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None)  # found before there are threads
LOWEST_PORT = 10_000
EPHEMERAL_PORTS = Path("/proc/sys/net/ipv4/ip_local_port_range")
given_ports: set[int] = set()

Found = TypeVar("Found")


def wait_until(condition: Callable[[], Found], what: str, seconds: float = PATIENCE_SECONDS) -> Found:
    """Returns the first true result of `condition`, at which it looks often. Errors: TimeoutError. Of a
    time in which the machine lets this process sleep too long, no more than LOST_SECONDS count."""
    left = seconds
    while left > 0:
        began = time.monotonic()
        if result := condition():
            return result
        asked = time.monotonic()
        time.sleep(0.01)
        left -= asked - began + min(time.monotonic() - asked, LOST_SECONDS)
    raise TimeoutError(f"waited {seconds:g} s in vain until {what}")


def free_port() -> int:
    """A port that nobody listens on, that this process has not been given before, and that no connection
    is given by itself: it is still free for a server that ends and comes back."""
    try:
        highest = int(EPHEMERAL_PORTS.read_text().split()[0])
    except OSError:
        highest = 0
    while highest <= LOWEST_PORT:  # all ports may be given to connections: then the system chooses
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = int(probe.getsockname()[1])
        if port not in given_ports:
            given_ports.add(port)
            return port
    while True:
        port = random.SystemRandom().randrange(LOWEST_PORT, highest)
        if port in given_ports:
            continue
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
        given_ports.add(port)
        return port


def die_with_parent() -> None:
    """For the beginning of a process: it ends when the thread that has started it does."""
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def redis_program(folder: Path) -> Path:
    """redis-server, by a link in `folder`: Debian's redis-tools brings it under another name, by which it
    behaves differently."""
    program = folder / "redis-server"
    if not program.is_symlink():
        found = shutil.which("redis-check-rdb")
        if found is None:
            raise UserError("Redis is missing: apt-get install redis-tools")
        program.symlink_to(found)
    return program


class ServerProcess:
    """A server on a port that was free. The folder is kept over restarts, and removed by close()
    unless it was given."""

    def __init__(self, command: Sequence[str], folder: Path | None = None) -> None:
        self._folder = None if folder else tempfile.TemporaryDirectory(prefix="engram-experiment-")
        self.folder = folder or Path(self._folder.name)
        self.port = free_port()
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
