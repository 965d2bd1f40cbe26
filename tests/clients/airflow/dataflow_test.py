"""Airflow's hook and operator for Dataflow, unmodified, against the emulator: jobs are started, watched, cancelled and drained."""

import os
import sys
import uuid

import pytest
from airflow.providers.apache.beam.hooks.beam import BeamHook, BeamRunnerType
from airflow.providers.apache.beam.operators.beam import BeamRunPythonPipelineOperator
from airflow.providers.common.compat.sdk import AirflowException
from airflow.providers.google.cloud.hooks.dataflow import (
    DataflowHook, process_line_and_extract_dataflow_job_id_callback)
from airflow.providers.google.cloud.hooks.gcs import GCSHook
from googleapiclient.errors import HttpError

PIPELINE = os.path.join(os.path.dirname(__file__), 'pipeline.py')
PROJECT = 'my-project'
PLACE = {'location': 'europe-west1', 'project_id': PROJECT}


@pytest.fixture
def hook():
    return DataflowHook(poll_sleep=1, cancel_timeout=50)


def start(kind):
    """Starts a job as Airflow's operators do. Gives its name and id."""
    name, ids = f'airflow-{kind}-{uuid.uuid4().hex[:8]}', []
    BeamHook(runner=BeamRunnerType.DataflowRunner).start_python_pipeline(
        variables={
            'job_name': name,
            'kind': kind,
            'project': PROJECT,
            'region': PLACE['location'],
            'temp_location': 'gs://airflow/temp',
            'labels': {'started-by': 'airflow'},
        },
        py_file=PIPELINE,
        py_options=[],
        py_interpreter=sys.executable,
        process_line_callback=process_line_and_extract_dataflow_job_id_callback(ids.append),
        is_dataflow_job_id_exist_callback=lambda: bool(ids),
    )
    return name, ids[0]


def wait_until_running(name, job_id):
    """For a streaming job, this is what the hook waits for."""
    DataflowHook(poll_sleep=1).wait_for_done(job_name=name, job_id=job_id, **PLACE)


def test_a_batch_job_is_watched_to_its_end(hook):
    name, job_id = start('batch')
    hook.wait_for_done(job_name=name, job_id=job_id, **PLACE)
    job = hook.get_job(job_id=job_id, **PLACE)
    assert (job['name'], job['currentState']) == (name, 'JOB_STATE_DONE')
    assert job['labels'] == {'started-by': 'airflow'}
    assert hook.is_job_done(job_id=job_id, **PLACE)
    assert not hook.is_job_dataflow_running(name=name, **PLACE)


def test_messages_metrics_and_workers_are_read(hook):
    name, job_id = start('batch')
    hook.wait_for_done(job_name=name, job_id=job_id, **PLACE)
    messages = hook.fetch_job_messages_by_id(job_id=job_id, **PLACE)
    texts = [message['messageText'] for message in messages]
    assert 'Workers have started successfully.' in texts
    assert 'Worker pool stopped.' in texts
    metrics = hook.fetch_job_metrics_by_id(job_id=job_id, **PLACE)['metrics']
    doubled = [metric['scalar'] for metric in metrics if metric['name']['name'] == 'doubled']
    assert doubled == [3, 3]
    events = hook.fetch_job_autoscaling_events_by_id(job_id=job_id, **PLACE)
    assert events[-1]['description']['messageText'] == 'Worker pool stopped.'


def test_a_failed_job_is_an_exception(hook):
    name, job_id = start('failing')
    with pytest.raises(AirflowException, match='JOB_STATE_FAILED'):
        hook.wait_for_done(job_name=name, job_id=job_id, **PLACE)
    messages = hook.fetch_job_messages_by_id(job_id=job_id, **PLACE)
    errors = [each for each in messages if each['messageImportance'] == 'JOB_MESSAGE_ERROR']
    assert 'ValueError: not 1' in errors[0]['messageText']


def test_a_job_is_cancelled_by_its_id(hook):
    name, job_id = start('endless')
    wait_until_running(name, job_id)
    assert hook.is_job_dataflow_running(name=name, **PLACE)
    hook.cancel_job(job_id=job_id, **PLACE)
    assert hook.get_job(job_id=job_id, **PLACE)['currentState'] == 'JOB_STATE_CANCELLED'


def test_a_streaming_job_is_drained_by_its_name():
    hook = DataflowHook(poll_sleep=1, cancel_timeout=50, drain_pipeline=True)
    name, job_id = start('endless')
    wait_until_running(name, job_id)
    hook.cancel_job(job_name=name, **PLACE)
    assert hook.get_job(job_id=job_id, **PLACE)['currentState'] == 'JOB_STATE_DRAINED'


def test_jobs_of_another_place_are_not_seen(hook):
    _, job_id = start('batch')
    with pytest.raises(HttpError) as error:
        hook.get_job(job_id=job_id, location='us-east1', project_id=PROJECT)
    assert error.value.status_code == 404


def test_templates_are_refused(hook):
    with pytest.raises(HttpError) as error:
        hook.start_template_dataflow(
            job_name='templated', variables={}, parameters={},
            dataflow_template='gs://airflow/template', **PLACE)
    assert error.value.status_code == 400
    assert 'does not have templates' in error.value.reason


class TaskInstance:
    """What the operator tells about its job."""

    def __init__(self):
        self.told = {}

    def xcom_push(self, key, value, **_):
        self.told[key] = value


def test_the_operator_runs_a_pipeline_out_of_a_bucket(hook):
    GCSHook().upload('airflow', 'code/pipeline.py', filename=PIPELINE)
    operator = BeamRunPythonPipelineOperator(
        task_id='operated',
        py_file='gs://airflow/code/pipeline.py',
        py_interpreter=sys.executable,
        runner=BeamRunnerType.DataflowRunner,
        pipeline_options={'temp_location': 'gs://airflow/temp', 'kind': 'batch'},
        dataflow_config={
            'location': PLACE['location'], 'project_id': PROJECT, 'poll_sleep': 1,
            'wait_until_finished': True},
    )
    instance = TaskInstance()
    operator.execute({'ti': instance, 'task_instance': instance, 'task': operator})
    job = hook.get_job(job_id=instance.told['dataflow_job_id'], **PLACE)
    assert job['currentState'] == 'JOB_STATE_DONE'
    assert 'airflow-version' in job['labels']
