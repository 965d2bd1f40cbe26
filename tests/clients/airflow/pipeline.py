"""A pipeline as Airflow starts them.

    pipeline.py --kind=batch|failing|endless [pipeline options]
"""

import argparse
import logging

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.periodicsequence import PeriodicImpulse


def double(element):
  beam.metrics.Metrics.counter('airflow', 'doubled').inc()
  return 2 * element


def throw(element):
  raise ValueError(f'not {element}')


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--kind', required=True)
  arguments, rest = parser.parse_known_args()
  endless = arguments.kind == 'endless'
  pipeline = beam.Pipeline(options=PipelineOptions(rest, streaming=endless))
  source = PeriodicImpulse(fire_interval=0.5) if endless else beam.Create([1, 2, 3])
  _ = pipeline | source | beam.Map(throw if arguments.kind == 'failing' else double)
  pipeline.run()


if __name__ == '__main__':
  # Airflow reads the job's id out of the SDK's log.
  logging.getLogger().setLevel(logging.INFO)
  main()
