"""Counts the words of a text that travels within the pipeline, and checks the counts within it: for workers that share no files."""

import argparse
import collections
import re

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.util import assert_that
from apache_beam.testing.util import equal_to

WORD = r"[A-Za-z']+"


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--input', required=True, help='file to read here, before the pipeline is submitted')
  args, beam_args = parser.parse_known_args()
  with open(args.input, encoding='utf-8') as text:
    lines = text.read().splitlines()
  expected = collections.Counter(word for line in lines for word in re.findall(WORD, line))

  with beam.Pipeline(options=PipelineOptions(beam_args)) as pipeline:
    counts = (
        pipeline
        | 'Lines' >> beam.Create(lines)
        | 'Split' >> beam.Regex.find_all(WORD)
        | 'Words' >> beam.FlatMap(lambda found: found)
        | 'Count' >> beam.combiners.Count.PerElement())
    assert_that(counts, equal_to(list(expected.items())))


if __name__ == '__main__':
  main()
