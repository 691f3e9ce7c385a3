"""Three replicas, Redis and the emulated cloud, as processes on loopback, and the faults that they can have."""

import asyncio
import base64
import ctypes
import hashlib
import hmac
import itertools
import json
import math
import mmap
import os
import pathlib
import resource
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time

import http1

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
REPLICAS = 3
SECRETS = {client: f"{client}-chaos-secret-{'x' * 24}" for client in ("backend", "second", "photo-app")}
# What all replicas may spend on STS in a second: the emulated STS throttles beyond the two together.
CALLS_PER_SECOND, BURST = 30, 10
OPEN_MS = 2000
LEASE_MS = 3000
WATCH_MS = 500
LAME_DUCK_MS = 1500
# A soak of an hour fills the cache and rotates the audit many times.
MAX_TOKENS = 1000
MAX_AUDIT_BYTES = 2 << 20
# The emulated user has two AccessKeys: one signs, the other is the next.
ACCESS_KEYS = (("testid", "testsecret"), ("nextid", "nextsecret"))

# What may not grow in a soak, with its metric.
USAGE = {
    "bytes": "process_resident_memory_bytes", "descriptors": "process_open_fds", "threads": "process_threads",
    "tasks": "appserver_runtime_tasks", "tokens": "appserver_vend_cached_tokens",
}

CONFIG = """
[server]
public_url = "https://127.0.0.1"
lame_duck_ms = {LAME_DUCK_MS}

[server.tls]
certificate_file = "tls.crt"
key_file = "tls.key"

[reload]
watch_interval_ms = {WATCH_MS}

[audit]
sink = "file"
max_file_bytes = {MAX_AUDIT_BYTES}
max_files = 1000

[sts]
endpoints = ["http://127.0.0.1:{sts}"]

[sts.identity.access_key]
source = "files"
id_file = "access-key-id"
secret_file = "access-key-secret"

[vend]
max_cached_tokens = {MAX_TOKENS}

[vend.budget]
calls_per_second = {CALLS_PER_SECOND}
burst = {BURST}

[vend.breaker]
open_ms = {OPEN_MS}

[store]
kind = "redis"

[store.redis]
url = "redis://127.0.0.1:{redis}"
password_file = "redis-password"
encryption_key_file = "store-key"
expected_replicas = {REPLICAS}
lease_ms = {LEASE_MS}

[tickets]
key_file = "ticket-key"

[roles.reader]
arn = "acs:ram::11223344:role/oss-readonly"

[roles.writer]
arn = "acs:ram::11223344:role/oss-readwrite"

[grants.one-album]
role = "reader"
policy = "policies/one-album.json"
session_name = "${{client}}.${{params.album}}"

[grants.one-album.parameters.album]
kind = "segment"
max_length_bytes = 64

[grants.my-photos]
role = "writer"
policy = "policies/my-photos.json"

[grants.photo-upload]
role = "writer"
policy = "policies/photo-upload.json"
signed_urls = ["GET", "HEAD"]

[grants.photo-upload.oss]
bucket = "sample-bucket"
region = "cn-hangzhou"
endpoint = "http://127.0.0.1:{oss}"

[grants.photo-upload.upload]
key = "users/${{subject}}/${{name}}"
max_bytes = "1MiB"
content_types = ["image/jpeg"]
overwrite = true

[issuers.login]
issuer = "https://login.chaos.invalid/"
algorithms = ["HS256"]
secret_file = "issuer-secret"

[issuers.login.audiences]
photo-app = ["photo-app"]

[clients.backend]
grants = ["one-album"]
secret_sha256 = ["{backend}"]

[clients.second]
grants = ["one-album"]
secret_sha256 = ["{second}"]
enabled = {second_enabled}

[clients.photo-app]
grants = ["my-photos", "photo-upload"]
default_grant = "my-photos"
secret_sha256 = ["{photo_app}"]
"""


def free_ports(count):
    taken = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [one.getsockname()[1] for one in taken]
    for one in taken:
        one.close()
    return ports


def base64url(data):
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def die_with_parent():
    """No process outlives this one, however it ends. Beyond RLIMIT_FSIZE a write fails, as on a full disk."""
    parent_death_signal = 1
    ctypes.CDLL(None).prctl(parent_death_signal, signal.SIGKILL)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


