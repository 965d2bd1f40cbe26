"""Sends pipelines that would run in the test's own process to the endpoint, and counts those that got there."""

from apache_beam import Pipeline
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions, StandardOptions
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


class LocalPipelines:
  """How many pipelines have been sent since this was set to 0."""

  def __init__(self, options):
    self.sent = 0
    self._redirect(PipelineOptions(options).get_all_options(drop_default=True))
    self._count()

  def _redirect(self, ours):
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

  def _count(self):
    run_pipeline = PortableRunner.run_pipeline

    def counted(runner, pipeline, options):
      self.sent += 1
      return run_pipeline(runner, pipeline, options)

    PortableRunner.run_pipeline = counted
