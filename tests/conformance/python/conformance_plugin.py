"""Lets a program choose the tests, limits their time, and tells it about them as they run, one JSON object a line."""

import json
import os
import signal
import sys
from pathlib import Path

import pytest
from apache_beam.testing.test_pipeline import TestPipeline

LONGEST_MESSAGE = 4000

_calls = {}

# In suites in which a test may run none, or on a runner of its own choice.
_sent_pipelines = None


class OutOfTime(BaseException):
  """The test took longer than its limit. Not an Exception, so that no test takes it for one that it expects."""


def _name(nodeid):
  file, *names = nodeid.split('::')
  if 'CONFORMANCE_LOCAL_PIPELINES' in os.environ:
    # Some of that suite's files have the same name.
    folders = Path(file).with_suffix('').parts
    return '.'.join([*folders[folders.index('apache_beam') + 1 :], *names])
  # Our own files are one a suite; the SDK's are several.
  module = [] if file.endswith('endpoint_test.py') else [Path(file).stem]
  return '.'.join(module + names)


def _tell(**event):
  with open(os.environ['CONFORMANCE_EVENTS'], 'a', encoding='utf-8') as events:
    events.write(json.dumps(event) + '\n')


def pytest_configure(config):
  global _sent_pipelines
  config.addinivalue_line('markers', 'it_validatesrunner: a test for any runner')
  # What pipelines of the SDK's own tests run on.
  options = os.environ.get('CONFORMANCE_OPTIONS', '').split()
  TestPipeline.pytest_test_pipeline_options = ' '.join(options)
  if 'CONFORMANCE_ALL_PIPELINES' in os.environ:
    # Other pipelines of tests take their options from where a program's do.
    sys.argv[1:] = options
  if 'CONFORMANCE_COUNT_PIPELINES' in os.environ:
    from sent_pipelines import SentPipelines

    _sent_pipelines = SentPipelines()
  if 'CONFORMANCE_LOCAL_PIPELINES' in os.environ:
    from sent_pipelines import redirect

    redirect(options)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items):
  # Last: by then only those with the wanted mark are left.
  if 'CONFORMANCE_LIST' in os.environ:
    with open(os.environ['CONFORMANCE_LIST'], 'w', encoding='utf-8') as names:
      names.writelines(_name(item.nodeid) + '\n' for item in items)
    items.clear()
    return
  with open(os.environ['CONFORMANCE_TESTS'], encoding='utf-8') as chosen:
    wanted = set(chosen.read().split())
  items[:] = [item for item in items if _name(item.nodeid) in wanted]


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_call():
  limit = float(os.environ['CONFORMANCE_LIMIT_SECONDS'])

  def out_of_time(unused_signal, unused_frame):
    raise OutOfTime(f'not over after {limit:.0f} s')

  signal.signal(signal.SIGALRM, out_of_time)
  # Repeats, because what is interrupted first may be a clean-up that swallows it.
  signal.setitimer(signal.ITIMER_REAL, limit, 1)
  try:
    yield
  finally:
    signal.setitimer(signal.ITIMER_REAL, 0)


def pytest_runtest_logstart(nodeid):
  if _sent_pipelines:
    _sent_pipelines.sent = 0
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
  if _sent_pipelines and _sent_pipelines.sent == 0 and outcome == 'passed':
    outcome = 'no_pipeline'
  _tell(event='end', test=_name(nodeid), outcome=outcome, seconds=round(seconds, 3), message=message)
