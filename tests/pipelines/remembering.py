"""Counts, in a variable of a module that all DoFns of a process share, how many elements it has seen."""

import argparse

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


class Count(beam.DoFn):
  """Says how many elements were seen before, and in which process."""

  def process(self, element):
    import json
    import os

    json.seen = getattr(json, 'seen', 0)
    yield f'{json.seen} before in {os.getpid()}'
    json.seen += 1


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--output', required=True)
  arguments, options = parser.parse_known_args()
  with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
    _ = (
        pipeline
        | beam.Create([0])
        | beam.ParDo(Count())
        | beam.io.WriteToText(arguments.output, shard_name_template=''))


if __name__ == '__main__':
  main()
