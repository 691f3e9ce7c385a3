"""A steady load of mixed callers through a balancer that follows /readyz, and what was answered."""

import asyncio
import base64
import collections
import dataclasses
import datetime
import itertools
import json
import random
import ssl
import time
import urllib.parse

from cluster import SECRETS
from http1 import Connection, ConnectionLost, request_once

USERS = [f"user-{number}" for number in range(12)]
ALBUMS = [f"album-{number}" for number in range(20)]
ANSWER_SECS = 20
# Between two probes of /readyz; one that fails takes a replica out of rotation.
PROBE_SECS, MOST_LATE = 0.2, 3
# Concurrent callers of each new session, on all replicas.
CALLERS_OF_NEW = 3
# Of the forms and URLs this share is used at the emulated OSS.
USED_AT_OSS = 4


@dataclasses.dataclass
class Result:
    """One request and what came of it."""

    at: float
    phase: str
    kind: str
    # Whether its session was obtained before, so that no call to STS is needed.
    is_known: bool
    replica: str
    code: str
    seconds: float
    request_id: str = ""
    # The phase at its end.
    ended_in: str = ""
    reconnected: bool = False


class Balancer:
    """Sends requests to the replicas whose /readyz answers 200."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.tls = ssl.create_default_context(cafile=cluster.folder / "ca.crt")
        self.idle = collections.defaultdict(list)

    async def probe_forever(self):
        async def probe(replica):
            late = 0
            while True:
                is_ready, says = await replica.readiness()
                # A busy machine is no fault: of late answers three count.
                late = late + 1 if says == ["late"] else 0
                if late in (0, MOST_LATE):
                    replica.in_rotation = is_ready
                await asyncio.sleep(PROBE_SECS)

        await asyncio.gather(*(probe(replica) for replica in self.cluster.replicas))

    def choose(self):
        ready = [replica for replica in self.cluster.replicas if replica.in_rotation]
        return random.choice(ready) if ready else None

    async def send(self, replica, method, path, headers, body):
        """The answer, and whether a connection that the server had closed was replaced by a new one."""
        idle = self.idle[replica.name]
        while idle:
            connection = idle.pop()
            if connection.reader.at_eof():
                connection.close()
                continue
            try:
                return await self.send_on(connection, replica, method, path, headers, body), False
            except ConnectionLost:
                # It was closed while the request was on its way. Every client sends such a request anew.
                connection = await Connection.open("127.0.0.1", replica.port, self.tls)
                return await self.send_on(connection, replica, method, path, headers, body), True
        connection = await Connection.open("127.0.0.1", replica.port, self.tls)
        return await self.send_on(connection, replica, method, path, headers, body), False

    async def send_on(self, connection, replica, method, path, headers, body):
        try:
            answer = await connection.request(method, path, headers, body)
        finally:
            if connection.is_usable:
                self.idle[replica.name].append(connection)
            else:
                connection.close()
        return answer

    def forget_connections(self):
        """New requests open new connections."""
        for idle in self.idle.values():
            while idle:
                idle.pop().close()


class Load:
    """The callers. `phase` names what the schedule does meanwhile; every result carries it."""

    def __init__(self, cluster, balancer, rate):
        self.cluster, self.balancer, self.rate = cluster, balancer, rate
        self.phase = "start"
        self.results = []
        self.broken = []
        # Which caller an AccessKeyId was given to: never two.
        self.holders = {}
        self.signers = set()
        self.in_flight = set()
        self.new_albums = itertools.count()
        self.count = itertools.count()
        self.jwts = {user: cluster.user_token(user) for user in USERS}
        self.tickets = {}

    @staticmethod
    def basic(client, secret=None):
        pair = f"{client}:{secret or SECRETS[client]}"
        return {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}

    def bearer(self, user):
        return {"Authorization": f"Bearer {self.jwts[user]}"}

    async def call(self, kind, holder, method, path, headers, body=None, is_known=True, replica=None):
        """One request, its result, and the checks that every answer must pass."""
        began, at, phase = time.monotonic(), time.time(), self.phase
        replica = replica or self.balancer.choose()
        code, request_id, reconnected, fields = "NoReplica", "", False, {}
        if replica is not None:
            data = json.dumps(body).encode() if body is not None else b""
            headers = {**headers, "Content-Type": "application/json"} if body is not None else headers
            try:
                answer, reconnected = await asyncio.wait_for(
                    self.balancer.send(replica, method, path, headers, data), ANSWER_SECS)
                fields = json.loads(answer.body)
                code, request_id = fields["Code"], fields["RequestId"]
            except asyncio.TimeoutError:
                code = "NoAnswer"
            except OSError:
                code = "NoConnection"
            except (ValueError, KeyError):
                code = "NoJson"
        result = Result(at, phase, kind, is_known, replica.name if replica else "-", code, time.monotonic() - began,
                        request_id, self.phase, reconnected)
        self.results.append(result)
        if code == "Success":
            self.check(kind, holder, fields, result)
        return code, fields

    def check(self, kind, holder, fields, result):
        if "SecurityToken" in fields:
            key = fields["AccessKeyId"]
            if self.holders.setdefault(key, holder) != holder:
                self.broken.append(f"{result.phase}: {self.holders[key]} and {holder} got the same token {key}")
            ends = datetime.datetime.fromisoformat(fields["Expiration"].replace("Z", "+00:00")).timestamp()
            if ends - time.time() < 300:
                self.broken.append(f"{result.phase}: {holder} got a token with {ends - time.time():.0f} s left")
        elif kind in ("upload", "url"):
            credential = fields["Fields"]["x-oss-credential"] if kind == "upload" else urllib.parse.parse_qs(
                urllib.parse.urlsplit(fields["Url"]).query)["x-oss-credential"][0]
            self.signers.add(credential.split("/")[0])

    async def token_of_client(self, album, is_known=True, replica=None, client="backend", kind="secret"):
        return await self.call(
            kind, (client, album), "GET", f"/v1/token?Grant=one-album&Parameters.album={album}", self.basic(client),
            is_known=is_known, replica=replica)

    async def token_of_user(self, user, replica=None):
        return await self.call("jwt", ("photo-app", user), "GET", "/v1/token", self.bearer(user), replica=replica)

    async def token_by_ticket(self, user, replica=None):
        return await self.call(
            "ticket", ("photo-app", user), "GET", f"/v1/token?Ticket={self.tickets[user]}", {}, replica=replica)

    async def new_ticket(self, user):
        code, fields = await self.call("new-ticket", user, "POST", "/v1/tickets", self.bearer(user), {"Grant": "my-photos"})
        if code == "Success":
            self.tickets[user] = urllib.parse.urlsplit(fields["Url"]).query.removeprefix("Ticket=")

    async def upload(self, user, replica=None, use=False):
        code, form = await self.call(
            "upload", user, "POST", "/v1/uploads", self.bearer(user), {"Grant": "photo-upload", "Name": "cat.jpg"},
            replica=replica)
        if code == "Success" and use:
            mark = "chaos-form-boundary"
            parts = [f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
                     for name, text in form["Fields"].items()]
            file = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="cat.jpg"\r\n\r\nmeow\r\n--{mark}--\r\n'
            await self.use_at_oss("upload-at-oss", "POST", form["Url"],
                                  {"Content-Type": f"multipart/form-data; boundary={mark}"}, ("".join(parts) + file).encode())

    async def url(self, user, replica=None, use=False):
        code, signed = await self.call(
            "url", user, "POST", "/v1/urls", self.bearer(user),
            {"Grant": "photo-upload", "Method": "GET", "Key": f"users/{user}/cat.jpg"}, replica=replica)
        if code == "Success" and use:
            await self.use_at_oss("url-at-oss", "GET", signed["Url"], {}, b"")

    async def use_at_oss(self, kind, method, url, headers, body):
        began, at, phase = time.monotonic(), time.time(), self.phase
        target = urllib.parse.urlsplit(url)
        try:
            answer = await request_once(target.hostname, target.port, method,
                                        target.path + (f"?{target.query}" if target.query else ""), headers, body)
            code = "Success" if answer.status == 200 else f"Oss{answer.status}"
        except (OSError, asyncio.TimeoutError):
            code = "NoConnection"
        self.results.append(Result(at, phase, kind, True, "oss", code, time.monotonic() - began, ended_in=self.phase))

    async def new_session(self):
        """Several callers at once of an album that nobody asked for before: one call to STS."""
        album = f"new-{next(self.new_albums)}"
        await asyncio.gather(*(self.token_of_client(album, is_known=False, kind="new") for _ in range(CALLERS_OF_NEW)))

    async def wrong_secret(self):
        await self.call("wrong", None, "GET", "/v1/token", self.basic("backend", "wrong"))

    async def whoami(self, user):
        await self.call("whoami", user, "GET", "/v1/whoami", self.bearer(user))

    async def wave(self, callers):
        """Callers of one cold session at the same time, over all replicas."""
        album = f"new-{next(self.new_albums)}"
        await asyncio.gather(*(self.token_of_client(album, is_known=False, kind="wave") for _ in range(callers)))

    async def touch_all(self):
        """Each known caller asks each ready replica, so that each has its session and has verified its credential."""
        for replica in self.cluster.replicas:
            if replica.in_rotation:
                await asyncio.gather(
                    *(self.token_of_client(album, replica=replica) for album in ALBUMS),
                    *(self.token_of_user(user, replica) for user in USERS),
                    *(self.token_by_ticket(user, replica) for user in self.tickets),
                    self.upload(USERS[0], replica), self.url(USERS[0], replica),
                    self.token_of_client("shared", replica=replica, client="second", kind="second"))

    def next_caller(self):
        number = next(self.count)
        user, album, turn = random.choice(USERS), random.choice(ALBUMS), number // 10
        # One in ten requests is for a new session, and one in eighty has a wrong secret: a client's name may fail 60
        # times a minute.
        return (
            lambda: self.token_of_client(album), lambda: self.token_of_user(user), lambda: self.token_by_ticket(user),
            lambda: self.upload(user, use=turn % USED_AT_OSS == 0), self.new_session,
            lambda: self.url(user, use=turn % USED_AT_OSS == 0), lambda: self.token_of_client(album),
            lambda: self.token_of_user(user),
            lambda: self.wrong_secret() if turn % 8 == 0 else self.whoami(user) if turn % 2 else self.new_ticket(user),
            lambda: self.token_of_client("shared", client="second", kind="second"),
        )[number % 10]

    async def run_forever(self):
        due = time.monotonic()
        while True:
            due = max(due + 1 / self.rate, time.monotonic() - 1)
            await asyncio.sleep(max(0, due - time.monotonic()))
            task = asyncio.create_task(self.next_caller()())
            self.in_flight.add(task)
            task.add_done_callback(self.in_flight.discard)

    async def drain(self):
        """Waits for the requests that are on their way."""
        while pending := list(self.in_flight):
            await asyncio.gather(*pending)
