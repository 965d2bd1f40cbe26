"""Lets a program choose the tests and tells it about them as they run, one JSON object a line."""

import json
import os

LONGEST_MESSAGE = 4000

_calls = {}


def _name(nodeid):
  return '.'.join(nodeid.split('::')[1:])


def _tell(**event):
  with open(os.environ['CONFORMANCE_EVENTS'], 'a', encoding='utf-8') as events:
    events.write(json.dumps(event) + '\n')


def pytest_collection_modifyitems(items):
  if 'CONFORMANCE_LIST' in os.environ:
    with open(os.environ['CONFORMANCE_LIST'], 'w', encoding='utf-8') as names:
      names.writelines(_name(item.nodeid) + '\n' for item in items)
    items.clear()
    return
  with open(os.environ['CONFORMANCE_TESTS'], encoding='utf-8') as chosen:
    wanted = set(chosen.read().split())
  items[:] = [item for item in items if _name(item.nodeid) in wanted]


def pytest_runtest_logstart(nodeid):
  _tell(event='start', test=_name(nodeid))


def pytest_runtest_logreport(report):
  # One report each for set-up, call and tear-down: the first that isn't a success says how the test ended.
  seconds, outcome, message = _calls.get(report.nodeid, (0.0, 'passed', ''))
  if outcome == 'passed' and report.outcome != 'passed':
    outcome = report.outcome
    message = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longreprtext
    if 'OutOfTime: ' in message:
      outcome = 'timed_out'
  _calls[report.nodeid] = (seconds + report.duration, outcome, message[-LONGEST_MESSAGE:])


def pytest_runtest_logfinish(nodeid):
  seconds, outcome, message = _calls.pop(nodeid)
  _tell(event='end', test=_name(nodeid), outcome=outcome, seconds=round(seconds, 3), message=message)
