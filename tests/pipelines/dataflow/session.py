"""Works with what is in its main module: an import, a function and a table. Prints how it ended and the job's messages."""

import collections
import json
import os
import sys
import urllib.request

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

PRICES = {'apple': 3, 'pear': 4}


def cheaper(price):
  return price - 1


def price_of(fruit):
  return collections.Counter({fruit: cheaper(PRICES[fruit])}).most_common()[0]


def main():
  options = PipelineOptions(sys.argv[1:])
  pipeline = beam.Pipeline(options=options)
  _ = (
      pipeline
      | beam.Create(sorted(PRICES))
      | beam.Map(price_of)
      | beam.MapTuple('price {} {}'.format)
      | beam.io.WriteToText('gs://my-bucket/out/prices'))
  result = pipeline.run()
  print('state', result.wait_until_finish())
  place = 'v1b3/projects/my-project/locations/us-central1/jobs'
  with urllib.request.urlopen(f'{os.environ["DATAFLUME_URL"]}/{place}/{result.job_id()}/messages') as answer:
    for message in json.load(answer)['jobMessages']:
      print('message', message['messageImportance'], message['messageText'])


if __name__ == '__main__':
  main()
