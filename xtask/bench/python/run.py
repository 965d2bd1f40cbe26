"""Runs one case on one runner, and prints as JSON: "seconds" for the whole job as the SDK sees it, "run_seconds" for
what remains of it once the runner was told to run, and "latencies" of panes in seconds, where the case has them.

    run.py --case NAME --size N --folder DIR [--endpoint HOST:PORT | --runner FnApiRunner]
"""

import argparse
import json
import os
import time

import apache_beam as beam
from apache_beam.internal.cloudpickle import cloudpickle
from apache_beam.options.pipeline_options import PipelineOptions

import cases
from cases import CASES

# As if it were the main module: workers get what they need of it with the pipeline.
cloudpickle.register_pickle_by_value(cases)


def latencies(folder):
  """The median and the 99th percentile."""
  path = os.path.join(folder, 'latencies')
  if not os.path.exists(path):
    return None
  with open(path) as file:
    values = sorted(map(float, file))
  return [values[int(len(values) * share)] for share in (0.5, 0.99)]


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--case', choices=CASES, required=True)
  parser.add_argument('--size', type=int, required=True)
  parser.add_argument('--folder', required=True)
  parser.add_argument('--runner', default='PortableRunner')
  parser.add_argument('--endpoint')
  parser.add_argument('--environment_type', default='LOOPBACK')
  parser.add_argument('--experiments', action='append', default=[])
  args = parser.parse_args()
  options = ['--runner=' + args.runner]
  options += ['--experiments=' + experiment for experiment in args.experiments]
  if args.endpoint:
    options += [
        '--job_endpoint=' + args.endpoint,
        '--environment_type=' + args.environment_type,
    ]
  if args.case == 'streaming':
    options.append('--streaming')
  pipeline = beam.Pipeline(options=PipelineOptions(options))
  CASES[args.case](pipeline, args.size, args.folder)
  started = time.monotonic()
  result = pipeline.run()
  running = time.monotonic()
  result.wait_until_finish()
  ended = time.monotonic()
  # An in-process runner has run the job when run() returns.
  in_process = args.endpoint is None
  print(json.dumps({
      'seconds': ended - started,
      'run_seconds': None if in_process else ended - running,
      'latencies': latencies(args.folder),
  }))


if __name__ == '__main__':
  main()
