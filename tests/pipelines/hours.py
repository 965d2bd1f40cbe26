"""A pipeline with a timer that is due in an hour, by a clock that this program moves."""

import time
import urllib.request

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions, PortableOptions
from apache_beam.runners.runner import PipelineState
from apache_beam.testing.util import assert_that, equal_to
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import TimerSpec, on_timer
from apache_beam.utils.timestamp import Timestamp

HOUR_S = 3600


class InAnHour(beam.DoFn):
  DUE = TimerSpec('due', TimeDomain.REAL_TIME)

  def process(self, element, due=beam.DoFn.TimerParam(DUE)):
    due.set(Timestamp.now() + HOUR_S)
    yield 'set'

  @on_timer(DUE)
  def at_due(self):
    yield 'fired'


def main():
  options = PipelineOptions()
  clock = f'http://{options.view_as(PortableOptions).job_endpoint}/_emulator/clock'

  def tell(what):
    with urllib.request.urlopen(urllib.request.Request(f'{clock}/{what}', method='POST')) as answer:
      answer.read()

  pipeline = beam.Pipeline(options=options)
  results = pipeline | beam.Create([('key', 1)]) | beam.ParDo(InAnHour())
  assert_that(results, equal_to(['set', 'fired']))
  tell('pause')
  result = pipeline.run()
  # Nobody can see from outside that the timer has been set: an hour goes by again and again until the job is over.
  while not PipelineState.is_terminal(result.state):
    tell(f'advance?ms={HOUR_S * 1000}')
    time.sleep(0.1)
  tell('resume')
  assert result.state == PipelineState.DONE, result.state


if __name__ == '__main__':
  main()
