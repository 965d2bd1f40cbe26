"""A pytest plugin: writes what becomes of each test to the file that DATAFLUME_OUTCOMES names, as lines of JSON."""

import json
import os

_outcomes = {}


def pytest_runtest_logreport(report):
    # The worst of set-up, call and tear-down counts; an expected failure is told as a skip.
    rank = {"passed": 0, "skipped": 1, "failed": 2}
    known = _outcomes.get(report.nodeid, "passed")
    _outcomes[report.nodeid] = max(known, report.outcome, key=rank.__getitem__)


def pytest_sessionfinish():
    with open(os.environ["DATAFLUME_OUTCOMES"], "w") as file:
        for test, outcome in _outcomes.items():
            file.write(json.dumps({"test": test, "outcome": outcome}) + "\n")
