#!/usr/bin/env bash
# The page of `appserver dev` in Debian's Chromium: starts the command on free ports, runs page.test.js, ends it.
#
#   tests/page/run.sh            what it saw is in target/page/shots afterwards
set -euo pipefail
cd "$(dirname "$0")/../.."
out=target/page
mkdir -p "$out/shots"
# What npm puts beside a package.json belongs below target/, and modules are found from where a test lies.
cp tests/page/package.json tests/page/package-lock.json tests/page/*.js "$out"
(cd "$out" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
cargo build --locked --quiet

# Ports that are free, below those that the system takes for itself.
free() {
  local port
  while :; do
    port=$((20000 + RANDOM % 10000))
    (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || { echo "$port"; return; }
  done
}
public=$(free) admin=$(free) sts=$(free) oss=$(free)
"${CARGO_TARGET_DIR:-target}/debug/appserver" dev --port "$public" --admin-port "$admin" --sts-port "$sts" --oss-port "$oss" > "$out/dev.log" 2>&1 &
server=$!
trap 'kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true' EXIT
curl -fsS --retry 60 --retry-connrefused --retry-delay 1 --retry-all-errors -o /dev/null "http://127.0.0.1:$admin/readyz" || {
  echo "tests/page/run.sh: the server did not become ready:" >&2
  cat "$out/dev.log" >&2
  exit 1
}
export PAGE_ORIGIN="http://127.0.0.1:$public" PAGE_OSS="http://127.0.0.1:$oss" PAGE_SHOTS="$PWD/$out/shots"
node --test --test-concurrency=1 --test-reporter=spec --test-timeout=600000 "$out/page.test.js"
