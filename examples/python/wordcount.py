"""Counts the words of text files and writes one `word: count` line for each."""

import argparse
import pathlib
import re

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

# King Lear.
TEXT = str(pathlib.Path(__file__).resolve().parent.parent / 'data/kinglear.txt')


def words(line):
  return re.findall(r"[A-Za-z']+", line)


def format_count(word, count):
  return f'{word}: {count}'


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--input', default=TEXT, help='file or pattern to read')
  parser.add_argument('--output', required=True, help='prefix of the files to write')
  args, beam_args = parser.parse_known_args()

  # The functions above live in the main module, so its state has to travel to the workers.
  options = PipelineOptions(beam_args, save_main_session=True)
  with beam.Pipeline(options=options) as pipeline:
    (
        pipeline
        | 'Read' >> beam.io.ReadFromText(args.input)
        | 'Split' >> beam.FlatMap(words)
        | 'Count' >> beam.combiners.Count.PerElement()
        | 'Format' >> beam.MapTuple(format_count)
        | 'Write' >> beam.io.WriteToText(args.output))


if __name__ == '__main__':
  main()
