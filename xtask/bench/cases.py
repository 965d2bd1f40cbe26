"""One benchmark case on one runner: prints {"seconds": ...} for the whole job as the SDK sees it, and
"run_seconds" for what remains of it once the runner was told to run.

    cases.py --case NAME --size N --folder DIR [--endpoint HOST:PORT | --runner FnApiRunner]
"""

import argparse
import json
import os
import random
import time

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

WORDS = 'the quick brown fox jumps over a lazy dog while rain falls on every roof in town'.split()


def tiny(p, size, folder):
  _ = p | beam.Create(range(size)) | beam.Map(lambda x: x + 1)


def wordcount(p, size, folder):
  path = os.path.join(folder, 'text')
  if not os.path.exists(path):
    source = random.Random(1)
    with open(path, 'w') as out:
      written = 0
      while written < size:
        line = ' '.join(source.choice(WORDS) + str(source.randrange(500)) for _ in range(12))
        written += out.write(line + '\n')
  _ = (
      p
      | beam.io.ReadFromText(path)
      | beam.FlatMap(str.split)
      | beam.combiners.Count.PerElement()
      | beam.MapTuple(lambda word, count: '%s %d' % (word, count))
      | beam.io.WriteToText(os.path.join(folder, 'counts')))


def _keyed(seed, shards, size, keys):
  source = random.Random(seed)
  for _ in range(size // shards):
    yield source.randrange(keys), b'x' * 100


def group_by_key(p, size, folder):
  shards = 20
  _ = (
      p
      | beam.Create(range(shards))
      | beam.Reshuffle()
      | beam.FlatMap(_keyed, shards, size, size // 10)
      | beam.GroupByKey()
      | beam.MapTuple(lambda key, values: sum(1 for _ in values)))


def combine(p, size, folder):
  shards = 20
  _ = (
      p
      | beam.Create(range(shards))
      | beam.Reshuffle()
      | beam.FlatMap(lambda seed: ((n % 1000, n) for n in range(size // shards)))
      | beam.CombinePerKey(sum))


def side_input(p, size, folder):
  shards = 20
  table = p | 'table' >> beam.Create([(n, str(n)) for n in range(10_000)])
  _ = (
      p
      | beam.Create(range(shards))
      | beam.Reshuffle()
      | beam.FlatMap(lambda seed: range(size // shards))
      | beam.Map(lambda n, names: names[n % 10_000], beam.pvalue.AsDict(table)))


CASES = {
    'tiny': tiny,
    'wordcount': wordcount,
    'group_by_key': group_by_key,
    'combine': combine,
    'side_input': side_input,
}


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--case', choices=CASES, required=True)
  parser.add_argument('--size', type=int, required=True)
  parser.add_argument('--folder', required=True)
  parser.add_argument('--runner', default='PortableRunner')
  parser.add_argument('--endpoint')
  parser.add_argument('--environment_type', default='LOOPBACK')
  args = parser.parse_args()
  options = ['--runner=' + args.runner]
  if args.endpoint:
    options += [
        '--job_endpoint=' + args.endpoint,
        '--environment_type=' + args.environment_type,
    ]
  pipeline = beam.Pipeline(options=PipelineOptions(options, save_main_session=True))
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
  }))


if __name__ == '__main__':
  main()
