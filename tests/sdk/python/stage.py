"""AppServer and its emulator as started by tests/sdk/run.sh."""

import base64
import contextlib
import hashlib
import hmac
import http.server
import json
import os
import re
import threading
import time
import urllib.parse
import urllib.request

import oss2

APPSERVER = os.environ["APPSERVER_URL"]
ADMIN = os.environ["ADMIN_URL"]
STS = os.environ["STS_URL"]
OSS = os.environ["OSS_URL"]
METADATA = os.environ["METADATA_URL"]
RAM = os.environ["RAM_URL"]

BUCKET = "sample-bucket"
REGION = "cn-hangzhou"

CREDENTIAL = "Basic " + base64.b64encode(b"sdk-tests:sdk-tests-demo-secret").decode()

# The minimum size of a part other than the last.
PART = 100 * 1024

# OSS's error for a request that a policy denies.
NOT_BY_POLICY = "Access denied by authorizer's policy."


def jwt(user):
    """A token as the user's identity provider issues it."""

    def encoded(part):
        return base64.urlsafe_b64encode(part).rstrip(b"=")

    claims = {
        "iss": "https://login.sdk-tests.invalid/", "aud": "photo-app", "sub": user, "exp": int(time.time()) + 600,
    }
    signed = b".".join(encoded(json.dumps(part).encode()) for part in ({"alg": "HS256"}, claims))
    signature = hmac.digest(os.environ["ISSUER_SECRET"].encode(), signed, hashlib.sha256)
    return (signed + b"." + encoded(signature)).decode()


def authorization(user):
    """A user's credential, or the client's own."""
    return f"Bearer {jwt(user)}" if user else CREDENTIAL


def token(grant, duration=None, user=None, **parameters):
    """A token of AppServer, for a user or for the client itself."""
    asked = {"Grant": grant} | {f"Parameters.{name}": value for name, value in parameters.items()}
    if duration:
        asked["DurationSeconds"] = duration
    url = f"{APPSERVER}/v1/token?{urllib.parse.urlencode(asked)}"
    request = urllib.request.Request(url, headers={"Authorization": authorization(user)})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def ticket(grant, duration=None, user=None, **parameters):
    """The URL for an SDK, which sends a plain GET to it."""
    asked = {"Grant": grant, "Parameters": parameters, "DurationSeconds": duration}
    # Absent values are left out, because `null` is refused.
    asked = {name: value for name, value in asked.items() if value is not None}
    headers = {"Authorization": authorization(user), "Content-Type": "application/json"}
    url, body = f"{APPSERVER}/v1/tickets", json.dumps(asked).encode()
    with urllib.request.urlopen(urllib.request.Request(url, body, headers), timeout=30) as answer:
        return json.load(answer)["Url"]


def form(user, name):
    """The answer of `POST /v1/uploads`: a form for a user's file."""
    headers = {"Authorization": authorization(user), "Content-Type": "application/json"}
    body = json.dumps({"Grant": "photo-upload", "Name": name, "ContentType": "image/jpeg"}).encode()
    request = urllib.request.Request(f"{APPSERVER}/v1/uploads", body, headers)
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def reports(upload_id):
    """What the backend inside `dev` took of an upload."""
    with urllib.request.urlopen(f"{APPSERVER}/dev/uploads", timeout=30) as answer:
        taken = json.load(answer)["Reports"]
    return [one for one in taken if one["Report"]["UploadId"] == upload_id]


def vended():
    """The number of tokens that AppServer has vended to users."""
    with urllib.request.urlopen(f"{ADMIN}/metrics", timeout=30) as answer:
        metrics = answer.read().decode()
    found = re.search(r'^appserver_tokens_vended_total\{client="photo-app",.*\} (\d+)$', metrics, re.MULTILINE)
    return int(found[1]) if found else 0


def control(method, path, body=None):
    """One of the emulator's control routes."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{STS}/_emulator/{path}", data=data, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def short_lived_token(grant, seconds, **parameters):
    """A token with a shorter lifetime than requested."""
    fault = {"Fault": {"ShortLived": {"Seconds": seconds}}, "Times": 1, "Action": "AssumeRole"}
    control("POST", "faults", fault)
    try:
        # A duration that no other test requests, so that no other test shares this token.
        return token(grant, duration=961, **parameters)
    finally:
        control("DELETE", "faults")


@contextlib.contextmanager
def later(seconds):
    """Moves the emulator's clock forward for a while, by at most the 15 minutes that requests may differ."""
    control("POST", "clock", {"AdvanceSeconds": seconds})
    try:
        yield
    finally:
        control("DELETE", "clock")


def oss_calls(key):
    """The requests to the emulated OSS about an object: (operation, part number or None, outcome)."""
    calls = [call for call in control("GET", "oss/calls")["Calls"] if call["Parameters"].get("Key") == key]
    return [(call["Action"], call["Parameters"].get("partNumber"), call["Outcome"]) for call in calls]


def owner():
    """The bucket with the account's own key, to prepare and check objects."""
    return oss2.Bucket(oss2.Auth("rootid", "rootsecret"), OSS, BUCKET)


class CallbackServer:
    """The server of an app on this machine: keeps what it is called back with, and answers with a status."""

    def __init__(self, status=200):
        received = self.received = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self):
                body = self.rfile.read(int(self.headers["Content-Length"])).decode()
                received.append(dict(urllib.parse.parse_qsl(body)))
                answer = b'{"Status":"OK"}'
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(answer)))
                self.end_headers()
                self.wfile.write(answer)

            def log_message(self, *_):
                pass

        self._server = http.server.HTTPServer(("127.0.0.1", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()

    def headers(self, variables):
        """The headers by which an upload asks for a callback to it."""
        url = f"http://127.0.0.1:{self._server.server_port}/uploads"
        body = "object=${object}&size=${size}&user=${x:user}"
        callback = {"callbackUrl": url, "callbackBody": body}
        encoded = [base64.b64encode(json.dumps(part).encode()).decode() for part in (callback, variables)]
        return dict(zip(("x-oss-callback", "x-oss-callback-var"), encoded))
