#!/usr/bin/env bash
# The OpenAPI document against the standard, and a running service against the document: pinned tools, in an
# environment of their own under target/openapi/.
#
#   tests/openapi/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
made=$PWD/target/openapi
mkdir -p "$made"

if ! cmp -s tests/openapi/requirements.txt "$made/venv/requirements.txt"; then
  rm -rf "$made/venv"
  python3 -m venv "$made/venv"
  "$made/venv/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/openapi/requirements.txt
  "$made/venv/bin/pip" check
  cp tests/openapi/requirements.txt "$made/venv/"
fi

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
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(s.getsockname()[1] for s in taken))')
  rm -f "$made/greeting"
  mkfifo "$made/greeting"
  target/debug/appserver dev --port "${ports[0]}" --admin-port "${ports[1]}" --sts-port "${ports[2]}" \
    --oss-port "${ports[3]}" >"$made/greeting" 2>"$made/service.log" &
  service=$!
  while read -r line; do
    if [[ $line == "Ctrl-C ends it."* ]]; then
      url=http://127.0.0.1:${ports[0]}
      return
    fi
  done <"$made/greeting"
  stop
  return 1
}

# Somebody else may take a free port before the service does.
start || start || start || {
  cat "$made/service.log" >&2
  exit 1
}

# All of it is on this machine, whatever proxy the way out takes.
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY

curl -sS --fail "$url/openapi.json" -o "$made/openapi.json"
"$made/venv/bin/openapi-spec-validator" --schema 3.1 --validation-errors all "$made/openapi.json"

# Made-up requests, good and bad, at the service itself: every answer is as the document says.
# (It leaves notes where it runs.)
rules=$PWD/tests/openapi/schemathesis.toml
cd "$made"
venv/bin/schemathesis --config-file "$rules" run --no-color "$url/openapi.json"
