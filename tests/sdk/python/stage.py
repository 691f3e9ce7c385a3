"""AppServer and its emulator as tests/sdk/run.sh has started them."""

import base64
import contextlib
import http.server
import json
import os
import threading
import urllib.error
import urllib.parse
import urllib.request

import oss2

APPSERVER = os.environ["APPSERVER_URL"]
STS = os.environ["STS_URL"]
OSS = os.environ["OSS_URL"]

BUCKET = "sample-bucket"
REGION = "cn-hangzhou"

CREDENTIAL = "Basic " + base64.b64encode(b"sdk-tests:sdk-tests-demo-secret").decode()

# The least that OSS takes as a part that is not the last.
PART = 100 * 1024

# What OSS says where a policy does not let a request through.
NOT_BY_POLICY = "Access denied by authorizer's policy."


def query(grant, duration=None, **parameters):
    """The query of a request for a token."""
    asked = {"Grant": grant} | {f"Parameters.{name}": value for name, value in parameters.items()}
    if duration:
        asked["DurationSeconds"] = duration
    return urllib.parse.urlencode(asked)


def token(grant, duration=None, **parameters):
    """A token of AppServer's."""
    url = f"{APPSERVER}/v1/token?{query(grant, duration, **parameters)}"
    request = urllib.request.Request(url, headers={"Authorization": CREDENTIAL})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def control(method, path, body=None):
    """One of the emulator's control routes."""
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(f"{STS}/_emulator/{path}", data=data, method=method)
    with urllib.request.urlopen(request, timeout=30) as answer:
        text = answer.read()
    return json.loads(text) if text else None


def short_lived_token(grant, seconds, **parameters):
    """A token that ends sooner than it was asked for."""
    fault = {"Fault": {"ShortLived": {"Seconds": seconds}}, "Times": 1, "Action": "AssumeRole"}
    control("POST", "faults", fault)
    try:
        # A duration that nobody else asks for, so that this is nobody else's token.
        return token(grant, duration=961, **parameters)
    finally:
        control("DELETE", "faults")


@contextlib.contextmanager
def later(seconds):
    """The emulator's clock, moved on for a while. Requests may be 15 minutes off, so no further than that."""
    control("POST", "clock", {"AdvanceSeconds": seconds})
    try:
        yield
    finally:
        control("DELETE", "clock")


def oss_calls(key):
    """What the emulated OSS was asked about an object: (operation, part number or nothing, outcome)."""
    calls = [call for call in control("GET", "oss/calls")["Calls"] if call["Parameters"].get("Key") == key]
    return [(call["Action"], call["Parameters"].get("partNumber"), call["Outcome"]) for call in calls]


def owner():
    """The bucket, in the hands of the account itself: it arranges what tests find."""
    return oss2.Bucket(oss2.Auth("rootid", "rootsecret"), OSS, BUCKET)


class Hop:
    """A local server that hands requests for tokens on to AppServer, with the credential.

    SDKs that take a URL send a bare GET to it. `queries` holds what they asked for.
    """

    def __init__(self):
        hop = self
        self.queries = []
        # What is asked for instead of an SDK's own queries, one after the other.
        self.instead = []

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                asked = urllib.parse.urlsplit(self.path).query
                hop.queries.append(asked)
                asked = hop.instead.pop(0) if hop.instead else asked
                request = urllib.request.Request(
                    f"{APPSERVER}/v1/token?{asked}", headers={"Authorization": CREDENTIAL}
                )
                try:
                    answer = urllib.request.urlopen(request, timeout=30)
                except urllib.error.HTTPError as refused:
                    answer = refused
                with answer:
                    body = answer.read()
                    self.send_response(answer.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)

    def url(self, grant, duration=None, **parameters):
        """Where an SDK gets its tokens."""
        return f"http://127.0.0.1:{self.server.server_port}/token?{query(grant, duration, **parameters)}"

    def __enter__(self):
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01})
        self.thread.start()
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()
