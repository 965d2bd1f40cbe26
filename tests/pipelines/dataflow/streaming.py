"""A streaming job that writes fixed windows to a bucket, and is drained or cancelled while it runs.

    streaming.py drain|cancel [pipeline options]
"""

import json
import os
import sys
import time
import urllib.request

import apache_beam as beam
from apache_beam.io.filesystems import FileSystems
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.transforms.periodicsequence import PeriodicImpulse

OUTPUT = 'gs://streaming/out/'


class Write(beam.DoFn):
  """One object for each window, with what is in it."""
  def process(self, grouped, window=beam.DoFn.WindowParam):
    _, elements = grouped
    name = f'{OUTPUT}{window.start.micros}'
    with FileSystems.create(name) as file:
      file.write(''.join(f'{element}\n' for element in elements).encode())


def written():
  matches = FileSystems.match([OUTPUT + '*'])[0].metadata_list
  lines = []
  for match in matches:
    with FileSystems.open(match.path) as file:
      lines.extend(file.read().decode().split())
  return lines


def get(result, what):
  path = f'/v1b3/projects/my-project/locations/us-central1/jobs/{result.job_id()}/{what}'
  with urllib.request.urlopen(os.environ['DATAFLUME_URL'] + path) as answer:
    return json.load(answer)


def watermarks(result):
  """How many seconds ago the watermarks are, as the service's metrics tell."""
  return [
      time.time() - metric['scalar'] / 1e6 for metric in get(result, 'metrics')['metrics']
      if metric['name']['name'].endswith('windmill-data-watermark') and metric['scalar'] > 0]


def at_work(result):
  """The workers that have something of a stage in hand; looked at until there are any."""
  deadline = time.monotonic() + 60
  while time.monotonic() < deadline:
    for stage in get(result, 'executionDetails')['stages']:
      details = get(result, f'stages/{stage["stageId"]}/executionDetails')
      # What has no worker's name is done by the emulator itself.
      names = {worker['workerName'] for worker in details['workers'] if worker['workItems']} - {'runner'}
      if names:
        return sorted(names)
  return []


def main():
  how, *rest = sys.argv[1:]
  pipeline = beam.Pipeline(options=PipelineOptions(rest, streaming=True))
  taken = beam.metrics.Metrics.counter('streaming', 'taken')

  def take(element):
    taken.inc()
    return (0, f'{float(element):.3f}')

  _ = (
      pipeline
      | PeriodicImpulse(fire_interval=0.2)
      | beam.Map(take)
      | beam.WindowInto(beam.window.FixedWindows(1))
      | beam.GroupByKey()
      | beam.ParDo(Write()))
  result = pipeline.run()
  deadline = time.monotonic() + 60
  while len(written()) < 5 and time.monotonic() < deadline:
    time.sleep(0.2)
  ages = watermarks(result)
  names = at_work(result)
  running = [
      stage for stage in get(result, 'executionDetails')['stages']
      if stage['state'] == 'EXECUTION_STATE_RUNNING']
  if how == 'drain':
    client = result._runner.dataflow_client
    client.modify_job_state(result.job_id(), 'JOB_STATE_DRAINING')
  else:
    result.cancel()
  try:
    result.wait_until_finish()
  except Exception as error:  # Only DONE is no exception to the SDK.
    print(f'ended {str(error).splitlines()[0]}')
  counters = result.metrics().query()['counters']
  count, = [found.committed for found in counters if found.key.metric.name == 'taken']
  lines = written()
  print(f'state {result.state} taken {count} written {len(lines)} different {len(set(lines))}')
  print(f'watermarks {len(ages)} within {max(ages):.0f} s stages {len(running)}')
  print('at work', *names)


if __name__ == '__main__':
  main()
