#!/usr/bin/env bash
# Three replicas, Redis, the emulated cloud and a steady load on this machine, and every fault that the documentation has a
# promise about, one after the other. Prints what was answered and what STS was asked, and fails if a promise is broken.
#
#   tests/chaos.sh                        every fault once, in some four minutes
#   tests/chaos.sh --only kill-9 storm    these alone
#   tests/soak.sh --hours 1               the faults that a process survives, again and again
#
# CHAOS_BINARY names another binary than that of `cargo build`.
set -euo pipefail
cd "$(dirname "$0")/.."
made=$PWD/target/chaos
mkdir -p "$made"
# shellcheck source=tests/lib.sh
source tests/lib.sh

binary=${CHAOS_BINARY:-}
if [[ ! $binary ]]; then
  cargo build --locked --quiet
  binary=${CARGO_TARGET_DIR:-target}/debug/appserver
fi
# The clock of one process cannot be set; this is what it reads in place of the machine's.
cc -O2 -Wall -Wextra -shared -fPIC -o "$made/clock.so" tests/chaos/clock.c
without_proxies
exec python3 tests/chaos --binary "$binary" --clock "$made/clock.so" --folder "$made/run" "$@"
