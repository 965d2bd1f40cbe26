"""Runs random pipelines on a job service and on Beam's own runners for Python, and compares what came out: on FnApiRunner,
and those with a TestStream, which it does not know, on the BundleBasedDirectRunner.

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
import explained
import generate

# Seconds that a pipeline may take; some never end on the reference.
REFERENCE_LIMIT = 10
LIMIT = 60


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
  reference = BundleBasedDirectRunner if description['source']['kind'] == 'stream' else FnApiRunner
  expected = run(description, 'reference', reference(), [], REFERENCE_LIMIT)
  options = ['--runner=PortableRunner', f'--job_endpoint={endpoint}', '--environment_type=LOOPBACK']
  found = run(description, 'dataflume', None, options, LIMIT)
  if expected == found:
    return 'same, nothing came out' if not expected else 'same'
  reason = explained.difference(description, expected, found)
  if not reason and reference is FnApiRunner:
    second = run(description, 'second', BundleBasedDirectRunner(), [], REFERENCE_LIMIT)
    reason = explained.second_opinion(description, second, found)
  if reason:
    return f'explained: {reason}'
  print(f'DIFFERENT: {description}')
  show('  reference only', expected, found)
  show('  dataflume only', found, expected)
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
  except Exception:  # pylint: disable=broad-except
    return collections.Counter(['error: ' + traceback.format_exc()[-2000:]])
  finally:
    signal.alarm(0)
  return collections.Counter(map(explained.normal, dofns.Seen.results.pop(key, [])))


def expired(_number, _frame):
  raise TimeoutError('no result in time')


def show(label, these, those):
  for seen, count in list(these.items())[:12]:
    if those.get(seen, 0) != count:
      print(f'{label}: {count} x {seen}')


if __name__ == '__main__':
  # gRPC for Python now and then deadlocks when the interpreter is torn down.
  status = main()
  sys.stdout.flush()
  os._exit(status)
