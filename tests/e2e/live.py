# SPDX-License-Identifier: Apache-2.0
"""Running servers: engram, and Redis to compare it with."""

import contextlib
import os
import re
import resource
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import redis

# Behind the folder of the tests, whose names come first.
sys.path.append(str(Path(__file__).resolve().parents[2] / "experiments"))

from processes import PATIENCE_SECONDS, die_with_parent, free_port, redis_program, wait_until  # noqa: E402
from wire import Wire  # noqa: E402

SANITIZED = os.environ.get("ENGRAM_SANITIZER", "none") != "none"


@contextlib.contextmanager
def noting(failures):
    """What ends a thread, whose exception nobody sees, is appended to `failures`."""
    try:
        yield
    except Exception as error:
        failures.append(error)


def wait_until_steady(value, tolerance, seconds=0.5):
    """Returns `value()` when it has not moved by more than `tolerance` for so long."""
    last, since = value(), time.monotonic()

    def is_steady():
        nonlocal last, since
        now = value()
        if abs(now - last) > tolerance:
            last, since = now, time.monotonic()
        return time.monotonic() - since > seconds

    wait_until(is_steady, "a value is steady")
    return last


def spawn(command, log):
    """A test run that is killed leaves no server behind."""
    with open(log, "wb") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            preexec_fn=die_with_parent,
        )


def engram_command(*arguments):
    return [os.environ["ENGRAM_SERVER"], *map(str, arguments)]


def run_engram(*arguments, cwd=None):
    """Runs the program to its end, for those invocations that are expected to have one."""
    return subprocess.run(
        engram_command(*arguments),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        cwd=cwd,
    )


class Reachable:
    """What clients reach at `port` of `host`, as they and the system see it; `process` is a Popen."""

    host = "127.0.0.1"
    port = 0

    def redis(self, **options):
        return redis.Redis(host=self.host, port=self.port, socket_timeout=PATIENCE_SECONDS, **options)

    def wire(self, protocol=2):
        return Wire(self.port, protocol, PATIENCE_SECONDS, self.host)

    def socket(self):
        return socket.create_connection((self.host, self.port), timeout=PATIENCE_SECONDS)

    def resident_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024


class Process(Reachable):
    """A server process that listens on a port of 127.0.0.1."""

    def __init__(self, command, folder):
        self.folder = folder
        self.log = folder / "log"
        self.process = spawn(command, self.log)

    def output(self):
        return self.log.read_text(errors="replace")

    def assert_running(self):
        status = self.process.poll()
        assert status is None, f"the server ended with {status}:\n{self.output()}"

    def send_signal(self, number):
        self.process.send_signal(number)

    def wait(self):
        """Waits for the end; returns the exit status."""
        try:
            return self.process.wait(timeout=PATIENCE_SECONDS)
        except subprocess.TimeoutExpired as late:
            threads = self.threads()
            self.process.kill()
            raise AssertionError(
                f"the server does not end; its threads: {threads}\n{self.output()}"
            ) from late

    def threads(self):
        """The name of each thread, and where in the kernel it waits."""
        found = []
        for task in Path(f"/proc/{self.process.pid}/task").glob("*"):
            with contextlib.suppress(OSError):  # it has just ended
                name, place = (task / "comm").read_text(), (task / "wchan").read_text()
                found.append(f"{name.strip()} ({place})")
        return ", ".join(found)

    def end(self):
        """Ends the server if it still runs; in both cases it must have ended cleanly, unless a test
        has killed it."""
        if self.process.poll() is None:
            self.send_signal(signal.SIGTERM)
        status = self.wait()
        assert status in (0, -signal.SIGKILL), f"the server ended with {status}:\n{self.output()}"


class Server(Process):
    """engram, on a port that the system chooses unless the flags name one."""

    def __init__(self, folder, *flags):
        folder.mkdir(exist_ok=True)
        super().__init__(
            engram_command("serve", "--port", 0, "--dir", folder, *flags), folder
        )
        self.port = int(wait_until(self._announced_port, "the server listens"))

    def _announced_port(self):
        self.assert_running()
        found = re.search(r"listening on \S+:(\d+)", self.output())
        return found and found.group(1)


class SmallDisk(Process):
    """engram that may be forbidden to write more than so many bytes into a file."""

    def __init__(self, folder, *flags):
        folder.mkdir()
        command = engram_command("serve", "--port", 0, "--dir", folder, "--fsync", "always", *flags)
        super().__init__(["env", "--ignore-signal=XFSZ", *command], folder)

        def announced():
            self.assert_running()
            return re.search(r"listening on \S+:(\d+)", self.output())

        self.port = int(wait_until(announced, "the server listens").group(1))

    def limit(self, size):
        _, hard = resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, hard))


class Redis(Process):
    """Debian's Redis."""

    def __init__(self, folder, *flags):
        folder.mkdir(exist_ok=True)
        port = free_port()
        super().__init__(
            [redis_program(folder), "--port", str(port), "--save", "", "--dir", folder, *map(str, flags)], folder
        )
        self.port = port
        wait_until(self._answers, "Redis answers")

    def _answers(self):
        self.assert_running()
        try:
            return self.redis().ping()
        except (redis.ConnectionError, redis.exceptions.BusyLoadingError):
            return False


class ModuleHost(Redis):
    """Debian's Redis with engram's module: ENGRAM_MODULE names it."""

    def __init__(self, folder, *flags):
        module = os.environ["ENGRAM_MODULE"]
        own = ("--enable-debug-command", "yes", "--repl-diskless-sync-delay", 0, "--shutdown-timeout", 0)
        super().__init__(folder, *own, "--loadmodule", module, "workers", 2, *flags)
