"""Counts the pipelines that get to the endpoint, and sends there those that would run in the test's own process."""

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, StandardOptions
from apache_beam.runners.dataflow.dataflow_runner import DataflowRunner
from apache_beam.runners.portability.portable_runner import PortableRunner

# By these names a pipeline asks for a runner in its own process; so does one that asks for none.
LOCAL_RUNNERS = (
    'BundleBasedDirectRunner',
    'DirectRunner',
    'FnApiRunner',
    'PrismRunner',
    'SwitchingDirectRunner',
    'TestDirectRunner',
)


def _is_local(runner):
  if runner is None:
    return True
  name = runner if isinstance(runner, str) else type(runner).__name__
  return name.rpartition('.')[-1] in LOCAL_RUNNERS


class SentPipelines:
  """How many pipelines have been sent since this was set to 0."""

  def __init__(self):
    self.sent = 0
    for runner in (PortableRunner, DataflowRunner):
      self._count(runner)

  def _count(self, runner_class):
    run_pipeline = runner_class.run_pipeline

    def counted(runner, *args, **kwargs):
      self.sent += 1
      return run_pipeline(runner, *args, **kwargs)

    runner_class.run_pipeline = counted


def redirect(options):
  """Pipelines that would run in the test's own process run by these options."""
  ours = PipelineOptions(options).get_all_options(drop_default=True)
  construct = Pipeline.__init__

  def redirected(pipeline, runner=None, options=None, argv=None, display_data=None):
    if options is None:
      options = PipelineOptions(argv or [])
    # What is no PipelineOptions is refused by the constructor.
    if isinstance(options, PipelineOptions):
      asked = runner if runner is not None else options.view_as(StandardOptions).runner
      if _is_local(asked):
        runner = ours['runner']
        options.view_as(StandardOptions).runner = runner
        portable = options.view_as(PortableOptions)
        portable.job_endpoint = ours['job_endpoint']
        portable.environment_type = ours['environment_type']
    construct(pipeline, runner, options, argv, display_data)

  Pipeline.__init__ = redirected
