"""Counts the lengths of the words of text files with code that lives in a package beside this file.

A worker has the package `textstats` only if it is staged: with `--setup_file`, `--extra_package` or `--requirements_file`.
"""

import argparse

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

import textstats


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--input', required=True, help='file or pattern to read')
  parser.add_argument('--output', required=True, help='prefix of the files to write')
  args, beam_args = parser.parse_known_args()

  with beam.Pipeline(options=PipelineOptions(beam_args)) as pipeline:
    (
        pipeline
        | 'Read' >> beam.io.ReadFromText(args.input)
        | 'Lengths' >> beam.ParDo(textstats.WordLengths())
        | 'Count' >> beam.combiners.Count.PerElement()
        | 'Format' >> beam.MapTuple(textstats.format_length)
        | 'Write' >> beam.io.WriteToText(args.output))


if __name__ == '__main__':
  main()
