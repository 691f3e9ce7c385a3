"""The faults, one after the other, and which failures each may cause.

What a phase allows is what the documentation says of the fault; everything else must go on without a failed request.
"""

import asyncio
import dataclasses
import hashlib
import ssl

from cluster import LEASE_MS, OPEN_MS, WATCH_MS

# An answer of STS, while a replica is killed.
SLOW_MS = 1000
UNAVAILABLE, THROTTLED = "Upstream.Unavailable", "Upstream.Throttled"


@dataclasses.dataclass
class Phase:
    """A fault that lasts for some seconds."""

    name: str
    # What happens to whom, as the report says it.
    what: str
    inject: object
    heal: object
    seconds: float = 8
    # Codes that callers of new sessions may get, and those that all may get, from these replicas only.
    new: tuple = ()
    known: tuple = ()
    replicas: tuple = ()
    # Codes that one kind of callers must expect.
    by_kind: dict = dataclasses.field(default_factory=dict)
    # What /readyz of the replicas must report within five seconds, and by how many.
    reports: str = ""
    reporting: int = 0
    # Whether Redis is away or loses what it has, so that each replica that needs a session asks STS itself.
    loses_redis: bool = False
    # How often STS may be asked again besides for a session that it gave already.
    again: int = 0
    recovery_secs: float = 10
    # Whether processes survive it: a soak repeats only such phases.
    survives: bool = True


async def nothing():
    pass


