"""A Dataflow job of two SDKs: numbers that Java generates, squared by Python.

    generated.py HOST:PORT [pipeline options]

The first argument is where a Java expansion service listens. Prints how the job ended, what it wrote, and the images of its workers.
"""

import json
import os
import sys
import urllib.request

import apache_beam as beam
from apache_beam.io.external.generate_sequence import GenerateSequence
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions

OUTPUT = 'gs://generated/out/squares'


def main():
  service, *rest = sys.argv[1:]
  pipeline = beam.Pipeline(options=PipelineOptions(rest))
  _ = (
      pipeline
      | GenerateSequence(start=1, stop=101, expansion_service=service)
      | beam.Map(lambda number: number * number)
      | beam.CombineGlobally(sum)
      | beam.Map(str)
      | beam.io.WriteToText(OUTPUT))
  result = pipeline.run()
  print('state', result.wait_until_finish())
  for match in FileSystems.match([OUTPUT + '*'])[0].metadata_list:
    with FileSystems.open(match.path) as file:
      print('written', file.read().decode().strip())
  path = f'/v1b3/projects/my-project/locations/us-central1/jobs/{result.job_id()}?view=JOB_VIEW_ALL'
  with urllib.request.urlopen(os.environ['DATAFLUME_URL'] + path) as answer:
    pools = json.load(answer)['environment']['workerPools']
  images = [image['containerImage'] for pool in pools for image in pool.get('sdkHarnessContainerImages', [])]
  print('images', *sorted(images))


if __name__ == '__main__':
  main()
