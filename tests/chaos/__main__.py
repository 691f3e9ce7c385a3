"""Runs AppServer under load and faults, prints what happened, and fails where a promise of the documentation is broken.

    tests/chaos.sh                       every fault once, in some four minutes
    tests/chaos.sh --only kill-9 storm   these
    tests/soak.sh --hours 1              the faults that a process survives, again and again, with what it uses
"""

import argparse
import asyncio
import os
import pathlib
import signal
import sys
import time

from cluster import Cluster
from load import USERS, Balancer, Load
from report import Report
from schedule import Schedule

# After a fault, so long must everything go well.
QUIET_SECS = 2
# What comes after the phases of each round of a soak.
END_OF_ROUND = None


def arguments():
    parser = argparse.ArgumentParser(prog="tests/chaos.sh", description="AppServer under load and faults")
    parser.add_argument("--binary", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--clock", required=True, help=argparse.SUPPRESS)
    parser.add_argument("--folder", required=True, type=pathlib.Path, help=argparse.SUPPRESS)
    parser.add_argument("--rate", type=float, default=40, help="requests a second (40)")
    parser.add_argument("--hours", type=float, help=argparse.SUPPRESS)
    parser.add_argument("--only", nargs="+", metavar="PHASE", help="these phases alone")
    return parser.parse_args()


class Chaos:
    """One run."""

    def __init__(self, options):
        self.options = options
        self.cluster = Cluster(options.binary, options.clock, options.folder)
        self.report = Report(self.cluster)

    async def run(self):
        cluster, report = self.cluster, self.report
        await cluster.start()
        await cluster.clear_faults()
        balancer = Balancer(cluster)
        load = Load(cluster, balancer, self.options.rate)
        report.load = load
        tasks = [asyncio.create_task(balancer.probe_forever())]
        await cluster.until(self.all_in_rotation, 10)
        schedule = Schedule(cluster, load, report.check)
        await report.during("start", self.warm_up(load))
        tasks.append(asyncio.create_task(load.run_forever()))
        for phase in self.phases(schedule):
            for task in tasks:
                if task.done():
                    task.result()
            if phase is END_OF_ROUND:
                await report.sample_usage()
            else:
                await self.play(phase, load)
        tasks[1].cancel()
        await load.drain()
        tasks[0].cancel()
        await report.finish()

    async def all_in_rotation(self):
        return all(replica.in_rotation for replica in self.cluster.replicas)

    async def warm_up(self, load):
        for user in USERS:
            await load.new_ticket(user)
            await load.upload(user, use=True)
        await load.touch_all()
        await load.wave(200)

    def phases(self, schedule):
        phases = schedule.phases()
        if self.options.only:
            unknown = set(self.options.only) - {phase.name for phase in phases}
            if unknown:
                raise SystemExit(f"tests/chaos.sh: no phase {', '.join(sorted(unknown))}; there are "
                                 f"{', '.join(phase.name for phase in phases)}")
            phases = [phase for phase in phases if phase.name in self.options.only]
        if not self.options.hours:
            yield from phases
            return
        ends = time.monotonic() + self.options.hours * 3600
        while time.monotonic() < ends:
            yield from (phase for phase in phases if phase.survives)
            yield END_OF_ROUND

    async def play(self, phase, load):
        """The fault, its end, the recovery; then a while without any failure."""
        report, cluster = self.report, self.cluster
        print(f"{phase.name}: {phase.what}", flush=True)
        await cluster.until(self.all_in_rotation, 10)
        await load.touch_all()
        began = time.time()
        load.phase = phase.name
        await phase.inject()
        if phase.reports:
            await self.expect_report(phase)
        await asyncio.sleep(max(0, phase.seconds - (time.time() - began)))
        await phase.heal()
        healed = time.monotonic()
        recovered = await cluster.until(lambda: self.is_well(load), phase.recovery_secs)
        took = time.monotonic() - healed
        report.check(recovered is not None, f"{phase.name}: all replicas are ready and vend new sessions within "
                     f"{phase.recovery_secs:.0f} s", f"{took:.1f} s" if recovered is not None else "not yet")
        load.phase = f"after {phase.name}"
        await report.phase_ended(phase, began, took)
        began = time.time()
        await asyncio.sleep(QUIET_SECS)
        await report.quiet_ended(load.phase, began)

    async def expect_report(self, phase):
        async def is_reported():
            said = [what for _, what in await asyncio.gather(*(replica.readiness() for replica in self.cluster.replicas))]
            return sum(phase.reports in what for what in said) == phase.reporting

        took = await self.cluster.until(is_reported, 5)
        self.report.check(took is not None, f"{phase.name}: /readyz of {phase.reporting} says {phase.reports} within 5 s",
                          f"{took or 0:.1f} s")

    async def is_well(self, load):
        """Whether each replica says that it is well, and obtains a new session."""
        if not await self.cluster.all_ready() or not await self.all_in_rotation():
            return False
        codes = await asyncio.gather(*(
            load.token_of_client(f"new-{next(load.new_albums)}", is_known=False, kind="new", replica=replica)
            for replica in self.cluster.replicas))
        return all(code == "Success" for code, _ in codes)


def main():
    chaos = Chaos(arguments())
    # SIGTERM ends it like Ctrl-C, so that no process is left.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        asyncio.run(chaos.run())
    finally:
        chaos.cluster.stop()
    sys.exit(chaos.report.conclude())


if __name__ == "__main__":
    os.umask(0o077)
    main()
