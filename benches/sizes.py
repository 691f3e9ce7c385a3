#!/usr/bin/env python3
"""Measures how large what the service leaves is: lines of the audit by kind, plain and compressed, and keys in Redis.

    benches/sizes.py               200 users
    benches/sizes.py --users 20    fewer

Each user of `appserver dev` gets a token, the same one 20 times more from the cache, an upload form, a URL and a ticket, and one
wrong request. The sizes are those of the demo's grants: a policy of a kilobyte makes the first line of each token so much
longer. Needs redis-server. Loopback only, free ports, and every process that it starts ends with it.
"""

import argparse
import collections
import gzip
import json
import os
import pathlib
import random
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
CACHED = 20
MAX_FILE_BYTES = 100 << 20
DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


def free_ports(count):
    """Ports that were free a moment ago, below those that the kernel gives to clients."""
    found = []
    while len(found) < count:
        port = random.randrange(10240, 30240)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        found.append(port)
    return found


def until(what, is_so, seconds=60):
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            sys.exit(f"benches/sizes.py: not {what} after {seconds} seconds")
        time.sleep(0.1)


def answers(url):
    try:
        with DIRECT.open(url, timeout=5) as answer:
            return answer.status == 200
    except OSError:
        return False


def redis(port, *arguments):
    command = ["redis-cli", "-h", "127.0.0.1", "-p", str(port), *arguments]
    return subprocess.run(command, text=True, stdout=subprocess.PIPE, check=True).stdout.strip()


def ask(port, path, jwt=None, body=None):
    """The answer, which may be an error."""
    headers = {"Authorization": f"Bearer {jwt}"} if jwt else {}
    if body is not None:
        headers["Content-Type"] = "application/json"
        body = json.dumps(body).encode()
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", data=body, headers=headers)
    try:
        with DIRECT.open(request, timeout=30) as answer:
            return json.load(answer)
    except urllib.error.HTTPError as error:
        return json.load(error)


def jwt_of(sts, user):
    query = urllib.parse.urlencode({"sub": user, "aud": "photo-app"})
    with DIRECT.open(f"http://127.0.0.1:{sts}/_emulator/jwt?{query}", timeout=30) as answer:
        return answer.read().decode()


def use(port, sts, users):
    """Every kind of request, by each user."""
    jwts = {user: jwt_of(sts, user) for user in (f"user-{number:05}" for number in range(users))}
    # One after the other, as lines of different users are in a file: it compresses less than line after line of one user.
    for _ in range(1 + CACHED):
        for jwt in jwts.values():
            answer = ask(port, "/v1/token", jwt)
            assert "AccessKeyId" in answer, answer
    for user, jwt in jwts.items():
        upload = {"Grant": "photo-upload", "Name": "holiday.jpg", "ContentType": "image/jpeg"}
        url = {"Grant": "photo-upload", "Method": "GET", "Key": f"users/{user}/holiday.jpg"}
        for path, body in [("/v1/uploads", upload), ("/v1/urls", url), ("/v1/tickets", {})]:
            answer = ask(port, path, jwt, body)
            assert "Code" not in answer or answer["Code"] == "Success", (path, answer)
        ask(port, "/v1/token?Grant=none", jwt)


def kind(line):
    entry = json.loads(line)
    if entry["Decision"] == "Vended":
        return "token, first in a file" if "Policy" in entry else "token, from the cache"
    if entry["Decision"] == "Issued":
        return {"Upload": "upload form", "Url": "signed URL", "Ticket": "ticket"}[entry["Event"]]
    return "refused or failed"


def lines_of(files):
    return [line for file in files for line in file.read_bytes().splitlines(keepends=True)]


def print_lines(lines):
    sizes = collections.defaultdict(list)
    for line in lines:
        sizes[kind(line)].append(len(line))
    print(f"{'line of the audit':<26}{'bytes':>8}{'in 100 MiB':>14}")
    for name, all_of in sorted(sizes.items(), key=lambda one: one[0]):
        mean = sum(all_of) / len(all_of)
        print(f"{name:<26}{mean:>8.0f}{MAX_FILE_BYTES / mean:>14,.0f}")
    text = b"".join(lines)
    mean = len(text) / len(lines)
    ratio = len(text) / len(gzip.compress(text, 6))
    print(f"{'all of them':<26}{mean:>8.0f}{MAX_FILE_BYTES / mean:>14,.0f}")
    print(f"compressed: 1/{ratio:.1f} of that")


def print_keys(port):
    sizes = collections.defaultdict(list)
    for key in redis(port, "--scan").split():
        # The part in braces differs for each session or user.
        name = "appserver:…:" + key.rsplit(":", 1)[-1] if "{" in key else key
        # A key that has expired in the meantime has none.
        if usage := redis(port, "memory", "usage", key):
            sizes[name].append(int(usage))
    print(f"\n{'key of Redis':<26}{'count':>8}{'bytes each':>14}")
    for name, all_of in sorted(sizes.items()):
        print(f"{name:<26}{len(all_of):>8}{sum(all_of) / len(all_of):>14.0f}")


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--users", type=int, default=200)
    users = arguments.parse_args().users
    subprocess.run(["cargo", "build", "--locked", "--quiet"], cwd=ROOT, check=True)
    started = []
    with tempfile.TemporaryDirectory() as folder:
        port, admin, sts, redis_port = free_ports(4)
        audit = pathlib.Path(folder) / "audit.jsonl"
        settings = {"SINK": "file", "FILE": str(audit), "REFUSALS_PER_SECOND": "1000", "INSTANCE": "replica-1"}
        environment = os.environ | {f"APPSERVER__AUDIT__{key}": value for key, value in settings.items()}
        environment["APPSERVER__VEND__BUDGET__CALLS_PER_SECOND"] = "1000"
        server = ["redis-server", "--bind", "127.0.0.1", "--port", str(redis_port), "--save", "", "--dir", folder]
        service = [
            "target/debug/appserver", "dev", "--redis", f"redis://127.0.0.1:{redis_port}", "--port", str(port),
            "--admin-port", str(admin), "--sts-port", str(sts),
        ]  # fmt: skip
        service += [part for name in ("oss", "ram", "metadata") for part in (f"--{name}-port", "0")]
        log = open(pathlib.Path(folder) / "log", "w", encoding="utf-8")
        try:
            for command in (server, service):
                started.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=log, stderr=log))
            until("ready", lambda: answers(f"http://127.0.0.1:{admin}/readyz"))
            use(port, sts, users)
            files = [audit, audit.with_name("audit.jsonl.refused")]
            until("written", lambda: len(lines_of(files)) >= users * (CACHED + 5))
            print_lines(lines_of(files))
            print_keys(redis_port)
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait()
            log.close()


if __name__ == "__main__":
    main()
