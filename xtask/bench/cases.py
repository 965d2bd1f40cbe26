"""One benchmark case on one runner: prints {"seconds": ...} for the whole job as the SDK sees it.

    cases.py CASE [--endpoint HOST:PORT | --fn-api-runner] [--workers N]
"""

import argparse
import json
import os
import random
import tempfile
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
    'tiny': (tiny, 10),
    'wordcount': (wordcount, 4_000_000),
    'group_by_key': (group_by_key, 1_000_000),
    'combine': (combine, 2_000_000),
    'side_input': (side_input, 1_000_000),
}


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('case', choices=CASES)
  parser.add_argument('--endpoint')
  parser.add_argument('--fn-api-runner', action='store_true')
  parser.add_argument('--environment-type', default='LOOPBACK')
  parser.add_argument('--scale', type=float, default=1.0)
  args = parser.parse_args()
  options = []
  if args.fn_api_runner:
    options += ['--runner=FnApiRunner']
  else:
    options += [
        '--runner=PortableRunner',
        '--job_endpoint=' + args.endpoint,
        '--environment_type=' + args.environment_type,
    ]
  build, size = CASES[args.case]
  with tempfile.TemporaryDirectory() as folder:
    pipeline = beam.Pipeline(options=PipelineOptions(options, save_main_session=True))
    build(pipeline, max(1, int(size * args.scale)) if args.case != 'tiny' else size, folder)
    started = time.monotonic()
    pipeline.run().wait_until_finish()
    print(json.dumps({'seconds': time.monotonic() - started}))


if __name__ == '__main__':
  main()
