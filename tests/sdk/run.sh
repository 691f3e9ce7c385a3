#!/usr/bin/env bash
# Official SDKs against AppServer and its emulator: pinned, in environments of their own under target/sdk/.
#
#   tests/sdk/run.sh            all of them
#   tests/sdk/run.sh python     pytest alone; what follows is handed to it
#   tests/sdk/run.sh node       node:test alone
set -euo pipefail
cd "$(dirname "$0")/../.."
made=$PWD/target/sdk
mkdir -p "$made"

# Python: a venv from pinned requirements.
if ! cmp -s tests/sdk/python/requirements.txt "$made/python/requirements.txt"; then
  rm -rf "$made/python"
  python3 -m venv "$made/python"
  "$made/python/bin/pip" install --quiet --disable-pip-version-check --no-deps -r tests/sdk/python/requirements.txt
  "$made/python/bin/pip" check
  cp tests/sdk/python/requirements.txt "$made/python/"
fi

# Node: what the lock file says, without anybody's install scripts.
if ! cmp -s tests/sdk/node/package-lock.json "$made/node/installed.json"; then
  rm -rf "$made/node"
  mkdir -p "$made/node"
  cp tests/sdk/node/package.json tests/sdk/node/package-lock.json "$made/node/"
  npm ci --prefix "$made/node" --ignore-scripts --no-audit --no-fund --loglevel=error
  cp tests/sdk/node/package-lock.json "$made/node/installed.json"
fi

cargo build --locked --quiet

# The ready policies as they are, and the secret that the tests sign users' JWTs with.
rm -rf "$made/config"
mkdir -p "$made/config/policies"
cp tests/sdk/service.toml "$made/config/"
cp config/policies/*.json "$made/config/policies/"
head -c 32 /dev/urandom | base64 >"$made/config/issuer-secret"
ISSUER_SECRET=$(<"$made/config/issuer-secret")
export ISSUER_SECRET

# The pids of what `start` started.
services=()
stop() {
  local service
  for service in "${services[@]}"; do
    kill "$service" 2>/dev/null || true
    wait "$service" || true
  done
}
trap stop EXIT

# start FLAGS…: the service and the emulator on free ports; returns when it has greeted, which is when it is ready. `urls` are
# those of the service, the admin listener, STS and OSS.
start() {
  local ports line
  read -ra ports < <(python3 -c '
import socket
taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(4)]
print(*(s.getsockname()[1] for s in taken))')
  rm -f "$made/greeting"
  mkfifo "$made/greeting"
  target/debug/appserver dev "$@" --port "${ports[0]}" --admin-port "${ports[1]}" \
    --sts-port "${ports[2]}" --oss-port "${ports[3]}" >"$made/greeting" 2>"$made/service.log" &
  services+=("$!")
  while read -r line; do
    if [[ $line == "Ctrl-C ends it."* ]]; then
      urls=("${ports[@]/#/http://127.0.0.1:}")
      return
    fi
  done <"$made/greeting"
  return 1
}

# Somebody else may take a free port before the service does.
started() {
  start "$@" || start "$@" || start "$@" || {
    cat "$made/service.log" >&2
    exit 1
  }
}

# What README.md's lines are run against: `dev` as it is.
started
export README_URL=${urls[0]} README_OSS_URL=${urls[3]}
started --config "$made/config/service.toml"
export APPSERVER_URL=${urls[0]} ADMIN_URL=${urls[1]} STS_URL=${urls[2]} OSS_URL=${urls[3]}

python_suite() {
  PYTHONDONTWRITEBYTECODE=1 "$made/python/bin/pytest" -q -p no:cacheprovider --strict-config --strict-markers \
    --rootdir tests/sdk/python tests/sdk/python "$@"
}

node_suite() {
  NODE_PATH=$made/node/node_modules NODE_NO_WARNINGS=1 node --test --test-concurrency=1 \
    --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$made/node.tap" tests/sdk/node/*.test.js
  # A test that is left out is no test.
  for none in skipped todo cancelled; do
    grep -qx "# $none 0" "$made/node.tap" || {
      echo "tests/sdk/run.sh: a test of the Node suite is $none" >&2
      return 1
    }
  done
}

# All of it is on this machine, whatever proxy the way out takes; not every SDK heeds NO_PROXY.
unset http_proxy HTTP_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY

# One after the other: both move the emulator's clock.
case ${1-} in
python) python_suite "${@:2}" ;;
node) node_suite ;;
'')
  python_suite
  node_suite
  ;;
*)
  echo "tests/sdk/run.sh: python, node or nothing; not '$1'" >&2
  exit 2
  ;;
esac
