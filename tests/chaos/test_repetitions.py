"""python3 -m unittest discover tests/chaos"""

import unittest

from repetitions import Outage, Repetitions, outages_of

SESSION, SPAN = "backend.album-1", ("calm", 0, 1000, 0, None)


def unexplained(times, outages=()):
    """The repetitions among calls for one session at these times."""
    repetitions = Repetitions(outages)
    for at in times:
        repetitions.add(at, SESSION, SPAN)
    return repetitions.unexplained.get((SPAN, SESSION), [])


class RepetitionsTest(unittest.TestCase):
    def test_a_second_call_within_170_seconds_is_a_repetition_and_a_refresh_after_three_minutes_is_none(self):
        self.assertEqual(unexplained([0, 169.9]), [169.9])
        self.assertEqual(unexplained([0, 180, 360]), [])

    def test_sessions_are_judged_apart(self):
        repetitions = Repetitions([])
        self.assertEqual([repetitions.add(at, session, SPAN) for at, session in ((0, "a"), (1, "b"), (2, "a"))],
                         [False, False, True])
        self.assertEqual(repetitions.unexplained, {(SPAN, "a"): [2]})

    def test_a_redis_that_was_away_or_lost_its_data_between_two_calls_explains_the_second(self):
        redis_killed = Outage(20, 30, 2)
        self.assertEqual(unexplained([10, 100], [redis_killed]), [])
        self.assertEqual(unexplained([25, 26], [redis_killed]), [])
        # The first began while Redis was away.
        self.assertEqual(unexplained([34, 100], [redis_killed]), [])
        self.assertEqual(unexplained([36, 100], [redis_killed]), [64])
        self.assertEqual(unexplained([10, 18], [redis_killed]), [8])

    def test_an_outage_explains_one_call_for_each_replica_and_no_more(self):
        self.assertEqual(unexplained([21, 22, 23, 24], [Outage(20, 30, 2)]), [1])
        self.assertEqual(unexplained([21, 22, 23, 24], [Outage(20, 30, 2), Outage(23.9, 24, 1)]), [])

    def test_what_a_replica_says_of_an_outage_of_all_explains_nothing_more(self):
        phase, same, other = Outage(20, 30, 2), Outage(21, 31, 1), Outage(60, 61, 1)
        self.assertEqual(outages_of([phase], [same, other]), [phase, other])


if __name__ == "__main__":
    unittest.main()
