"""Beam's portable runner suite, as it is in the installed SDK, against the endpoint in CONFORMANCE_ENDPOINT."""

import os

from apache_beam.options.pipeline_options import PortableOptions
from apache_beam.runners.portability import portable_runner_test


class EndpointTest(portable_runner_test.PortableRunnerTest):

  @classmethod
  def _get_job_endpoint(cls):
    return os.environ['CONFORMANCE_ENDPOINT']

  def create_options(self):
    options = super().create_options()
    options.view_as(PortableOptions).environment_type = os.environ.get('CONFORMANCE_ENVIRONMENT_TYPE', 'LOOPBACK')
    return options
