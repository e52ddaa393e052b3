# SPDX-License-Identifier: Apache-2.0
"""Two networks of one machine whose connection can be cut, without anybody being told: packets vanish."""

import ctypes
import os
import shutil
import subprocess
from pathlib import Path

import pytest

import live

CLONE_NEWNET = 0x40000000
TOOLS = ("ip", "nsenter", "unshare")
FORWARDING = Path("/proc/sys/net/ipv4/ip_forward")


def _run(*command):
    subprocess.run([str(word) for word in command], check=True, capture_output=True)


class Side:
    """A network namespace with one address. `launcher` before a command makes it run there. It lasts as long as
    the process in it."""

    def __init__(self, number):
        self.gateway, self.host = f"10.77.{number}.1", f"10.77.{number}.2"
        ours = os.readlink("/proc/thread-self/ns/net")
        self._holder = subprocess.Popen(
            ["unshare", "--net", "sleep", "infinity"], preexec_fn=live.die_with_parent
        )
        try:
            self._connect(f"side{number}", ours)
        except BaseException:
            self.end()
            raise

    def _connect(self, link, ours):
        theirs = Path(f"/proc/{self._holder.pid}/ns/net")
        live.wait_until(lambda: os.readlink(theirs) != ours, "there is a namespace")
        self.launcher = ("nsenter", f"--net={theirs}", "--")
        _run("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", self._holder.pid)
        _run("ip", "addr", "add", f"{self.gateway}/24", "dev", link)
        _run("ip", "link", "set", link, "up")
        _run(*self.launcher, "ip", "addr", "add", f"{self.host}/24", "dev", "eth0")
        for device in ("lo", "eth0"):
            _run(*self.launcher, "ip", "link", "set", device, "up")
        _run(*self.launcher, "ip", "route", "add", "default", "via", self.gateway)

    def end(self):
        self._holder.kill()
        self._holder.wait()


class Sides:
    """This thread and those that it starts are in a namespace between both sides, which reaches each. A context
    manager; skips the test where this is not allowed."""

    def __enter__(self):
        missing = [tool for tool in TOOLS if shutil.which(tool) is None]
        if missing:
            pytest.skip(f"there is no {missing[0]}")
        self._home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        self._libc = ctypes.CDLL(None, use_errno=True)
        self.sides = []
        if self._libc.unshare(CLONE_NEWNET) != 0:
            os.close(self._home)
            pytest.skip(f"no network of one's own: {os.strerror(ctypes.get_errno())}")
        try:
            _run("ip", "link", "set", "lo", "up")
            for number in (1, 2):
                self.sides.append(Side(number))
            self.heal()
        except (OSError, subprocess.CalledProcessError) as refused:
            self.__exit__()
            pytest.skip(f"no networks to cut: {refused}")
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_):
        try:
            for side in self.sides:
                side.end()
        finally:
            assert self._libc.setns(self._home, CLONE_NEWNET) == 0
            os.close(self._home)

    def cut(self):
        FORWARDING.write_text("0")

    def heal(self):
        FORWARDING.write_text("1")
