"""Fixtures, and the rule that no test may be skipped."""

import uuid

import pytest

import stage


def pytest_sessionfinish(session, exitstatus):
    """A run with skipped tests fails."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    left_out = [kind for kind in ("skipped", "xfailed", "deselected") if reporter.stats.get(kind)]
    # Not if tests were selected by hand.
    if left_out and not session.config.option.keyword and exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"tests were left out: {', '.join(left_out)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def user():
    """A user that no other test uses; their objects are under `users/<user>/`."""
    return f"u-{uuid.uuid4().hex[:12]}"