class Replica:
    """One process of `appserver serve`, started as often as the schedule wants."""

    def __init__(self, cluster, number, port, admin_port):
        self.cluster, self.number, self.port, self.admin_port = cluster, number, port, admin_port
        self.name = f"replica-{number}"
        self.audit = cluster.folder / f"{self.name}.jsonl"
        self.log = cluster.folder / f"{self.name}.log"
        self.process = None
        self.in_rotation = False
        # When it began to work without Redis, and when it ended that, in turn.
        self.redis_changes = []
        clock = cluster.folder / f"{self.name}.clock"
        clock.write_bytes(struct.pack("<q", 0))
        with clock.open("r+b") as file:
            self.clock = mmap.mmap(file.fileno(), 8)
        self.clock_file = clock

    def start(self):
        environment = {
            "PATH": os.environ["PATH"],
            "LD_PRELOAD": str(self.cluster.clock_library),
            "CHAOS_CLOCK": str(self.clock_file),
            "APPSERVER__SERVER__LISTEN": f"127.0.0.1:{self.port}",
            "APPSERVER__ADMIN__LISTEN": f"127.0.0.1:{self.admin_port}",
            "APPSERVER__AUDIT__FILE": str(self.audit),
        }
        # The log passes this process, so that a full disk of the audit is no full disk of the log.
        self.process = subprocess.Popen(
            [self.cluster.binary, "serve", "--config", self.cluster.config],
            env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
            preexec_fn=die_with_parent,
        )
        threading.Thread(target=self.copy_log, args=(self.process.stderr,), daemon=True).start()

    def copy_log(self, pipe):
        with self.log.open("ab") as log:
            for line in pipe:
                log.write(line)
                log.flush()
                self.note_redis(line)

    def note_redis(self, line):
        """By the clock of this process: that of the replica may be wrong."""
        is_alone = b"store_degraded: " in line
        if is_alone != (len(self.redis_changes) % 2 == 1) and (is_alone or b"connected to Redis" in line):
            self.redis_changes.append(time.time())

    def times_alone(self):
        return list(itertools.zip_longest(self.redis_changes[::2], self.redis_changes[1::2], fillvalue=math.inf))

    def kill(self):
        self.process.kill()
        self.process.wait()

    async def terminate(self):
        """SIGTERM; returns the exit code and the seconds that the stop took."""
        began = time.monotonic()
        self.process.terminate()
        while self.process.poll() is None:
            await asyncio.sleep(0.05)
        return self.process.returncode, time.monotonic() - began

    def reload(self):
        self.process.send_signal(signal.SIGHUP)

    def set_clock(self, seconds):
        self.clock[:8] = struct.pack("<q", seconds)

    def fill_disk(self):
        """The audit's file has its greatest size now: to the writer that is a disk without room."""
        size = self.audit.stat().st_size
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, (size, resource.RLIM_INFINITY))

    def free_disk(self):
        unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
        resource.prlimit(self.process.pid, resource.RLIMIT_FSIZE, unlimited)

    async def admin(self, path, timeout=1.0):
        """Status and body; None where nothing answers."""
        try:
            answer = await http1.request_once("127.0.0.1", self.admin_port, "GET", path, timeout=timeout)
        except asyncio.TimeoutError:
            return None, b""
        except OSError:
            return None
        return answer.status, answer.body

    async def readiness(self):
        """Whether it is ready, and what /readyz says besides: "down" where nothing answers, "late" where nothing did yet."""
        answer = await self.admin("/readyz")
        if answer is None:
            return False, ["down"]
        status, body = answer
        if status is None:
            return False, ["late"]
        body = json.loads(body)
        return status == 200, [*([body["Reason"]] if "Reason" in body else []), *body.get("Details", [])]

    async def metric(self, name):
        """The sum of a metric's series; None where nothing answers."""
        answer = await self.admin("/metrics", timeout=5)
        if answer is None or answer[0] is None:
            return None
        lines = (line for line in answer[1].decode().splitlines() if not line.startswith("#"))
        values = (line.rsplit(" ", 1) for line in lines)
        return sum(float(value) for series, value in values if series.split("{")[0] == name)

    async def usage(self):
        """What the process uses now, by the names of `USAGE`."""
        return [await self.metric(name) for name in USAGE.values()]


