#!/usr/bin/env bash
# AppServer and a real OpenID provider (oidc-provider, certified, pinned) on this machine: starts `appserver dev` on free
# ports while the provider is still down, runs oidc.test.js, ends it.
#
#   tests/oidc/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
made=$PWD/target/oidc
mkdir -p "$made/config/policies"

# What the lock file says, without anybody's install scripts.
if ! cmp -s tests/oidc/package-lock.json "$made/installed.json"; then
  cp tests/oidc/package.json tests/oidc/package-lock.json "$made/"
  (cd "$made" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  cp tests/oidc/package-lock.json "$made/installed.json"
fi
# Modules are found from where a test lies.
cp tests/oidc/*.js "$made/"
cp config/policies/my-photos.json "$made/config/policies/"
cargo build --locked --quiet

# The pid of what `start` started.
service=
stop() {
  [[ $service ]] || return 0
  kill "$service" 2>/dev/null || true
  wait "$service" || true
  service=
}
trap stop EXIT

# start: the service and the emulator on free ports; returns when it has greeted, which is when it is ready.
start() {
  local ports line
  read -ra ports < <(python3 -c '
import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(5)]
print(*(s.getsockname()[1] for s in taken))')
  export APPSERVER_URL=http://127.0.0.1:${ports[0]} ADMIN_URL=http://127.0.0.1:${ports[1]}
  export ISSUER_URL=http://127.0.0.1:${ports[4]}
  sed "s,ISSUER\",$ISSUER_URL\"," tests/oidc/service.toml >"$made/config/service.toml"
  rm -f "$made/greeting"
  mkfifo "$made/greeting"
  "${CARGO_TARGET_DIR:-target}/debug/appserver" dev --config "$made/config/service.toml" --port "${ports[0]}" \
    --admin-port "${ports[1]}" --sts-port "${ports[2]}" --oss-port "${ports[3]}" >"$made/greeting" 2>"$made/service.log" &
  service=$!
  while read -r line; do
    [[ $line != "Ctrl-C ends it."* ]] || return 0
  done <"$made/greeting"
  stop
  return 1
}

# All of it is on this machine, whatever proxy the way out takes.
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY

# Somebody else may take a free port before the service does.
start || start || start || {
  cat "$made/service.log" >&2
  exit 1
}

NODE_NO_WARNINGS=1 timeout 300 node --test --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=tap --test-reporter-destination="$made/oidc.tap" "$made/oidc.test.js" || {
  cat "$made/service.log" >&2
  exit 1
}
# A suite that found nothing to run, or skipped it, has passed nothing.
passed=$(sed -n 's/^# pass //p' "$made/oidc.tap") skipped=$(sed -n 's/^# skipped //p' "$made/oidc.tap")
((passed >= 7 && skipped == 0)) || {
  echo "tests/oidc/run.sh: $passed tests passed and $skipped were skipped: these are not all" >&2
  exit 1
}
