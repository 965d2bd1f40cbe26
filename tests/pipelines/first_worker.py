"""Tells its worker's id, and what that has of the list of packages that were installed where the pipeline was submitted."""

import argparse
import os

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


def tell(_):
  staged = os.path.join(os.environ['SEMI_PERSISTENT_DIRECTORY'], 'staged')
  with open(os.path.join(staged, 'submission_environment_dependencies.txt')) as file:
    has_sdk = 'apache-beam' in file.read()
  return f"{os.environ['WORKER_ID']}: {'the SDK is' if has_sdk else 'it is not'} on the list"


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--output', required=True)
  arguments, options = parser.parse_known_args()
  with beam.Pipeline(options=PipelineOptions(options)) as pipeline:
    _ = (
        pipeline
        | beam.Create([0])
        | beam.Map(tell)
        | beam.io.WriteToText(arguments.output, shard_name_template=''))


if __name__ == '__main__':
  main()
