#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Makes Debian packages, of the source and for this architecture, for every machine of it:
#
#   .ci/package.sh [FOLDER]     default: build-package
#
# The packaging is in .ci/debian. Missing packages are installed. The sources are those that git knows, as they lie here.
# lintian has to find no error.
set -euo pipefail
cd "$(dirname "$0")/.."
# Debian's tools, whatever else the caller has on the path.
export PATH="/usr/sbin:/usr/bin:/sbin:/bin:$PATH"

.ci/install.sh run package
version="$(dpkg-parsechangelog -l .ci/debian/changelog -S Version)"
if ! grep -q "^  version: '$version',$" meson.build; then
  echo "package.sh: .ci/debian/changelog tells of $version, and meson.build of another version" >&2
  exit 1
fi

mkdir -p "${1:-build-package}"
folder="$(realpath "${1:-build-package}")"
tree="$folder/engram-$version"
rm -rf "$tree"
mkdir "$tree"
git ls-files -z | tar --create --null --files-from=- | tar --extract --directory="$tree"
cp -a .ci/debian "$tree/debian"

(cd "$tree" && dpkg-buildpackage --no-sign)
lintian --fail-on error "$folder/engram_${version}_$(dpkg --print-architecture).changes"
rm -rf "$tree"
ls "$folder"/engram_"$version"*
