"""Counts per key in bundles of their own, by workers that keep state and side inputs from bundle to bundle, and checks the counts."""

import sys

import apache_beam as beam
from apache_beam.coders import VarIntCoder
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

KEYS = 6
EACH = 60


class Count(beam.DoFn):
  """Numbers the elements of each key, by what it remembers of it."""
  COUNT = ReadModifyWriteStateSpec('count', VarIntCoder())

  def process(self, element, names, count=beam.DoFn.StateParam(COUNT)):
    number = (count.read() or 0) + 1
    count.write(number)
    yield names[element[0]], number


def main():
  options = PipelineOptions(sys.argv[1:] + ['--max_cache_memory_usage_mb=100'])
  with beam.Pipeline(options=options) as pipeline:
    names = pipeline | 'names' >> beam.Create([(key, f'key {key}') for key in range(KEYS)])
    counts = (
        pipeline
        | beam.Create([(n % KEYS, n) for n in range(KEYS * EACH)])
        | beam.Reshuffle()
        | beam.ParDo(Count(), beam.pvalue.AsDict(names)))
    assert_that(
        counts,
        equal_to([(f'key {key}', number + 1) for key in range(KEYS) for number in range(EACH)]))


if __name__ == '__main__':
  main()
