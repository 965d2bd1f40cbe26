"""A Dataflow job that one worker would need 24 s for, and that is begun with one; prints what the service tells of its workers."""

import json
import os
import sys
import time
import urllib.request

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


def slowly(number):
  # Loaded with the code on the worker.
  import time  # pylint: disable=redefined-outer-name,reimported
  time.sleep(0.2)
  return number


def main():
  pipeline = beam.Pipeline(options=PipelineOptions(sys.argv[1:]))
  slow = pipeline | beam.Create(range(120)) | beam.Reshuffle() | beam.Map(slowly)
  slow | beam.Map(lambda number: (number % 3, 1)) | beam.CombinePerKey(sum)  # pylint: disable=expression-not-assigned
  result = pipeline.run()
  result.wait_until_finish()
  print('state', result.state)
  path = f'/v1b3/projects/my-project/locations/us-central1/jobs/{result.job_id()}/messages'
  with urllib.request.urlopen(os.environ['DATAFLUME_URL'] + path) as answer:
    events = json.load(answer)['autoscalingEvents']
  for event in events:
    print('workers', event.get('currentNumWorkers', 0), event.get('targetNumWorkers', 0))


if __name__ == '__main__':
  main()
