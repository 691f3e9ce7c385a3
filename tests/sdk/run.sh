#!/usr/bin/env bash
# Official SDKs against AppServer and its emulator: pinned, in environments of their own under target/sdk/.
#
#   tests/sdk/run.sh            all of them
#   tests/sdk/run.sh python     pytest alone; further arguments are passed to it
#   tests/sdk/run.sh node       node:test alone
set -euo pipefail
cd "$(dirname "$0")/../.."
made=$PWD/target/sdk
mkdir -p "$made"
# shellcheck source=tests/lib.sh
source tests/lib.sh

# Python: a venv from pinned requirements.
python_of "$made/python" tests/sdk/python/requirements.txt

# Node: exactly the locked packages, without install scripts.
if ! cmp -s tests/sdk/node/package-lock.json "$made/node/installed.json"; then
  rm -rf "$made/node"
  mkdir -p "$made/node"
  cp tests/sdk/node/package.json tests/sdk/node/package-lock.json "$made/node/"
  npm ci --prefix "$made/node" --ignore-scripts --no-audit --no-fund --loglevel=error
  cp tests/sdk/node/package-lock.json "$made/node/installed.json"
fi

cargo build --locked --quiet

# The ready policies unchanged, and the secret with which the tests sign users' JWTs.
rm -rf "$made/config"
mkdir -p "$made/config/policies"
cp tests/sdk/service.toml "$made/config/"
cp config/policies/*.json "$made/config/policies/"
head -c 32 /dev/urandom | base64 >"$made/config/issuer-secret"
ISSUER_SECRET=$(<"$made/config/issuer-secret")
export ISSUER_SECRET

# The server for the examples of README.md and docs/connect/: `dev` without changes.
without_proxies
start_dev
export README_URL=${urls[0]} README_OSS_URL=${urls[3]}
start_dev --config "$made/config/service.toml"
export APPSERVER_URL=${urls[0]} ADMIN_URL=${urls[1]} STS_URL=${urls[2]} OSS_URL=${urls[3]}
export METADATA_URL=${urls[5]} RAM_URL=${urls[6]}
# The emulated OSS as accounts and buckets get it that are new since 2025. The emulators share the key of session tokens.
start_dev --refuse-v1
export OSS_WITHOUT_V1_URL=${urls[3]} WITHOUT_V1_LOG=$log
start_dev --refuse-public-endpoint
export OSS_WITHOUT_PUBLIC_ENDPOINT_URL=${urls[3]} WITHOUT_PUBLIC_ENDPOINT_LOG=$log

python_suite() {
  PYTHONDONTWRITEBYTECODE=1 "$made/python/bin/pytest" -q -p no:cacheprovider --strict-config --strict-markers \
    --rootdir tests/sdk/python tests/sdk/python "$@"
}

node_suite() {
  NODE_PATH=$made/node/node_modules NODE_NO_WARNINGS=1 node --test --test-concurrency=1 \
    --test-reporter=spec --test-reporter-destination=stdout \
    --test-reporter=tap --test-reporter-destination="$made/node.tap" tests/sdk/node/*.test.js
  # Skipped tests are a failure.
  for none in skipped todo cancelled; do
    grep -qx "# $none 0" "$made/node.tap" || {
      echo "tests/sdk/run.sh: a test of the Node suite is $none" >&2
      return 1
    }
  done
}

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
