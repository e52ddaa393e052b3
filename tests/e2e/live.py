# SPDX-License-Identifier: Apache-2.0
"""Running servers: engram, and Redis to compare it with."""

import contextlib
import ctypes
import os
import re
import resource
import shutil
import signal
import socket
import subprocess
import time
from pathlib import Path

import redis

from wire import Wire

SANITIZED = os.environ.get("ENGRAM_SANITIZER", "none") != "none"
PATIENCE_SECONDS = 60
PR_SET_PDEATHSIG = 1


def wait_until(condition, what):
    """Returns the first true result of `condition`; it is looked at often until it is given up."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        result = condition()
        if result:
            return result
        time.sleep(0.01)
    raise AssertionError(f"waited {PATIENCE_SECONDS} s in vain until {what}")


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


def _die_with_parent():
    # A test run that is killed leaves no server behind.
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def spawn(command, log):
    with open(log, "wb") as file:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=file,
            preexec_fn=_die_with_parent,
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


class Process:
    """A server process that listens on a port of 127.0.0.1."""

    def __init__(self, command, folder):
        self.folder = folder
        self.log = folder / "log"
        self.process = spawn(command, self.log)
        self.port = 0

    def output(self):
        return self.log.read_text(errors="replace")

    def assert_running(self):
        status = self.process.poll()
        assert status is None, f"the server ended with {status}:\n{self.output()}"

    def redis(self, **options):
        return redis.Redis(port=self.port, socket_timeout=PATIENCE_SECONDS, **options)

    def wire(self, protocol=2):
        return Wire(self.port, protocol, PATIENCE_SECONDS)

    def socket(self):
        return socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE_SECONDS)

    def resident_bytes(self):
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmRSS:\s+(\d+) kB", status).group(1)) * 1024

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
    """Debian's Redis. redis-tools brings the program under another name, by which it behaves
    differently."""

    def __init__(self, folder, *flags):
        folder.mkdir(exist_ok=True)
        program = folder / "redis-server"
        if not program.is_symlink():
            program.symlink_to(shutil.which("redis-check-rdb"))
        port = free_port()
        super().__init__(
            [program, "--port", str(port), "--save", "", "--dir", folder, *map(str, flags)], folder
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


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
