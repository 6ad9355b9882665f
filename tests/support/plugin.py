"""Fixtures shared by tests/scenario, tests/bad_input, tests/crash and tests/leak."""

import os

import pytest

from harness import MAYFLY, Server
from webhooks import Sink


def pytest_configure(config):
    config.addinivalue_line("markers", "smoke: the short run that the sanitizer build does")


def pytest_collection_modifyitems(config, items):
    if not os.path.exists(MAYFLY):
        raise pytest.UsageError(f"{MAYFLY} is not there; build it first (./test --stage build)")


@pytest.fixture(scope="session")
def server():
    """One server for all tests that do not break it; checked for leftovers at the end."""
    s = Server().start()
    try:
        yield s
        assert s.stop() == 0, s.log()
    finally:
        s.close()


@pytest.fixture
def make_server():
    """Makes servers of a test's own: make_server(config=..., args=...), started."""
    made = []

    def make(start=True, **options):
        s = Server(**options)
        made.append(s)
        return s.start() if start else s

    yield make
    for s in reversed(made):
        s.close()


@pytest.fixture
def sink():
    """A web address that takes webhooks."""
    made = Sink()
    yield made
    made.close()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    """A failure shows the end of the server's own log."""
    outcome = yield
    report = outcome.get_result()
    if report.when == "call" and report.failed and "server" in getattr(item, "funcargs", {}):
        report.sections.append(("the server's log", item.funcargs["server"].log()))
