"""A Dataflow job of which one element needs a gigabyte; prints how it ended, and what it said of memory."""

import json
import os
import sys
import urllib.request

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions


def take(mib):
  # Loaded with the code on the worker.
  import time  # pylint: disable=redefined-outer-name,reimported
  taken = b'x' * (mib << 20)
  # Whoever looks has to look while it is there.
  time.sleep(5 if mib > 100 else 0)
  return len(taken)


def main():
  pipeline = beam.Pipeline(options=PipelineOptions(sys.argv[1:]))
  pipeline | beam.Create([1, 1024, 2]) | beam.Map(take)  # pylint: disable=expression-not-assigned
  result = pipeline.run()
  try:
    result.wait_until_finish()
  except Exception as error:  # pylint: disable=broad-exception-caught
    print('raised', type(error).__name__)
  path = f'/v1b3/projects/my-project/locations/us-central1/jobs/{result.job_id()}'
  with urllib.request.urlopen(os.environ['DATAFLUME_URL'] + path) as answer:
    print('state', json.load(answer)['currentState'])
  with urllib.request.urlopen(os.environ['DATAFLUME_URL'] + path + '/messages') as answer:
    for message in json.load(answer)['jobMessages']:
      if 'out of memory' in message['messageText']:
        print('message', message['messageImportance'], message['messageText'].replace('\n', ' '))


if __name__ == '__main__':
  main()
