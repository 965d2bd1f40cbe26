"""Writes down what becomes of a DoFn: what it is asked for, in this order."""

import argparse

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


class Recorded(beam.DoFn):
  def __init__(self, path, teardown_seconds):
    self.path = path
    self.teardown_seconds = teardown_seconds

  def record(self, text):
    with open(self.path, 'a', encoding='utf-8') as file:
      file.write(text + '\n')

  def setup(self):
    self.record('setup')

  def start_bundle(self):
    self.record('start')

  def process(self, element):
    self.record(f'process {element}')

  def finish_bundle(self):
    self.record('finish')

  def teardown(self):
    # Imported here: the main module does not travel to the worker.
    import time
    time.sleep(self.teardown_seconds)
    self.record('teardown')


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--output', required=True)
  parser.add_argument('--teardown_seconds', type=float, default=1)
  arguments, options = parser.parse_known_args()
  with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
    recorded = Recorded(arguments.output, arguments.teardown_seconds)
    _ = pipeline | beam.Create([1]) | beam.ParDo(recorded)


if __name__ == '__main__':
  main()
