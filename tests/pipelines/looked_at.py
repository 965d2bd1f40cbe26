"""A pipeline whose only bundle ends when the program has seen, in the job's metrics, what the bundle has done so far."""

import os
import tempfile
import time

import apache_beam as beam
from apache_beam.metrics import Metrics, MetricsFilter
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.runner import PipelineState

ELEMENTS = 5


class WaitAtLast(beam.DoFn):
  """Waits at its last element until there is a file of this name."""
  def __init__(self, seen):
    self.seen = seen
    self.processed = Metrics.counter('looked_at', 'processed')

  def process(self, element):
    self.processed.inc()
    while element == ELEMENTS - 1 and not os.path.exists(self.seen):
      time.sleep(0.05)
    yield element


def counter(result):
  """The counter as it is now: attempted and committed."""
  # The client keeps the first answer, whatever comes after.
  result._metrics = None  # pylint: disable=protected-access
  found = result.metrics().query(MetricsFilter().with_name('processed'))['counters']
  return (found[0].attempted, found[0].committed) if found else (None, None)


def main():
  with tempfile.TemporaryDirectory() as folder:
    look(os.path.join(folder, 'seen'))


def look(seen):
  pipeline = beam.Pipeline(options=PipelineOptions())
  pipeline | beam.Create(range(ELEMENTS), reshuffle=False) | beam.ParDo(WaitAtLast(seen))  # pylint: disable=expression-not-assigned
  result = pipeline.run()
  while counter(result)[0] != ELEMENTS:
    assert not PipelineState.is_terminal(result.state), result.state
    time.sleep(0.1)
  _, committed = counter(result)
  assert not committed, f'{committed} committed while the bundle runs'
  with open(seen, 'w', encoding='utf-8'):
    pass
  result.wait_until_finish()
  assert counter(result) == (ELEMENTS, ELEMENTS), counter(result)


if __name__ == '__main__':
  main()
