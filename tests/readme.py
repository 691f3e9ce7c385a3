#!/usr/bin/env python3
"""Runs every command that README.md and the pages of docs/ show, and compares its output with the shown one.

    tests/readme.py                     README.md, then every page of docs/
    tests/readme.py docs/api.md …       these pages

In a block marked `console`, a line that starts with `$ ` is a command; the lines up to the next one are its output. The
text of a command that ends in `<<'EOF'` goes up to the line `EOF`.
`…` in the output matches any text. A block that begins with `cargo run -- dev` is run in the background once, from
before the first page to the end: all pages share one server. Each block has a shell of its own, except in a page with the
comment `<!-- one terminal -->`, whose blocks share one. A background command (`… &`) ends with its shell.
"""

import itertools
import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVER = "cargo run -- dev"
MARK = "--- a command ends here ---"
ONE_TERMINAL = "<!-- one terminal -->"
# With fewer commands than this in all pages, blocks are missing.
LEAST = 60


def pages():
    """README.md, then the pages of docs/. Translations repeat the same blocks and are compared with them elsewhere."""
    found = sorted((ROOT / "docs").rglob("*.md"))
    return [ROOT / "README.md", *(page for page in found if "zh-CN" not in page.parts)]


def blocks(text):
    """The `console` blocks, each a list of (command, expected output). With one terminal they are one block."""
    found = re.findall(r"^```console\n(.*?)^```$", text, re.S | re.M)
    if ONE_TERMINAL in text:
        found = ["".join(found)]
    for block in found:
        steps = []
        lines = iter(block.splitlines())
        for line in lines:
            if line.startswith("$ "):
                command = [line[2:]]
                if line.endswith("<<'EOF'"):
                    command += [*itertools.takewhile(lambda text: text != "EOF", lines), "EOF"]
                steps.append(("\n".join(command), []))
            else:
                steps[-1][1].append(line)
        yield [(command, "\n".join(output)) for command, output in steps]


def agrees(expected, printed):
    """Whether the output is the expected one, `…` matching any text."""
    pattern = ".*?".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.S) is not None


def run(block):
    """Runs a block's commands in one shell; yields each with its two outputs."""
    script = "".join(f"{command}\necho '{MARK}'\n" for command, _ in block)
    # curl shows a progress meter that a terminal would not.
    quiet = 'curl() { command curl -sS "$@"; }\n'
    # In each shell whatever a command left in the background ends, also after a failure.
    ending = "trap 'kill $(jobs -p) 2> /dev/null' EXIT\n"
    done = subprocess.run(
        ["bash", "-c", quiet + ending + script], cwd=ROOT, text=True, timeout=600, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    outputs = done.stdout.split(MARK + "\n")
    # A command that ends the shell keeps the others from being run.
    outputs += ["(not run)"] * len(block)
    for (command, expected), printed in zip(block, outputs, strict=False):
        yield command, expected, printed


def start_server():
    """Starts the server and waits for its greeting, which ends with how to end it."""
    subprocess.run(["cargo", "build", "--quiet"], cwd=ROOT, check=True)
    server = subprocess.Popen(
        SERVER.split(), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )
    greeting = ""
    for line in server.stdout:
        greeting += line
        if line.startswith("Ctrl-C"):
            break
    return server, greeting


def stop(server):
    """Ends the server. `cargo run` passes the signal on by ending; the server is its only child."""
    children = subprocess.run(["pgrep", "-P", str(server.pid)], text=True, stdout=subprocess.PIPE, check=False)
    for child in children.stdout.split():
        subprocess.run(["kill", child], check=False)
    server.send_signal(signal.SIGTERM)
    for _ in range(100):
        if server.poll() is not None:
            break
        time.sleep(0.1)


def main():
    named = [pathlib.Path(name).resolve() for name in sys.argv[1:]]
    failed, count = 0, 0
    server, greeting = start_server()
    try:
        for page in named or pages():
            for block in blocks(page.read_text(encoding="utf-8")):
                begins_server = block[0][0] == SERVER
                results = [(*block[0], greeting)] if begins_server else run(block)
                for command, expected, printed in results:
                    count += 1
                    if not agrees(expected, printed):
                        failed += 1
                        name = page.relative_to(ROOT)
                        print(f"{name} differs:\n$ {command}\n{printed.strip()}\n-- but shows\n{expected}\n")
    finally:
        stop(server)
    print(f"{count - failed} passed, {failed} failed")
    return 1 if failed or (not named and count < LEAST) else 0


if __name__ == "__main__":
    sys.exit(main())
