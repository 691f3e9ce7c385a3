#!/usr/bin/env bash
# The page of `appserver dev` in Debian's Chromium: starts the command on free ports, runs page.test.js, ends it.
#
#   tests/page/run.sh            screenshots are in target/page/shots afterwards
set -euo pipefail
cd "$(dirname "$0")/../.."
out=target/page
mkdir -p "$out/shots"
# npm's files belong below target/, and Node resolves modules from the folder of the test.
cp tests/page/package.json tests/page/package-lock.json tests/page/*.js "$out"
(cd "$out" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
cargo build --locked --quiet

# Free ports, below the range of outgoing connections.
free() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}
public=$(free) admin=$(free) sts=$(free) oss=$(free) ram=$(free) metadata=$(free)
"${CARGO_TARGET_DIR:-target}/debug/appserver" dev --port "$public" --admin-port "$admin" --sts-port "$sts" --oss-port "$oss" --ram-port "$ram" --metadata-port "$metadata" > "$out/dev.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
curl -fsS --retry 60 --retry-connrefused --retry-delay 1 --retry-all-errors -o /dev/null "http://127.0.0.1:$admin/readyz" || {
  echo "tests/page/run.sh: the server did not become ready:" >&2
  cat "$out/dev.log" >&2
  exit 1
}
export PAGE_ORIGIN="http://127.0.0.1:$public" PAGE_OSS="http://127.0.0.1:$oss" PAGE_SHOTS="$PWD/$out/shots"
export PAGE_VECTOR="$PWD/tests/vectors/oss/v4-header-token.json"
timeout 600 node --test --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=tap --test-reporter-destination="$out/page.tap" "$out/page.test.js"
# A run without tests, or with skipped ones, is a failure.
passed=$(sed -n 's/^# pass //p' "$out/page.tap") skipped=$(sed -n 's/^# skipped //p' "$out/page.tap")
((passed >= 34 && skipped == 0)) || {
  echo "tests/page/run.sh: $passed tests passed and $skipped were skipped: these are not all" >&2
  exit 1
}
