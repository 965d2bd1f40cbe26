"""Counts, in a variable of a module that all DoFns of a process share, how many elements it has seen."""

import apache_beam as beam
from written import write


class Count(beam.DoFn):
  """Says how many elements were seen before, and in which process."""

  def process(self, element):
    import json
    import os

    json.seen = getattr(json, 'seen', 0)
    yield f'{json.seen} before in {os.getpid()}'
    json.seen += 1


if __name__ == '__main__':
  write(beam.ParDo(Count()))
