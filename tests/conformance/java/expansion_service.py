"""Serves the transforms of Beam's own expansion service test to Java's cross-language tests.

Beam's module can be run as a program too, but then it wants scikit-learn for a transform that these
tests don't use. Prints the port it listens on.
"""

import signal
import sys

import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_artifact_api_pb2_grpc
from apache_beam.portability.api import beam_expansion_api_pb2_grpc
# Registers the transforms.
from apache_beam.runners.portability import expansion_service_test  # pylint: disable=unused-import
from apache_beam.runners.portability import artifact_service
from apache_beam.runners.portability import expansion_service
from apache_beam.transforms.environments import PyPIArtifactRegistry
from apache_beam.utils import thread_pool_executor


def main():
  # Of the transform that parses HTML.
  PyPIArtifactRegistry.register_artifact('beautifulsoup4', '>=4.9,<5.0')
  server = grpc.server(thread_pool_executor.shared_unbounded_instance())
  options = PipelineOptions([
      '--experiments=beam_fn_api',
      '--environment_type=DOCKER',
      '--sdk_location=container',
      '--pickle_library=cloudpickle',
  ])
  beam_expansion_api_pb2_grpc.add_ExpansionServiceServicer_to_server(
      expansion_service.ExpansionServiceServicer(options), server)
  reader = artifact_service.BeamFilesystemHandler(None).file_reader
  beam_artifact_api_pb2_grpc.add_ArtifactRetrievalServiceServicer_to_server(
      artifact_service.ArtifactRetrievalService(reader), server)
  port = server.add_insecure_port('localhost:0')
  server.start()
  print(port, flush=True)
  signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
  signal.pause()


if __name__ == '__main__':
  main()
