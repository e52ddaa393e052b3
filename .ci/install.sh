#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Installs the packages of the named groups of packages.txt that are missing: install.sh run [test] [all]
# Does nothing, and asks for no rights, when nothing is missing.
set -euo pipefail

list="$(dirname "$0")/packages.txt"

packages_of() {
  awk -v group="[$1]" '/^\[/ { wanted = ($0 == group); next } wanted && /^[^#]/' "$list"
}

# Other builds of Node bring npm along, and Debian's npm cannot stand beside them.
is_installed() {
  [[ "$1" == npm ]] && command -v npm >/dev/null && return
  [[ "$(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null)" == installed ]]
}

missing=()
for group in "$@"; do
  for package in $(packages_of "$group"); do
    is_installed "$package" || missing+=("$package")
  done
done
((${#missing[@]})) || exit 0

as_root=()
if ((EUID != 0)); then
  command -v sudo >/dev/null || { echo "install.sh: root or sudo is needed for: ${missing[*]}" >&2; exit 1; }
  as_root=(sudo)
fi

echo "Installing ${missing[*]}"
"${as_root[@]}" apt-get -qq update
"${as_root[@]}" env DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes \
  apt-get -qq install -y --no-install-recommends -o Dpkg::Use-Pty=0 "${missing[@]}" >/dev/null
