"""The lengths of words."""

import re

import apache_beam as beam


class WordLengths(beam.DoFn):
  """Turns a line into the lengths of its words."""

  def process(self, line):
    for word in re.findall(r"[A-Za-z']+", line):
      yield len(word)


def format_length(length, count):
  return f'{length}: {count}'
