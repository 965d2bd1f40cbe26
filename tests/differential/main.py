"""Runs random pipelines on a job service and on Beam's own runners for Python, and compares what came out: on FnApiRunner, also with
what `expected` works out; and those with a TestStream, which it does not know, on the BundleBasedDirectRunner.

    main.py --endpoint HOST:PORT [--count N] [--first SEED]

Ends with an error, and prints the pipeline, if a result differs for a reason that `explained` doesn't know.
"""

import argparse
import collections
import logging
import os
import signal
import sys
import time
import traceback

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.direct.direct_runner import BundleBasedDirectRunner
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

import build
import dofns
import expected
import explained
import generate

# Seconds that a pipeline may take; some never end on the reference.
REFERENCE_LIMIT = 10
LIMIT = 240
# What BundleBasedDirectRunner makes of "Monitor task detected a pipeline stall".
STALL = 'exceptions must derive from BaseException'


class NoResultInTime(Exception):
  """No TimeoutError: the SDK would take it for that of a future of its own, and end the process."""


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--endpoint', required=True)
  parser.add_argument('--count', type=int, default=100)
  parser.add_argument('--first', type=int, default=0)
  args = parser.parse_args()
  logging.getLogger().setLevel(logging.ERROR)
  build.want_no_empty_panes()
  outcomes = collections.Counter()
  began = time.monotonic()
  for seed in range(args.first, args.first + args.count):
    outcome = compare(generate.pipeline(seed), args.endpoint)
    outcomes[outcome] += 1
  for outcome, count in sorted(outcomes.items()):
    print(f'{count:6} {outcome}')
  differed = outcomes['DIFFERENT']
  print(f'{args.count} pipelines, {differed} different, {time.monotonic() - began:.0f} s')
  return 1 if differed else 0


def compare(description, endpoint):
  streams = description['source']['kind'] == 'stream'
  reference = BundleBasedDirectRunner() if streams else FnApiRunner()
  options = ['--runner=PortableRunner', f'--job_endpoint={endpoint}', '--environment_type=LOOPBACK']
  found = run(description, 'dataflume', None, options, LIMIT)
  theirs = run(description, 'reference', reference, [], REFERENCE_LIMIT)
  if streams:
    reason = explained.of_stream(description, theirs, found)
  else:
    worked_out = expected.expected(description)
    reason = explained.of_bounded(worked_out, theirs, found)
  if reason == explained.WORKED_OUT_DIFFERENTLY:
    print(f'worked out differently: {description}')
    show('  both', found, worked_out)
    show('  worked out', worked_out, found)
  if reason:
    return reason
  print(f'DIFFERENT: {description}')
  show('  reference only', theirs, found)
  show('  dataflume only', found, theirs)
  if not streams:
    show('  worked out only', worked_out, found)
  sys.stdout.flush()
  return 'DIFFERENT'


def run(description, name, runner, options, limit):
  """What came out and how often, or what went wrong."""
  key = (description['seed'], name)
  if description['source']['kind'] == 'stream':
    options = options + ['--streaming', '--allow_unsafe_triggers']
  signal.signal(signal.SIGALRM, expired)
  signal.alarm(limit)
  try:
    with beam.Pipeline(runner=runner, options=PipelineOptions(options)) as pipeline:
      build.build(pipeline, description, key)
  except Exception as error:  # pylint: disable=broad-except
    if STALL in str(error):
      return explained.Stalled(map(explained.normal, dofns.Seen.results.pop(key, [])))
    return collections.Counter(['error: ' + traceback.format_exc()[-2000:]])
  finally:
    signal.alarm(0)
  return collections.Counter(map(explained.normal, dofns.Seen.results.pop(key, [])))


def expired(_number, _frame):
  raise NoResultInTime()


def show(label, these, those):
  differing = [(seen, count) for seen, count in these.items() if those.get(seen, 0) != count]
  for seen, count in differing[:12]:
    print(f'{label}: {count} x {seen}')


if __name__ == '__main__':
  # gRPC for Python now and then deadlocks when the interpreter is torn down.
  status = main()
  sys.stdout.flush()
  os._exit(status)
