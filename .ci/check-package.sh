#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs a Debian package of engram, runs its service as the unit says, and purges it. For a system that is thrown away:
#
#   deb=$(ls build-package/engram_*.deb)
#   sudo FILES="$deb" COMMANDS=".ci/check-package.sh ~/$(basename "$deb")" .ci/clean-root.sh
set -euo pipefail

deb="$(realpath -e "$1")"
unit=/lib/systemd/system/engram.service
configuration=/etc/engram/engram.conf
export DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes

((EUID == 0)) || { echo "check-package.sh: must run as root" >&2; exit 2; }
dpkg-query -W engram >/dev/null 2>&1 && { echo "check-package.sh: engram is installed here" >&2; exit 2; }

fail() { echo "check-package.sh: $1" >&2; exit 1; }

# expect WHAT WANTED COMMAND...: the output of a command
expect() {
  local what="$1" wanted="$2" got
  shift 2
  got="$("$@")" || fail "$what: failed: $*"
  [[ "$got" == "$wanted" ]] || fail "$what: $got, and $wanted was expected"
  printf 'ok: %s\n' "$what"
}

install() { apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 "$@" >/dev/null; }

owner_and_mode() { stat -c '%U:%G %a' "$1"; }

check_files() {
  expect "the program runs" "engram $(dpkg-query -W -f '${Version}' engram)" engram --version
  expect "the data is the server's own" "engram:engram 750" owner_and_mode /var/lib/engram
  expect "the configuration is not for everybody" "root:engram 640" owner_and_mode "$configuration"
  expect "the user cannot log in" /usr/sbin/nologin sh -c 'getent passwd engram | cut -d: -f7'
  # A minimal Debian may leave documents out, so the package is asked.
  for file in /usr/share/man/man1/engram.1.gz /usr/share/bash-completion/completions/engram.bash "$unit"; do
    dpkg -L engram | grep -qx "$file" || fail "the package has no $file"
  done
}

check_unit() {
  systemd-analyze verify --man=no "$unit" || fail "systemd does not take the unit"
  local exposure
  exposure="$(systemd-analyze security --offline=yes "$unit" | sed -n 's/.*Overall exposure level for .*: \([0-9.]*\).*/\1/p')"
  printf 'ok: the unit is sound, its exposure %s of 10\n' "$exposure"
  [[ "${exposure%.*}" -le 2 ]] || fail "the sandbox of the unit is open"
}

# systemd does not run in here, so this is what it would do: the command as the user, without capabilities, until READY=1.
serve() {
  local command
  command="$(sed -n 's/^ExecStart=//p' "$unit")"
  python3 - "$command" <<'PYTHON'
import os, shlex, signal, socket, subprocess, sys

command = ["setpriv", "--reuid=engram", "--regid=engram", "--clear-groups", "--no-new-privs", "--bounding-set=-all",
           "--inh-caps=-all", *shlex.split(sys.argv[1])]


def ask(*words):
    done = subprocess.run(["redis-cli", "-p", "6380", "--raw", *words], capture_output=True, text=True, timeout=20, check=True)
    return done.stdout.split()


with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as manager:
    manager.bind("/run/engram-notify")
    os.chmod("/run/engram-notify", 0o666)
    manager.settimeout(60)
    for start in range(2):
        server = subprocess.Popen(command, env={"NOTIFY_SOCKET": "/run/engram-notify", "PATH": "/usr/bin:/bin"})
        try:
            assert manager.recv(100) == b"READY=1"
            assert ask("PING") == ["PONG"]
            if start == 0:
                assert ask("VNEW", "notes", "2", "METRIC", "l2") == ["OK"]
                assert ask("VADD", "notes", "VALUES", "2", "3", "4", "near") == ["1"]
                assert ask("VADD", "notes", "VALUES", "2", "30", "40", "far") == ["1"]
            assert ask("VSEARCH", "notes", "VALUES", "2", "0", "0", "1") == ["near", "5"]
            server.send_signal(signal.SIGTERM)
            assert manager.recv(100) == b"STOPPING=1"
            assert server.wait(60) == 0
        finally:
            server.kill()
    os.unlink("/run/engram-notify")
PYTHON
  echo "ok: the service starts, says so, answers, ends with 0, and has its data when it starts again"
}

check_purge() {
  apt-get -qq purge -y -o Dpkg::Use-Pty=0 engram >/dev/null
  local left
  for left in /etc/engram /var/lib/engram "$unit" /usr/bin/engram; do
    [[ ! -e "$left" ]] || fail "purged, and $left is still there"
  done
  getent passwd engram && fail "purged, and the user is still there"
  echo "ok: nothing is left"
}

apt-get -qq update
install "$deb"
check_files
install python3 redis-tools systemd
check_unit
serve
check_purge
