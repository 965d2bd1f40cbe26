"""A pipeline whose one element takes as long as one waits."""

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


def sleep(seconds):
  # Imported here: the main module does not travel to the worker.
  import time
  time.sleep(seconds)
  return seconds


def main():
  with beam.Pipeline(options=PipelineOptions()) as pipeline:
    pipeline | beam.Create([3600]) | beam.Map(sleep)  # pylint: disable=expression-not-assigned


if __name__ == '__main__':
  main()
