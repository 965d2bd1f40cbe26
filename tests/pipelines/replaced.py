"""Writes the version of the package objsize, which the SDK itself imports, that its worker has."""

import argparse

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


def version(_):
  import objsize

  return getattr(objsize, '__version__', 'the version that was there')


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--output', required=True)
  arguments, options = parser.parse_known_args()
  with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
    _ = (
        pipeline
        | beam.Create([0])
        | beam.Map(version)
        | beam.io.WriteToText(arguments.output, shard_name_template=''))


if __name__ == '__main__':
  main()
