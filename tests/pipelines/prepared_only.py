"""Prepares pipelines and runs none: a worker that needs nothing to be staged is started all the same, and stopped again."""

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
    beam_runner_api_pb2,
)
from apache_beam.transforms.environments import ExternalEnvironment

# Longer than a worker waits for its job, on any machine.
PATIENCE_S = 60


class Pool(beam_fn_api_pb2_grpc.BeamFnExternalWorkerPoolServicer):
  """Notes which workers it is to start and to stop."""

  def __init__(self):
    self.started = queue.Queue()
    self.stopped = queue.Queue()

  def StartWorker(self, request, context):
    self.started.put(request.worker_id)
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
    return jobs.Prepare(
        beam_job_api_pb2.PrepareJobRequest(
            job_name=name, pipeline=pipeline_proto(pool_url, dependencies))).preparation_id

  jar = beam_runner_api_pb2.ArtifactInformation(
      type_urn='beam:artifact:type:url:v1',
      type_payload=beam_runner_api_pb2.ArtifactUrlPayload(
          url='file:///some.jar').SerializeToString(),
      role_urn='beam:artifact:role:staging_to:v1',
      role_payload=beam_runner_api_pb2.ArtifactStagingToRolePayload(
          staged_name='some.jar').SerializeToString())
  waiting = prepare('needs-staging', [jar])
  ready = prepare('needs-nothing', [])
  started = pool.started.get(timeout=PATIENCE_S)
  assert started.startswith(ready), (started, ready)
  assert pool.stopped.get(timeout=PATIENCE_S) == started
  assert pool.started.empty(), f'a worker for {waiting} too'
  server.stop(None)


if __name__ == '__main__':
  main()
