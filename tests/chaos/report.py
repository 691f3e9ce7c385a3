"""What was answered, what STS was asked, what the audit has: the promises, and the table."""

import collections
import dataclasses
import datetime
import gzip
import json
import time

from cluster import REPLICAS, USAGE
from repetitions import REPETITION_SECS, Outage, Repetitions, outages_of

# No answer may take longer: `server.request_timeout_ms`, and a second for the way.
LONGEST_SECS = 16
# A soak, from the second round, when the cache is full or nearly so, to the last one: by so many, or by this share.
MORE = {"bytes": (16 << 20, 0.1), "descriptors": (32, 0), "threads": (4, 0), "tasks": (32, 0), "tokens": (0, 1)}


class Report:
    """The promises of one run, and the rows of its table."""

    def __init__(self, cluster):
        self.cluster = cluster
        self.load = None
        self.began = time.time()
        self.promises = []
        self.rows = []
        self.calls = {}
        self.allowed = {}
        self.spans = []
        self.outages = []
        self.usage = []

    def check(self, is_kept, promise, figure=""):
        self.promises.append((is_kept, promise, figure))
        if not is_kept:
            print(f"  BROKEN: {promise} ({figure})", flush=True)

    async def during(self, name, what):
        began = time.time()
        await what
        await self.quiet_ended(name, began)

    async def phase_ended(self, phase, began, recovery):
        self.allowed[phase.name] = phase
        self.spans.append((phase.name, began, time.time(), phase.again, recovery))
        if phase.loses_redis:
            self.outages.append(Outage(began, time.time(), REPLICAS - 1))
        await self.read_calls()

    async def quiet_ended(self, name, began):
        again = self.allowed[name.removeprefix("after ")].again if name.startswith("after ") else 0
        self.spans.append((name, began, time.time(), again, None))
        await self.read_calls()

    async def read_calls(self):
        """The emulator keeps the latest 10,000."""
        for call in (await self.cluster.control("GET", "/_emulator/calls"))["Calls"]:
            if call["Action"] == "AssumeRole":
                self.calls[call["RequestId"]] = call

    async def sample_usage(self):
        self.usage.append((time.time() - self.began, [await replica.usage() for replica in self.cluster.replicas]))
        for replica, usage in zip(self.cluster.replicas, self.usage[-1][1], strict=True):
            print(f"  {replica.name}: {self.usage_text(usage)}", flush=True)

    @staticmethod
    def usage_text(usage):
        return ", ".join(f"{value / 2**20:.1f} MiB" if name == "bytes" else f"{value:.0f} {name}"
                         for name, value in zip(USAGE, usage, strict=True))

    async def finish(self):
        """What can be asked only while everything runs."""
        await self.read_calls()
        await self.sample_usage()
        for name, what in (("appserver_panics_total", "no handler panicked"),
                           ("appserver_policy_disagreements_total", "the two proofs never disagreed")):
            values = [await replica.metric(name) for replica in self.cluster.replicas]
            self.check(not any(values), what, str(values))
        panics = sum(b"panicked" in replica.log.read_bytes() for replica in self.cluster.replicas)
        self.check(panics == 0, "no log has a panic")

    def conclude(self):
        """Prints everything; returns the exit code."""
        with (self.cluster.folder / "results.jsonl").open("w") as file:
            file.writelines(json.dumps(dataclasses.asdict(result)) + "\n" for result in self.load.results)
        self.judge_answers()
        self.judge_sts()
        self.judge_audit()
        self.judge_usage()
        self.print_table()
        print()
        for is_kept, promise, figure in self.promises:
            print(f"{'kept  ' if is_kept else 'BROKEN'} {promise}{f': {figure}' if figure else ''}")
        broken = sum(not is_kept for is_kept, _, _ in self.promises)
        print(f"\n{len(self.promises) - broken} promises kept, {broken} broken, in {time.time() - self.began:.0f} s; "
              f"logs and audit: {self.cluster.folder}")
        return 1 if broken else 0

    def is_allowed(self, result):
        """A request that a fault meets on its way, or that it leaves behind, belongs to the fault's phase, too."""
        if result.code == ("Unauthenticated" if result.kind == "wrong" else "Success"):
            return True
        phases = [self.allowed[name] for name in {result.phase, result.ended_in} if name in self.allowed]
        return any(result.code in self.explained_by(phase, result) for phase in phases)

    def row_of(self, result):
        """The phase that its row in the table is about: of a request that began in quiet, the one that it ended in."""
        name = result.phase if result.phase in self.allowed else result.ended_in
        return name.removeprefix("after ")

    @staticmethod
    def explained_by(phase, result):
        """What the fault does to all sessions, it does at some replicas only."""
        known = phase.known if not phase.replicas or result.replica in phase.replicas else ()
        new = () if result.is_known else tuple(code for code in phase.new if code not in phase.known)
        return (*known, *new, *phase.by_kind.get(result.kind, ()))

    def judge_answers(self):
        results = self.load.results
        unexpected = [result for result in results if not self.is_allowed(result)]
        self.check(not unexpected, "no request fails but as the fault of its phase explains",
                   f"{len(results)} requests, {len(unexpected)} unexpected")
        seen = collections.Counter((r.phase, r.kind, r.replica, r.code) for r in unexpected)
        for (phase, kind, replica, code), count in seen.most_common(40):
            print(f"  unexpected: {count} x {code} for {kind} at {replica} in {phase}")
        wrong = [result for result in results if result.kind == "wrong"]
        self.check(all(result.code != "Success" for result in wrong), "a wrong secret never gets a token", f"{len(wrong)} tries")
        longest = max(results, key=lambda result: result.seconds)
        self.check(longest.seconds <= LONGEST_SECS, f"every answer comes within {LONGEST_SECS} s",
                   f"the longest took {longest.seconds:.1f} s, in {longest.phase}")
        self.check(not self.load.broken, "no token is given to two callers or has less than 300 s left",
                   "; ".join(self.load.broken[:3]) or f"{len(self.load.holders)} tokens")
        self.check(not self.load.signers & set(self.load.holders), "no session that signs forms and URLs is handed out",
                   f"{len(self.load.signers)} sessions")

    @staticmethod
    def session_of(call):
        names = ("RoleArn", "RoleSessionName", "Policy", "DurationSeconds")
        return tuple(call["Parameters"].get(name, "") for name in names)

    def span_at(self, at):
        return next((span for span in self.spans if at <= span[2]), self.spans[-1])

    def judge_sts(self):
        """`issued` and `first` count by phase: the calls that succeeded, and those for a session without a token."""
        self.issued, self.first, self.attempts = collections.Counter(), collections.Counter(), collections.Counter()
        replicas_alone = [Outage(began, ended, 1) for replica in self.cluster.replicas for began, ended in replica.times_alone()]
        outages = outages_of(self.outages, replicas_alone)
        repetitions, throttled = Repetitions(outages), []
        for call in sorted(self.calls.values(), key=lambda call: call["At"]):
            at = time_of(call["At"])
            span = self.span_at(at)
            name = span[0]
            self.attempts[name] += 1
            if name not in ("sts-throttle", "after sts-throttle") and "Throttl" in call["Outcome"]:
                throttled.append(name)
            if call["Outcome"] != "Success":
                continue
            self.issued[name] += 1
            if not repetitions.add(at, self.session_of(call), span):
                self.first[name] += 1
        # With the seconds since the call before.
        too_many = [(name, session[1], after) for ((name, _, _, again, _), session), after in repetitions.unexplained.items()
                    if len(after) > again]
        self.check(not too_many, f"STS is not asked twice for a session within {REPETITION_SECS} s but as a fault explains",
                   f"{sum(self.issued.values())} tokens of {sum(self.first.values())} needed, "
                   f"{len(outages) - len(self.outages)} times a replica without Redis outside of its phases" +
                   (f"; {len(too_many)} too often, such as {too_many[:3]}" if too_many else ""))
        self.check(not throttled, "the replicas never exceed the quota together",
                   f"{sum(self.attempts.values())} calls, throttled {dict(collections.Counter(throttled))}")

    def judge_audit(self):
        """Each answer with something to use is in the audit of its replica, and no later line takes it back."""
        handed_out, failed = collections.defaultdict(set), collections.defaultdict(set)
        unreadable = 0
        for replica in self.cluster.replicas:
            for file in self.cluster.folder.glob(f"{replica.name}.jsonl*"):
                opened = gzip.open if file.suffix == ".gz" else open
                for line in opened(file, "rb"):
                    try:
                        fields = json.loads(line)
                    except ValueError:
                        unreadable += 1
                        continue
                    if fields.get("Decision") in ("Vended", "Issued"):
                        handed_out[replica.name].add(fields["RequestId"])
                    elif fields.get("Decision") == "Failed":
                        failed[replica.name].add(fields["RequestId"])
        audited = [result for result in self.load.results
                   if result.code == "Success" and result.request_id and result.kind != "whoami"]
        missing = [result for result in audited if result.request_id not in handed_out[result.replica]
                   or result.request_id in failed[result.replica]]
        self.check(not missing, "every token, ticket, form and URL that a caller got is in the audit",
                   f"{len(audited)} answers, {len(missing)} without a line" +
                   (f", such as {missing[0].request_id} at {missing[0].replica} in {missing[0].phase}" if missing else ""))
        self.check(unreadable == 0, "every line of the audit is whole", f"{unreadable} are not")

    def judge_usage(self):
        """The last sample is of the end of the run, a few seconds after that of the last round."""
        rounds = self.usage[:-1]
        if len(rounds) < 3:
            return
        print(f"\n{'minute':<8}" + "".join(f"{replica.name:>58}" for replica in self.cluster.replicas))
        for seconds, usages in rounds:
            print(f"{seconds / 60:<8.0f}" + "".join(f"{self.usage_text(usage):>58}" for usage in usages))
        for number, replica in enumerate(self.cluster.replicas):
            for name, early, late in zip(USAGE, rounds[1][1][number], rounds[-1][1][number], strict=True):
                more, share = MORE[name]
                self.check(late <= early * (1 + share) + more, f"{replica.name} has no more {name} from round to round",
                           f"{early:.0f} to {late:.0f} in {len(rounds)} rounds")

    def print_table(self):
        print(f"\n{'phase':<16}{'requests':>9}{'failed':>8}{'known p99':>11}{'new p99':>9}{'STS':>6}{'tokens':>8}{'needed':>8}"
              f"{'recovery':>10}  failures")
        names = list(dict.fromkeys(name.removeprefix("after ") for name, *_ in self.spans))
        total = collections.Counter()
        for name in names:
            spans = [span for span in self.spans if span[0] == name]
            both = (name, f"after {name}")
            results = [result for result in self.load.results if self.row_of(result) == name]
            failures = collections.Counter(result.code for result in results if result.code != "Success" and result.kind != "wrong")
            recovery = max((span[4] for span in spans if span[4] is not None), default=None)
            row = {"requests": len(results), "failed": failures.total(), "sts": sum(self.attempts[one] for one in both),
                   "tokens": sum(self.issued[one] for one in both), "needed": sum(self.first[one] for one in both)}
            total.update(row)
            codes = ", ".join(f"{code} {count}" for code, count in failures.most_common())
            print(f"{name:<16}{row['requests']:>9}{row['failed']:>8}{p99(results, True):>11}{p99(results, False):>9}"
                  f"{row['sts']:>6}{row['tokens']:>8}{row['needed']:>8}"
                  f"{f'{recovery:.1f} s' if recovery is not None else '':>10}  {codes}")
        print(f"{'all':<16}{total['requests']:>9}{total['failed']:>8}{'':>11}{'':>9}{total['sts']:>6}{total['tokens']:>8}{total['needed']:>8}")
        reconnected = sum(result.reconnected for result in self.load.results)
        print(f"\n{reconnected} requests were sent again because the server had closed their idle connection.")


def p99(results, is_known):
    seconds = sorted(result.seconds for result in results if result.is_known == is_known and result.code == "Success")
    return f"{seconds[int(len(seconds) * 0.99)] * 1000:.0f} ms" if seconds else "-"


def time_of(text):
    """Seconds since the epoch of a time with nanoseconds."""
    whole, _, fraction = text.rstrip("Z").partition(".")
    moment = datetime.datetime.fromisoformat(whole).replace(tzinfo=datetime.timezone.utc)
    return moment.timestamp() + float(f"0.{fraction or 0}")
