#!/bin/bash
# SPDX-License-Identifier: Apache-2.0
# Holds the commit-msg hook to what CONTRIBUTING.md says about messages.
set -uo pipefail

hook="$(dirname "$0")/../.ci/hooks/commit-msg"
message="$(mktemp)"
trap 'rm -f "$message"' EXIT
failures=0

# expect STATUS MESSAGE
expect() {
  printf '%b' "$2" >"$message"
  "$hook" "$message" 2>/dev/null
  local status=$?
  ((status == $1)) && return
  printf 'status %d, expected %d, for: %s\n' "$status" "$1" "$2"
  failures=$((failures + 1))
}

expect 0 'feat: recall by energy'
expect 0 'fix(hnsw): reconnect the neighbours of an erased slot\n\nWithout it recall decays.\n'
expect 0 'feat(server)!: rename the flag\n'
expect 0 'perf(core/kernels): share the loads of the query\n# a comment of git\n'
expect 0 'Merge branch topic\n'
expect 0 'Revert "feat: recall by energy"\n'
expect 0 'fixup! feat: recall by energy\n'
expect 0 '# a comment first\nchore: tidy\n'
expect 1 ''
expect 1 'recall by energy\n'
expect 1 'Feat: recall\n'
expect 1 'feat : recall\n'
expect 1 'feat(HNSW): recall\n'
expect 1 'feat:recall\n'
expect 1 'feat: \n'
expect 1 'feature: recall\n'
expect 1 'feat: recall by energy.\n'
expect 1 'feat: recall\nno empty line before the body\n'
expect 1 "feat: $(printf 'x%.0s' {1..80})\n"
exit $((failures != 0))
