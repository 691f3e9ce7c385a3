"""Which calls to STS ask again for a session that has a token, and what explains them."""

import collections
import dataclasses

# Two calls for one session that are further apart are none: the second is a refresh ahead of need. The first refresh of a
# token that a caller needed comes after a tenth to nine tenths of the half hour for which it is fresh, from 180 seconds on.
# A call reaches STS some time after its replica has noted its start, so the limit is ten seconds less.
REPETITION_SECS = 170
# A call that began while Redis was away, and whose token is therefore not shared, reaches STS so much later at most: the
# emulated STS may take two seconds.
LATE_SECS = 5
# A replica works alone for so long before its line in the log is read.
LOG_SECS = 1


@dataclasses.dataclass(frozen=True)
class Outage:
    """A time in which Redis was away from replicas, or up to whose end it lost what they had shared."""

    began: float
    ended: float
    # So many calls more than needed it explains for each session: one for each replica but one that had to ask itself.
    more: int

    def is_between(self, before, at):
        return self.began - LOG_SECS <= at and before <= self.ended + LATE_SECS


def outages_of(phases, replicas):
    """Those of phases, and those that single replicas had besides: on a busy machine Redis answers too late now and then."""
    return [*phases, *(outage for outage in replicas
                       if not any(phase.began <= outage.began <= phase.ended + LATE_SECS for phase in phases))]


class Repetitions:
    """Reads the successful calls in their order."""

    def __init__(self, outages):
        # The latest first.
        self.outages = sorted(outages, key=lambda outage: outage.began, reverse=True)
        self.explained = collections.Counter()
        self.latest = {}
        # By what no outage explains: the seconds since the call before, by span and session.
        self.unexplained = collections.defaultdict(list)

    def add(self, at, session, span):
        """Whether the call is a repetition."""
        before = self.latest.get(session)
        self.latest[session] = at
        if before is None or at - before >= REPETITION_SECS:
            return False
        for outage in self.outages:
            if outage.is_between(before, at) and self.explained[outage, session] < outage.more:
                self.explained[outage, session] += 1
                return True
        self.unexplained[span, session].append(round(at - before, 1))
        return True
