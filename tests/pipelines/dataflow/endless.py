"""Submits a streaming job that ends only when it is asked to, and prints its id.

    endless.py [pipeline options]
"""

import sys

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.periodicsequence import PeriodicImpulse


def main():
  pipeline = beam.Pipeline(options=PipelineOptions(sys.argv[1:], streaming=True))
  _ = pipeline | PeriodicImpulse(fire_interval=0.2) | 'Seen' >> beam.Map(float)
  print(pipeline.run().job_id())


if __name__ == '__main__':
  main()
