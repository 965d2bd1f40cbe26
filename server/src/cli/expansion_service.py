"""Serves what Beam's Python SDK can expand for pipelines of other SDKs, on this machine only.

Arguments: the port, then modules whose transforms are to be registered.
"""

import importlib
import signal
import sys
import threading

import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_artifact_api_pb2_grpc
from apache_beam.portability.api import beam_expansion_api_pb2_grpc
from apache_beam.runners.portability import artifact_service
from apache_beam.runners.portability import expansion_service
from apache_beam.transforms.fully_qualified_named_transform import FullyQualifiedNamedTransform
from apache_beam.utils import thread_pool_executor


def main(port, *modules):
  for module in modules:
    importlib.import_module(module)
  # The image of the SDK, which the emulator makes real in its own way.
  options = PipelineOptions(
      ['--experiments=beam_fn_api', '--environment_type=DOCKER', '--sdk_location=container'])
  reader = artifact_service.BeamFilesystemHandler(None).file_reader
  ended = threading.Event()
  for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
    signal.signal(number, lambda *_: ended.set())
  with FullyQualifiedNamedTransform.with_filter('*'):
    server = grpc.server(thread_pool_executor.shared_unbounded_instance())
    beam_expansion_api_pb2_grpc.add_ExpansionServiceServicer_to_server(
        expansion_service.ExpansionServiceServicer(options), server)
    beam_artifact_api_pb2_grpc.add_ArtifactRetrievalServiceServicer_to_server(
        artifact_service.ArtifactRetrievalService(reader), server)
    if server.add_insecure_port(f'localhost:{port}') == 0:
      sys.exit(f'port {port} is taken')
    server.start()
    ended.wait()
    server.stop(None)


main(*sys.argv[1:])