class Cluster:
    """Everything that runs, in a folder of its own."""

    def __init__(self, binary, clock_library, folder):
        self.binary, self.clock_library = binary, clock_library
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        self.folder = folder
        self.config = folder / "appserver.toml"
        self.redis_process = self.emulator_process = None
        ports = free_ports(5 + 2 * REPLICAS)
        self.sts_port, self.oss_port, self.ram_port, self.metadata_port, self.redis_port = ports[:5]
        self.replicas = [Replica(self, i, ports[5 + 2 * i], ports[6 + 2 * i]) for i in range(REPLICAS)]
        self.make_files()

    def make_files(self):
        for policy in ("one-album", "my-photos", "photo-upload"):
            (self.folder / "policies").mkdir(exist_ok=True)
            shutil.copy(ROOT / f"config/policies/{policy}.json", self.folder / "policies")
        secrets = {
            "redis-password": os.urandom(16).hex(),
            "store-key": self.random_key(), "ticket-key": self.random_key(), "issuer-secret": os.urandom(32).hex(),
        }
        for name, text in secrets.items():
            (self.folder / name).write_text(text)
            (self.folder / name).chmod(0o600)
        self.access_keys = itertools.cycle(ACCESS_KEYS)
        self.rotate_access_key()
        self.redis_password, self.issuer_secret = secrets["redis-password"], secrets["issuer-secret"]
        self.openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
                     "-subj", "/CN=chaos CA", "-keyout", "ca.key", "-out", "ca.crt")
        self.new_certificate()
        self.write_config()

    @staticmethod
    def random_key():
        return subprocess.run(["openssl", "rand", "-base64", "32"], capture_output=True, text=True, check=True).stdout

    def openssl(self, *arguments):
        subprocess.run(["openssl", *arguments], cwd=self.folder, check=True, capture_output=True)

    def new_certificate(self):
        """A certificate of the same CA, put in place as a mounted Secret is: complete at once. Returns its DER digest."""
        (self.folder / "san").write_text("subjectAltName=IP:127.0.0.1")
        self.openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=chaos",
                     "-keyout", "new.key", "-out", "new.csr")
        self.openssl("x509", "-req", "-in", "new.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-days", "1", "-extfile",
                     "san", "-out", "new.crt")
        self.openssl("x509", "-in", "new.crt", "-outform", "DER", "-out", "new.der")
        (self.folder / "new.key").rename(self.folder / "tls.key")
        (self.folder / "new.crt").rename(self.folder / "tls.crt")
        return hashlib.sha256((self.folder / "new.der").read_bytes()).hexdigest()

    def config_text(self, second_enabled=True):
        hashes = {client.replace("-", "_"): hashlib.sha256(secret.encode()).hexdigest() for client, secret in SECRETS.items()}
        return CONFIG.format(
            **{name: globals()[name] for name in (
                "REPLICAS", "CALLS_PER_SECOND", "BURST", "OPEN_MS", "LEASE_MS", "WATCH_MS", "LAME_DUCK_MS",
                "MAX_TOKENS", "MAX_AUDIT_BYTES")},
            **hashes, sts=self.sts_port, oss=self.oss_port, redis=self.redis_port,
            second_enabled=str(second_enabled).lower(),
        )

    def rotate_access_key(self):
        """The other AccessKey signs from now on. Returns its id."""
        key_id, secret = next(self.access_keys)
        for name, text in (("access-key-id", key_id), ("access-key-secret", secret)):
            new = self.folder / f"{name}.new"
            new.write_text(text)
            new.chmod(0o600)
            new.rename(self.folder / name)
        return key_id

    def write_config(self, text=None):
        """Replaces the configuration as a whole, as a ConfigMap does."""
        new = self.folder / "appserver.toml.new"
        new.write_text(text or self.config_text())
        new.rename(self.config)

    def check(self):
        done = subprocess.run(
            [self.binary, "check", "--config", self.config], capture_output=True, text=True, check=False,
            env={"PATH": os.environ["PATH"], "APPSERVER__AUDIT__FILE": str(self.folder / "check.jsonl")},
        )
        if done.returncode != 0:
            raise SystemExit(f"tests/chaos.sh: the configuration is refused:\n{done.stdout}{done.stderr}")

    async def start(self):
        self.check()
        self.start_redis()
        log = (self.folder / "emulator.log").open("wb")
        self.emulator_process = subprocess.Popen(
            [self.binary, "emulator", "--config", ROOT / "config/emulator.toml", "--sts-port", str(self.sts_port),
             "--oss-port", str(self.oss_port), "--ram-port", str(self.ram_port),
             "--metadata-port", str(self.metadata_port)],
            stdin=subprocess.DEVNULL, stdout=log, stderr=log, preexec_fn=die_with_parent,
        )
        if await self.until(self.emulator_answers, 20) is None:
            raise SystemExit(f"tests/chaos.sh: the emulator did not start; its log is {self.folder}/emulator.log")
        for replica in self.replicas:
            replica.start()
        if await self.until(self.all_ready, 60) is None:
            raise SystemExit(f"tests/chaos.sh: the replicas did not start; their logs are in {self.folder}")

    def start_redis(self):
        self.redis_process = subprocess.Popen(
            ["redis-server", "--bind", "127.0.0.1", "--port", str(self.redis_port), "--save", "", "--appendonly", "no",
             "--requirepass", self.redis_password],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=self.folder,
            preexec_fn=die_with_parent,
        )

    def freeze_redis(self):
        self.redis_process.send_signal(signal.SIGSTOP)

    def thaw_redis(self):
        self.redis_process.send_signal(signal.SIGCONT)

    def kill_redis(self):
        self.redis_process.kill()
        self.redis_process.wait()

    async def redis(self, *commands):
        """Sends commands, each a list of words; returns the raw answers as one text."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.redis_port)
        for words in [["AUTH", self.redis_password], *commands, ["ECHO", "the end"]]:
            encoded = [str(word).encode() for word in words]
            writer.write(b"*%d\r\n" % len(encoded) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in encoded))
        answers = await asyncio.wait_for(reader.readuntil(b"the end\r\n"), 10)
        writer.close()
        return answers.decode(errors="replace")

    async def spoil_redis(self):
        """Replaces each key of the service by a list, which it never writes."""
        keys = [line for line in (await self.redis(["KEYS", "appserver*"])).split("\r\n") if line.startswith("appserver")]
        await self.redis(*(["DEL", key] for key in keys), *(["RPUSH", key, "foreign"] for key in keys))
        return len(keys)

    async def control(self, method, path, body=None):
        headers = {"Content-Type": "application/json"} if body is not None else {}
        data = json.dumps(body).encode() if body is not None else b""
        answer = await http1.request_once("127.0.0.1", self.sts_port, method, path, headers, data, timeout=20)
        if answer.status >= 300:
            raise SystemExit(f"tests/chaos.sh: the emulator refused {method} {path}: {answer.body.decode()}")
        return json.loads(answer.body) if answer.body else None

    async def emulator_answers(self):
        try:
            await self.control("GET", "/_emulator/faults")
        except OSError:
            return False
        return True

    async def clear_faults(self):
        """STS without faults has one: the account's quota, which the budget must never exceed."""
        await self.control("DELETE", "/_emulator/faults")
        await self.fault({"Quota": {"PerSecond": CALLS_PER_SECOND + BURST}})

    async def fault(self, fault, times=None):
        script = {"Fault": fault, "Action": "AssumeRole", **({"Times": times} if times else {})}
        await self.control("POST", "/_emulator/faults", script)

    def user_token(self, subject):
        """A JWT of the user, valid for a day."""
        now = int(time.time())
        claims = {"iss": "https://login.chaos.invalid/", "aud": "photo-app", "sub": subject, "iat": now, "exp": now + 86400}
        parts = [base64url(json.dumps(part).encode()) for part in ({"alg": "HS256", "typ": "JWT"}, claims)]
        signature = hmac.digest(self.issuer_secret.encode(), ".".join(parts).encode(), "sha256")
        return ".".join([*parts, base64url(signature)])

    async def all_ready(self):
        return all([await replica.readiness() == (True, []) for replica in self.replicas])

    @staticmethod
    async def until(condition, seconds):
        """Waits for a condition; returns the seconds that it took, or None if it did not come true in time."""
        began = time.monotonic()
        while not await condition():
            if time.monotonic() - began > seconds:
                return None
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    def stop(self):
        for process in [*(replica.process for replica in self.replicas), self.emulator_process, self.redis_process]:
            if process is not None and process.poll() is None:
                process.kill()
                process.wait()
