"""Fixtures, and the rule that no test may be left out."""

import uuid

import pytest

import stage


def pytest_sessionfinish(session, exitstatus):
    """A run in which anything was left out has not passed."""
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    left_out = [kind for kind in ("skipped", "xfailed", "deselected") if reporter.stats.get(kind)]
    # Who chooses tests by hand knows what was left out.
    if left_out and not session.config.option.keyword and exitstatus == pytest.ExitCode.OK:
        reporter.write_line(f"tests were left out: {', '.join(left_out)}")
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


@pytest.fixture
def user():
    """A user whom no other test knows; their objects lie under `users/<user>/`."""
    return f"u-{uuid.uuid4().hex[:12]}"
