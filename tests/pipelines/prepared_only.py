"""Prepares pipelines: their workers are started at once, are told of their job when it runs, and stopped when nobody runs it."""

import argparse
import queue
from concurrent import futures

import apache_beam as beam
import grpc
from apache_beam.portability.api import (
    beam_fn_api_pb2,
    beam_fn_api_pb2_grpc,
    beam_job_api_pb2,
    beam_job_api_pb2_grpc,
    beam_provision_api_pb2,
    beam_provision_api_pb2_grpc,
    beam_runner_api_pb2,
)
from apache_beam.transforms.environments import ExternalEnvironment

# Longer than a worker waits for its job, on any machine.
PATIENCE_S = 60


class Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
  """Its workers do nothing but ask what they are told of their job."""

  def __init__(self):
    self.started = queue.Queue()
    self.stopped = queue.Queue()

  def StartWorker(self, request, context):
    service = beam_provision_api_pb2_grpc.ProvisionServiceStub(
        grpc.insecure_channel(request.provision_endpoint.url))
    told = service.GetProvisionInfo.future(
        beam_provision_api_pb2.GetProvisionInfoRequest(),
        metadata=[('worker_id', request.worker_id)],
        timeout=PATIENCE_S)
    self.started.put((request.worker_id, told))
    return beam_fn_api_pb2.StartWorkerResponse()

  def StopWorker(self, request, context):
    self.stopped.put(request.worker_id)
    return beam_fn_api_pb2.StopWorkerResponse()


def pipeline_proto(pool_url, dependencies):
  pipeline = beam.Pipeline()
  _ = pipeline | beam.Create([1]) | beam.Map(print)
  proto = pipeline.to_runner_api(default_environment=ExternalEnvironment(pool_url))
  for environment in proto.components.environments.values():
    del environment.dependencies[:]
    environment.dependencies.extend(dependencies)
  return proto


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--job_endpoint', required=True)
  arguments, _ = parser.parse_known_args()
  pool = Pool()
  server = grpc.server(futures.ThreadPoolExecutor(4))
  beam_fn_api_pb2_grpc.add_BeamFnExternalWorkerPoolServicer_to_server(pool, server)
  pool_url = f'localhost:{server.add_insecure_port("localhost:0")}'
  server.start()
  jobs = beam_job_api_pb2_grpc.JobServiceStub(grpc.insecure_channel(arguments.job_endpoint))

  def prepare(name, dependencies):
    prepared = jobs.Prepare(
        beam_job_api_pb2.PrepareJobRequest(
            job_name=name, pipeline=pipeline_proto(pool_url, dependencies)))
    worker_id, told = pool.started.get(timeout=PATIENCE_S)
    assert worker_id.startswith(prepared.preparation_id), worker_id
    assert not told.done(), told
    return prepared, worker_id, told

  jar = beam_runner_api_pb2.ArtifactInformation(
      type_urn='beam:artifact:type:url:v1',
      type_payload=beam_runner_api_pb2.ArtifactUrlPayload(
          url='file:///some.jar').SerializeToString(),
      role_urn='beam:artifact:role:staging_to:v1',
      role_payload=beam_runner_api_pb2.ArtifactStagingToRolePayload(
          staged_name='some.jar').SerializeToString())
  _, given_up, never_told = prepare('never-run', [jar])
  prepared, worker_id, told = prepare('run', [])
  job_id = jobs.Run(
      beam_job_api_pb2.RunJobRequest(
          preparation_id=prepared.preparation_id,
          retrieval_token=prepared.staging_session_token)).job_id
  info = told.result().info
  assert info.metadata['job_id'] == job_id, info
  assert pool.started.empty(), 'its worker was started twice'
  jobs.Cancel(beam_job_api_pb2.CancelJobRequest(job_id=job_id))
  stopped = {pool.stopped.get(timeout=PATIENCE_S) for _ in range(2)}
  assert stopped == {given_up, worker_id}, stopped
  assert never_told.exception().code() == grpc.StatusCode.UNAVAILABLE, never_told
  server.stop(None)


if __name__ == '__main__':
  main()
