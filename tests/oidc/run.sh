#!/usr/bin/env bash
# AppServer and a real OpenID provider (oidc-provider, certified, pinned) on this machine: starts `appserver dev` on free
# ports while the provider is still down, runs oidc.test.js, ends it.
#
#   tests/oidc/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
made=$PWD/target/oidc
mkdir -p "$made/config/policies"
# shellcheck source=tests/lib.sh
source tests/lib.sh

# Exactly the locked packages, without install scripts.
if ! cmp -s tests/oidc/package-lock.json "$made/installed.json"; then
  cp tests/oidc/package.json tests/oidc/package-lock.json "$made/"
  (cd "$made" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
  cp tests/oidc/package-lock.json "$made/installed.json"
fi
# Node resolves modules from the folder of the test.
cp tests/oidc/*.js "$made/"
cp config/policies/my-photos.json "$made/config/policies/"
cargo build --locked --quiet

configure() {
  export APPSERVER_URL=${urls[0]} ADMIN_URL=${urls[1]} ISSUER_URL=${urls[4]}
  sed "s,ISSUER\",$ISSUER_URL\"," tests/oidc/service.toml >"$made/config/service.toml"
}
without_proxies
start_dev --config "$made/config/service.toml"

NODE_NO_WARNINGS=1 timeout 300 node --test --test-reporter=spec --test-reporter-destination=stdout \
  --test-reporter=tap --test-reporter-destination="$made/oidc.tap" "$made/oidc.test.js" || {
  cat "$log" >&2
  exit 1
}
# A run without tests, or with skipped ones, is a failure.
passed=$(sed -n 's/^# pass //p' "$made/oidc.tap") skipped=$(sed -n 's/^# skipped //p' "$made/oidc.tap")
((passed >= 7 && skipped == 0)) || {
  echo "tests/oidc/run.sh: $passed tests passed and $skipped were skipped: these are not all" >&2
  exit 1
}
