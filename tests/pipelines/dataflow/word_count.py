"""A word count as it is written for Dataflow, with counters that are read back.

    word_count.py --input=gs://... --output=gs://... [pipeline options]
"""

import argparse
import re
import sys
import time

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.metrics.metric import MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions


class Split(beam.DoFn):
  def __init__(self):
    self.words = Metrics.counter('wordcount', 'words')
    self.lengths = Metrics.distribution('wordcount', 'lengths')

  def process(self, line):
    for word in re.findall(r"[A-Za-z']+", line):
      self.words.inc()
      self.lengths.update(len(word))
      yield word


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--input', required=True)
  parser.add_argument('--output', required=True)
  arguments, rest = parser.parse_known_args()
  pipeline = beam.Pipeline(options=PipelineOptions(rest))
  words = (
      pipeline
      | 'Read' >> beam.io.ReadFromText(arguments.input)
      | 'Split' >> beam.ParDo(Split()))
  (
      words
      | 'Count' >> beam.combiners.Count.PerElement()
      | 'Format' >> beam.MapTuple(lambda word, count: f'{word}: {count}')
      | 'Write' >> beam.io.WriteToText(arguments.output))
  start = time.monotonic()
  result = pipeline.run()
  state = result.wait_until_finish()
  print(f'state {state}')
  print('watched' if 'sitecustomize' in sys.modules and hasattr(sys.modules['sitecustomize'], 'watch') else '')
  print(f'seconds {time.monotonic() - start:.1f}')
  metrics = result.metrics()
  for counter in metrics.query(MetricsFilter().with_name('words'))['counters']:
    print(
        f'counter {counter.key.step} {counter.key.metric.namespace} '
        f'{counter.attempted} {counter.committed}')
  for found in metrics.query(MetricsFilter().with_name('lengths'))['distributions']:
    print(f'distribution {found.committed.count} {found.committed.min}')
  names = {found.key.metric.name for found in metrics.all_metrics()}
  print(f'service {sorted(names - {"words", "lengths"})}')


if __name__ == '__main__':
  main()
