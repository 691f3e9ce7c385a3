#!/usr/bin/env bash
# The formats of `setup plan`, read by parsers that are not ours: the files beside this one, which tests/it/setup.rs compares
# with what the command prints.
#
#   tests/setup/run.sh
set -euo pipefail
cd "$(dirname "$0")/../.."
made=$PWD/target/setup
mkdir -p "$made"
# shellcheck source=tests/lib.sh
source tests/lib.sh

python_of "$made/venv" tests/setup/requirements.txt
"$made/venv/bin/python" tests/setup/check.py
