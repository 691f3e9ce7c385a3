#!/usr/bin/env bash
# The OpenAPI document against the standard, and a running service against the document: pinned tools, in an
# environment of their own under target/openapi/.
#
#   tests/openapi/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
made=$PWD/target/openapi
mkdir -p "$made"
# shellcheck source=tests/lib.sh
source tests/lib.sh

python_of "$made/venv" tests/openapi/requirements.txt
cargo build --locked --quiet
without_proxies
# shellcheck disable=SC2119
start_dev
url=${urls[0]}

curl -sS --fail "$url/openapi.json" -o "$made/openapi.json"
"$made/venv/bin/openapi-spec-validator" --schema 3.1 --validation-errors all "$made/openapi.json"

# Generated requests, valid and invalid, to the service: every answer matches the document.
# (The tool writes files to its current folder.)
rules=$PWD/tests/openapi/schemathesis.toml
cd "$made"
venv/bin/schemathesis --config-file "$rules" run --no-color "$url/openapi.json"