class Schedule:
    """All phases, in order."""

    def __init__(self, cluster, load, check):
        self.cluster, self.load, self.check = cluster, load, check

    def phases(self):
        first, second, third = self.cluster.replicas
        return [
            Phase("calm", "no fault", nothing, nothing, 8),
            Phase("sts-5xx", "STS answers 503", self.sts({"Error": {
                "Status": 503, "Code": "ServiceUnavailable", "Message": "chaos"}}), self.cluster.clear_faults,
                new=(UNAVAILABLE,), recovery_secs=OPEN_MS / 1000 + 5),
            Phase("sts-slow", "STS answers after 2 s", self.sts({"Slow": {"DelayMs": 2000}}), self.cluster.clear_faults, 6),
            Phase("sts-hangs", "STS does not answer", self.sts({"Slow": {"DelayMs": 30000}}), self.cluster.clear_faults,
                  10, new=(UNAVAILABLE,), recovery_secs=OPEN_MS / 1000 + 15),
            Phase("sts-wrong", "STS answers cut, truncated or by a page of HTML", self.wrong_answers,
                  self.cluster.clear_faults, new=(UNAVAILABLE,), recovery_secs=OPEN_MS / 1000 + 5),
            Phase("sts-throttle", "STS allows 1 call a second", self.sts({"Quota": {"PerSecond": 1}}),
                  self.cluster.clear_faults, new=(THROTTLED,), recovery_secs=30),
            Phase("kill-9", f"{third.name} is killed while it calls STS", self.kill_while_calling, self.bring_back,
                  new=("NoConnection",), known=("NoConnection",), replicas=(third.name,), again=1, recovery_secs=20,
                  survives=False),
            Phase("rolling", "SIGTERM and a new start, replica by replica", self.rolling_restart, nothing, 0,
                  recovery_secs=20, survives=False),
            Phase("redis-frozen", "Redis is stopped (SIGSTOP)", self.call(self.cluster.freeze_redis),
                  self.call(self.cluster.thaw_redis), reports="store_degraded", reporting=3, loses_redis=True),
            Phase("redis-killed", "Redis is killed and comes back empty", self.call(self.cluster.kill_redis),
                  self.call(self.cluster.start_redis), reports="store_degraded", reporting=3, loses_redis=True),
            Phase("redis-foreign", "every key in Redis becomes a list", self.cluster.spoil_redis, nothing, 5,
                  loses_redis=True),
            Phase("disk-full", f"{first.name}'s audit has no room", self.call(first.fill_disk), self.call(first.free_disk),
                  new=("AuditUnavailable",), known=("AuditUnavailable",), replicas=(first.name,),
                  reports="AuditUnavailable", reporting=1),
            # STS and OSS take a time that differs by 15 minutes.
            Phase("clock-ahead", f"{second.name}'s clock is 16 minutes ahead", self.call(lambda: second.set_clock(960)),
                  # The grant's session, on whose age the clocks disagree: Redis lost the copy of the others.
                  self.call(lambda: second.set_clock(0)), again=1),
            Phase("clock-behind", f"{third.name}'s clock is 16 minutes behind", self.call(lambda: third.set_clock(-960)),
                  self.call(lambda: third.set_clock(0))),
            Phase("reload-wrong", "the configuration has an unknown key", self.wrong_configuration, self.right_configuration,
                  4, reports="config_last_reload_failed", reporting=3),
            Phase("reload", "SIGHUP ten times, and a client is disabled", self.reload, self.enable, 4,
                  by_kind={"second": ("Forbidden.ClientDisabled",)}, again=1,
                  recovery_secs=WATCH_MS / 1000 * 2 + 5),
            Phase("certificate", "the certificate is replaced", self.swap_certificate, nothing, 5),
            Phase("access-key", "the AccessKey that signs is replaced by the user's other one", self.rotate_access_key, nothing, 5),
            Phase("storm", "STS slow and failing, Redis stopped, a replica killed", self.storm, self.calm_down,
                  new=(UNAVAILABLE, THROTTLED, "NoConnection"), known=("NoConnection",), replicas=(second.name,),
                  # The killed replica may take a session with it.
                  loses_redis=True, again=1, recovery_secs=30, survives=False),
        ]

    @staticmethod
    def call(action):
        async def run():
            action()

        return run

    def sts(self, *faults):
        async def run():
            for fault in faults:
                await self.cluster.fault(fault)

        return run

    async def wrong_answers(self):
        for fault in ({"Cut": {"MidBody": False}}, {"Cut": {"MidBody": True}}, "Malformed", {"Html": {"Status": 502}},
                      {"MissingField": {"Field": "Expiration"}}, "EmptyCredentials"):
            await self.cluster.fault(fault, times=4)

    async def wrong_configuration(self):
        self.cluster.write_config(self.cluster.config_text() + "\n[server.colour]\nred = true\n")

    async def right_configuration(self):
        self.cluster.write_config()

    async def reload(self):
        for _ in range(10):
            for replica in self.cluster.replicas:
                replica.reload()
            await asyncio.sleep(0.1)
        self.cluster.write_config(self.cluster.config_text(second_enabled=False))
        took = await self.cluster.until(self.answers("Forbidden.ClientDisabled"), 10)
        self.check(took is not None, "a disabled client is refused by all replicas within 10 s", f"{took or 0:.1f} s")

    async def enable(self):
        self.cluster.write_config()
        took = await self.cluster.until(self.answers("Success"), 10)
        self.check(took is not None, "an enabled client is served by all replicas within 10 s", f"{took or 0:.1f} s")

    def answers(self, code):
        async def run():
            codes = await asyncio.gather(*(
                self.load.token_of_client("shared", replica=replica, client="second", kind="second")
                for replica in self.cluster.replicas))
            return all(answer == code for answer, _ in codes)

        return run

    async def swap_certificate(self):
        digest = self.cluster.new_certificate()

        async def is_served():
            served = await asyncio.gather(*(asyncio.to_thread(self.served_certificate, replica)
                                            for replica in self.cluster.replicas))
            return all(one == digest for one in served)

        took = await self.cluster.until(is_served, 10)
        self.check(took is not None, "new connections get the new certificate within 10 s", f"{took or 0:.1f} s")

    async def rotate_access_key(self):
        key_id = self.cluster.rotate_access_key()

        async def signs():
            """Whether each replica signs the call for a new session with it."""
            albums = [f"new-{next(self.load.new_albums)}" for _ in self.cluster.replicas]
            await asyncio.gather(*(
                self.load.token_of_client(album, is_known=False, kind="new", replica=replica)
                for album, replica in zip(albums, self.cluster.replicas, strict=True)))
            sessions = {f"backend.{album}" for album in albums}
            signers = [call["Parameters"]["AccessKeyId"]
                       for call in (await self.cluster.control("GET", "/_emulator/calls"))["Calls"]
                       if call["Parameters"].get("RoleSessionName") in sessions]
            return signers == [key_id] * len(albums)

        took = await self.cluster.until(signs, 10)
        self.check(took is not None, "all replicas sign with the next AccessKey within 10 s", f"{took or 0:.1f} s")

    @staticmethod
    def served_certificate(replica):
        pem = ssl.get_server_certificate(("127.0.0.1", replica.port), timeout=5)
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem)).hexdigest()

    async def kill_while_calling(self):
        """STS takes its time, so that the replica dies with leases."""
        await self.cluster.fault({"Slow": {"DelayMs": SLOW_MS}})
        await asyncio.sleep(2 * SLOW_MS / 1000)
        self.cluster.replicas[2].kill()

    async def bring_back(self):
        await self.cluster.clear_faults()
        self.cluster.replicas[2].start()
        waited = max((result.seconds for result in self.load.results
                      if result.phase == "kill-9" and not result.is_known and result.code == "Success"), default=0)
        # For the lease, the call that follows, and on a busy machine.
        most = LEASE_MS / 1000 + SLOW_MS / 1000 + 3
        self.check(waited <= most, f"a replica that dies with a lease delays others by no more than the lease: {most:.0f} s in all",
                   f"{waited:.1f} s")

    async def rolling_restart(self):
        for replica in self.cluster.replicas:
            code, took = await replica.terminate()
            self.check(code == 0, f"{replica.name} stops cleanly on SIGTERM", f"exit code {code}, {took:.1f} s")
            replica.start()
            await self.cluster.until(self.cluster.all_ready, 20)

    async def storm(self):
        self.cluster.freeze_redis()
        await self.cluster.fault({"Slow": {"DelayMs": 500}})
        await self.cluster.fault({"Error": {"Status": 500, "Code": "InternalError", "Message": "chaos"}}, times=15)
        self.cluster.replicas[1].kill()

    async def calm_down(self):
        self.cluster.thaw_redis()
        await self.cluster.clear_faults()
        self.cluster.replicas[1].start()
