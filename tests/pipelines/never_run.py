"""Prepares a pipeline, and does not run it."""

import argparse

import apache_beam as beam
import grpc
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2, beam_job_api_pb2_grpc
from apache_beam.runners.portability.portable_runner import PortableRunner


def main():
  parser = argparse.ArgumentParser()
  parser.add_argument('--job_endpoint', required=True)
  arguments, options = parser.parse_known_args()
  pipeline = beam.Pipeline(options=PipelineOptions(options))
  _ = pipeline | beam.Create([1]) | beam.Map(print)
  proto = PortableRunner.get_proto_pipeline(pipeline, pipeline.options)
  jobs = beam_job_api_pb2_grpc.JobServiceStub(grpc.insecure_channel(arguments.job_endpoint))
  jobs.Prepare(beam_job_api_pb2.PrepareJobRequest(job_name='never-run', pipeline=proto))


if __name__ == '__main__':
  main()
