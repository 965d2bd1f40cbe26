"""Parses the API's answers with Google's own types, where a field that they do not know is an error.

    strict.py

Runs one job to its end and lets another fail, and looks at everything that can be asked about them.
"""

import json
import os
import urllib.error
import urllib.request

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from google.cloud import dataflow_v1beta3 as dataflow
from google.protobuf import json_format

PROJECT = 'my-project'
LOCATION = 'us-central1'
ROOT = os.environ['DATAFLUME_URL'] + '/v1b3/projects/' + PROJECT


def get(path):
  with urllib.request.urlopen(ROOT + path) as answer:
    return json.load(answer)


def parse(answer, message):
  """Fails on what the type does not know."""
  json_format.ParseDict(answer, message.pb(message()), ignore_unknown_fields=False)


def options(name, *more):
  return PipelineOptions([
      '--runner=DataflowRunner',
      '--project=' + PROJECT,
      '--region=' + LOCATION,
      '--temp_location=gs://strict/temp',
      '--job_name=' + name,
      '--labels=team=weather',
      '--num_workers=1',
      *more,
  ])


def run(name, function):
  counter = beam.metrics.Metrics.counter('strict', 'elements')
  lengths = beam.metrics.Metrics.distribution('strict', 'lengths')

  def count(element):
    counter.inc()
    lengths.update(element)
    return function(element)

  pipeline = beam.Pipeline(options=options(name))
  _ = (
      pipeline | beam.Create([1, 2, 3]) | beam.Map(count)
      | beam.Map(lambda element: (element % 2, element)) | beam.GroupByKey())
  result = pipeline.run()
  try:
    result.wait_until_finish()
  except Exception:  # One of them is meant to fail.
    pass
  return result.job_id()


def check(job_id, ended, of_stages):
  job = '/locations/' + LOCATION + '/jobs/' + job_id
  for view in ('JOB_VIEW_SUMMARY', 'JOB_VIEW_ALL', 'JOB_VIEW_DESCRIPTION'):
    parse(get(job + '?view=' + view), dataflow.Job)
  messages = get(job + '/messages')
  parse(messages, dataflow.ListJobMessagesResponse)
  metrics = get(job + '/metrics')
  parse(metrics, dataflow.JobMetrics)
  details = get(job + '/executionDetails')
  parse(details, dataflow.JobExecutionDetails)
  for stage in details['stages']:
    path = job + '/stages/' + stage['stageId'] + '/executionDetails'
    parse(get(path), dataflow.StageExecutionDetails)
    if stage['state'] == 'EXECUTION_STATE_SUCCEEDED':
      assert stage['startTime'] <= stage['endTime'] and stage['progress']['currentProgress'] == 1, stage
  assert messages['jobMessages'] and metrics['metrics'] and details['stages']
  assert get(job)['currentState'] == ended
  assert of_stages <= {stage['state'] for stage in details['stages']}, details


def check_error():
  try:
    get('/locations/' + LOCATION + '/jobs/none')
  except urllib.error.HTTPError as error:
    body = json.load(error)['error']
    assert (error.code, body['status']) == (404, 'NOT_FOUND'), body
  else:
    raise AssertionError('a job that is not there was found')


def main():
  good = run('good', lambda element: element)
  check(good, 'JOB_STATE_DONE', {'EXECUTION_STATE_SUCCEEDED'})
  bad = run('bad', lambda element: 1 // 0)
  check(bad, 'JOB_STATE_FAILED', {'EXECUTION_STATE_SUCCEEDED', 'EXECUTION_STATE_FAILED', 'EXECUTION_STATE_NOT_STARTED'})
  for path in ('/locations/' + LOCATION + '/jobs', '/jobs', '/jobs:aggregated'):
    for query in ('', '?view=JOB_VIEW_ALL', '?pageSize=1'):
      parse(get(path + query), dataflow.ListJobsResponse)
  check_error()
  print('strict: all parsed')


if __name__ == '__main__':
  main()
