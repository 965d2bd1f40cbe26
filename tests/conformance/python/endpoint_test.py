"""Beam's portable runner suite, as it is in the installed SDK, against the endpoint in CONFORMANCE_ENDPOINT."""

import os
import signal

from apache_beam.options.pipeline_options import PortableOptions
from apache_beam.runners.portability import portable_runner_test


class OutOfTime(BaseException):
  """The test took longer than its limit. Not an Exception, so that no test takes it for one that it expects."""


class EndpointTest(portable_runner_test.PortableRunnerTest):

  @classmethod
  def _get_job_endpoint(cls):
    return os.environ['CONFORMANCE_ENDPOINT']

  def create_options(self):
    options = super().create_options()
    options.view_as(PortableOptions).environment_type = os.environ.get('CONFORMANCE_ENVIRONMENT_TYPE', 'LOOPBACK')
    return options

  def run(self, result=None):
    limit = float(os.environ['CONFORMANCE_LIMIT_SECONDS'])

    def out_of_time(unused_signal, unused_frame):
      raise OutOfTime(f'not over after {limit:.0f} s')

    signal.signal(signal.SIGALRM, out_of_time)
    # Repeats, because what is interrupted first may be a clean-up that swallows it.
    signal.setitimer(signal.ITIMER_REAL, limit, 1)
    try:
      return super().run(result)
    finally:
      signal.setitimer(signal.ITIMER_REAL, 0)
