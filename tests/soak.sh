#!/usr/bin/env bash
# Hours of load: tests/chaos.sh with the faults that a process survives, round after round, while the cache is full and
# overflows, keys, certificates and files are replaced and Redis and STS fail. Memory, descriptors, threads and tasks of
# the replicas may not grow. Prints what they used at the end of each round, of some three minutes.
#
#   tests/soak.sh              one hour
#   tests/soak.sh --hours 8    longer
#
# The release build, unless CHAOS_BINARY names another binary.
set -euo pipefail
cd "$(dirname "$0")/.."
hours=1
if (($#)); then
  [[ $# -eq 2 && $1 == --hours && $2 =~ ^[0-9]+(\.[0-9]+)?$ ]] || { echo 'tests/soak.sh: usage: tests/soak.sh [--hours N]' >&2; exit 64; }
  hours=$2
fi
if [[ ! ${CHAOS_BINARY:-} ]]; then
  cargo build --locked --quiet --release
  export CHAOS_BINARY=${CARGO_TARGET_DIR:-target}/release/appserver
fi
exec tests/chaos.sh --hours "$hours"
