"""What pipelines have in common that write one line: what a function or a DoFn makes of a single element, in a worker."""

import argparse

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


def write(transform):
  parser = argparse.ArgumentParser()
  parser.add_argument('--output', required=True)
  arguments, options = parser.parse_known_args()
  with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
    _ = (
        pipeline
        | beam.Create([0])
        | transform
        | beam.io.WriteToText(arguments.output, shard_name_template=''))
