"""Beam's suite for its own local runner, against the endpoint in CONFORMANCE_ENDPOINT, with what it skips there.

The classes that look into that runner rather than at what it computes are left out: FnApiRunnerMetricsTest,
FnApiRunnerSplitTest and FnApiBasedLullLoggingTest.
"""

import os

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.runners.portability import portable_runner
from apache_beam.runners.portability.fn_api_runner import fn_runner_test
from apache_beam.runners.runner import PipelineState


class DrainingRunner(portable_runner.PortableRunner):
  """Asks for a drain as soon as the job has been sent, so before its first bundle, and is content when it has drained."""

  def run_pipeline(self, pipeline, options):
    result = super().run_pipeline(pipeline, options)
    result._job_service.Drain(beam_job_api_pb2.DrainJobRequest(job_id=result._job_id))
    wait = result.wait_until_finish

    def wait_until_drained(duration=None):
      try:
        return wait(duration)
      except RuntimeError:
        if result.state != PipelineState.DRAINED:
          raise
        return result.state

    result.wait_until_finish = wait_until_drained
    return result


def create_pipeline(name, is_drain):
  options = PipelineOptions(
      job_name=name,
      job_endpoint=os.environ['CONFORMANCE_ENDPOINT'],
      environment_type=os.environ.get('CONFORMANCE_ENVIRONMENT_TYPE', 'LOOPBACK'),
      experiments=['state_cache_size=100', 'data_buffer_time_limit_ms=1000'])
  runner = DrainingRunner() if is_drain else portable_runner.PortableRunner()
  return beam.Pipeline(runner, options)


class FnRunnerTest(fn_runner_test.FnApiRunnerTest):

  def create_pipeline(self, is_drain=False):
    return create_pipeline(self._testMethodName, is_drain)

  def test_metrics(self):
    # Only the SDK's newest runner is asked for these otherwise.
    super().test_metrics(check_bounded_trie=True)


class StateBackedCoderTest(fn_runner_test.FnApiBasedStateBackedCoderTest):

  def create_pipeline(self):
    return create_pipeline(self._testMethodName, False)


def _include_skipped(suite):
  """What a decorator of the suite skips is run all the same."""
  for base in suite.__mro__:
    for name, test in list(vars(base).items()):
      if name.startswith('test') and getattr(test, '__unittest_skip__', False) and name not in vars(suite):
        setattr(suite, name, test.__wrapped__)


_include_skipped(FnRunnerTest)
