#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Runs the two commands of the README in a fresh clone inside a new, bare Debian 12:
#
#   sudo .ci/clean-root.sh [FOLDER]
#
# The root is made in FOLDER (default: a new folder in /var/tmp), which is removed at the end unless KEEP=1.
# It uses this machine's apt sources, so that a mirror or a proxy it depends on is used in there, too.
# COMMANDS replaces the two commands, one a line. FILES are copied into the home of root, where the clone is, too.
set -euo pipefail

((EUID == 0)) || { echo "clean-root.sh: must run as root" >&2; exit 2; }
command -v debootstrap >/dev/null || { echo "clean-root.sh: debootstrap is missing: apt-get install debootstrap" >&2; exit 2; }

source="$(cd "$(dirname "$0")/.." && pwd)"
root="${1:-$(mktemp -d /var/tmp/engram-clean-root.XXXXXX)}"
commands="${COMMANDS:-experiments/quickstart.sh --once
tests/run.sh}"

# The first Debian mirror among this machine's sources, in either of the formats that apt reads.
mirror() {
  apt-get indextargets --format '$(SITE)' "Created-By: Packages" | grep -m 1 debian
}

end() {
  # Mounts first: removing through a bind mount would remove the machine's own devices.
  for mount in dev/pts dev proc; do
    mountpoint -q "$root/$mount" && umount "$root/$mount"
  done
  if [[ "${KEEP:-0}" != 1 ]] && ! grep -q " $root/" /proc/mounts; then
    rm -rf --one-file-system "$root"
  fi
}

copy_apt_configuration() {
  rm -f "$root/etc/apt/sources.list"
  cp -aL /etc/apt/{sources.list,sources.list.d,apt.conf,apt.conf.d,auth.conf.d,trusted.gpg.d,keyrings} "$root/etc/apt/" 2>/dev/null || true
  cp -aL /usr/share/keyrings/. "$root/usr/share/keyrings/"
  cp -aL /usr/local/share/ca-certificates /etc/ssl "$root/etc/" 2>/dev/null || true
  cp -L /etc/resolv.conf /etc/hosts "$root/etc/"
}

trap end EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

# apt fetches as a user of its own.
chmod 755 "$root"
debootstrap --variant=minbase --include=git,ca-certificates bookworm "$root" "$(mirror)" >"$root.log" 2>&1 ||
  { tail "$root.log"; exit 1; }
rm -f "$root.log"
copy_apt_configuration
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount --bind /dev/pts "$root/dev/pts"
git clone -q "file://$source" "$root/root/engram"
# shellcheck disable=SC2086
[[ -z "${FILES-}" ]] || cp -L $FILES "$root/root/"

# Nothing of this machine's environment goes in but the terminal and what a proxy needs.
inside=(env -i HOME=/root TERM="${TERM:-dumb}" PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin)
for name in http_proxy https_proxy no_proxy; do
  [[ -n "${!name-}" ]] && inside+=("$name=${!name}")
done
status=0
while IFS= read -r command; do
  start="$SECONDS"
  printf '\n##### %s\n' "$command"
  chroot "$root" "${inside[@]}" bash -c "cd /root/engram && $command" </dev/null || status=1
  printf '##### %d s: %s\n' "$((SECONDS - start))" "$command"
done <<<"$commands"
exit "$status"
