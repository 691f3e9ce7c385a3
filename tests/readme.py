#!/usr/bin/env python3
"""Runs every command that README.md shows, and compares what it prints with what is shown.

In a block marked `console`, a line that starts with `$ ` is a command; the lines up to the next one are its output.
`…` in the output stands for any text. The block that starts the server runs in the background until the end.
"""

import pathlib
import re
import signal
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
SERVER = "cargo run -- dev"
MARK = "--- a command ends here ---"


def blocks(text):
    """The `console` blocks, each a list of (command, expected output)."""
    for block in re.findall(r"^```console\n(.*?)^```$", text, re.S | re.M):
        steps = []
        for line in block.splitlines():
            if line.startswith("$ "):
                steps.append((line[2:], []))
            else:
                steps[-1][1].append(line)
        yield [(command, "\n".join(output)) for command, output in steps]


def agrees(expected, printed):
    """Whether the output is the expected one, `…` standing for anything."""
    pattern = ".*?".join(re.escape(part) for part in expected.strip().split("…"))
    return re.fullmatch(pattern, printed.strip(), re.S) is not None


def run(block):
    """Runs a block's commands in one shell; yields each with its two outputs."""
    script = "".join(f"{command}\necho '{MARK}'\n" for command, _ in block)
    # curl shows a progress meter that a terminal would not.
    quiet = 'curl() { command curl -sS "$@"; }\n'
    done = subprocess.run(
        ["bash", "-c", quiet + script], cwd=ROOT, text=True, timeout=600, check=False,
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )
    outputs = done.stdout.split(MARK + "\n")
    for (command, expected), printed in zip(block, outputs, strict=False):
        yield command, expected, printed


def start_server(expected):
    """Starts the server and waits until it has greeted."""
    subprocess.run(["cargo", "build", "--quiet"], cwd=ROOT, check=True)
    server = subprocess.Popen(
        SERVER.split(), cwd=ROOT, text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )
    greeting = ""
    for line in server.stdout:
        greeting += line
        if line.startswith(expected.strip().splitlines()[-1]):
            break
    return server, greeting


def main():
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    server, failed, count = None, 0, 0
    try:
        for block in blocks(text):
            if block[0][0] == SERVER:
                server, greeting = start_server(block[0][1])
                results = [(SERVER, block[0][1], greeting)]
            else:
                results = run(block)
            for command, expected, printed in results:
                count += 1
                if not agrees(expected, printed):
                    failed += 1
                    print(f"README.md differs:\n$ {command}\n{printed.strip()}\n-- but shows\n{expected}\n")
    finally:
        if server:
            # `cargo run` passes the signal on by ending; the server is its only child.
            children = subprocess.run(["pgrep", "-P", str(server.pid)], text=True, stdout=subprocess.PIPE, check=False)
            for child in children.stdout.split():
                subprocess.run(["kill", child], check=False)
            server.send_signal(signal.SIGTERM)
            for _ in range(100):
                if server.poll() is not None:
                    break
                time.sleep(0.1)
    print(f"{count - failed} passed, {failed} failed")
    return 1 if failed or count < 15 else 0


if __name__ == "__main__":
    sys.exit(main())
