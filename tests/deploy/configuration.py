"""The configurations of this repository and the examples in its docs, by the schema that `appserver config schema` prints.

usage: configuration.py APPSERVER
"""

import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

from jsonschema import Draft202012Validator

schema = json.loads(subprocess.check_output([sys.argv[1], "config", "schema"]))
Draft202012Validator.check_schema(schema)
validator = Draft202012Validator(schema)

files = [path for folder in ("config", "deploy") for path in Path(folder).rglob("*.toml")]
texts = [(str(path), path.read_text()) for path in files]
named = [(name, text) for name, text in texts if text.startswith("#:schema ")]
assert len(named) >= 5, named
blocks = []
for page in sorted(Path("docs").rglob("*.md")):
    for number, block in enumerate(re.findall(r"^```toml\n(.*?)^```$", page.read_text(), re.S | re.M), 1):
        blocks.append((f"{page}, block {number}", block))
# Of the emulator, or of files that a configuration names: their tables are at the top and not in the schema's.
of_others = {"accounts", "callbacks", "issuer_keys", "metadata", "token_key"}
wrong = []
checked = 0
for name, text in named + blocks:
    value = tomllib.loads(text)
    if of_others & value.keys():
        continue
    checked += 1
    wrong += [f"{name}: {error.json_path}: {error.message}" for error in validator.iter_errors(value)]
assert not wrong, "\n".join(wrong)

for text, place in (
    ("colour = 1", "$"),
    ("[grants.album.upload]\nmax_byte = '1KiB'", "$.grants.album.upload"),
    ("[store.redis]\nlease_ms = 1", "$.store.redis.lease_ms"),
):
    assert [error.json_path for error in validator.iter_errors(tomllib.loads(text))] == [place], text
print(f"{checked} configurations and examples fulfil the schema of the configuration")
