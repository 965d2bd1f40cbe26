"""Turns daily weather observations into one line of statistics for each month.

Input: CSV with the columns date (2012/01/31), precipitation (mm), temp_max and temp_min (Celsius), wind (m/s) and weather.
Output: `month,days,wet days,precipitation,highest,lowest,windiest,above average`, where the last is how many days were warmer
than the mean of the whole file. Lines that cannot be read go to `<output>_rejected`.
"""

import argparse
import csv

import apache_beam as beam
from apache_beam.metrics import Metrics
from apache_beam.options.pipeline_options import PipelineOptions


def tenths(text):
  return round(float(text) * 10)


class ParseDay(beam.DoFn):
  """Reads a CSV line; what does not parse goes to the output `rejected`."""

  parsed = Metrics.counter('weather', 'parsed')
  rejected = Metrics.counter('weather', 'rejected')

  def process(self, line):
    try:
      date, precipitation, highest, lowest, wind, _ = next(csv.reader([line]))
      year, month, _ = date.split('/')
      # In tenths, as the stations give them, so that sums are exact.
      day = beam.Row(
          month=f'{year}-{month}',
          precipitation=tenths(precipitation),
          highest=tenths(highest),
          lowest=tenths(lowest),
          wind=tenths(wind))
    except (ValueError, StopIteration):
      self.rejected.inc()
      yield beam.pvalue.TaggedOutput('rejected', line)
      return
    self.parsed.inc()
    yield day


class Summary(beam.CombineFn):
  """Days, wet days, precipitation, highest, lowest, strongest wind and days above the mean of (day, mean) pairs."""

  def create_accumulator(self):
    return (0, 0, 0, None, None, 0, 0)

  def add_input(self, summary, element):
    day, mean = element
    one = (1, int(day.precipitation > 0), day.precipitation, day.highest, day.lowest, day.wind, int(day.highest > mean))
    return self.merge_accumulators([summary, one])

  def merge_accumulators(self, summaries):
    summaries = [summary for summary in summaries if summary[0]]
    if not summaries:
      return self.create_accumulator()
    days, wet, rain, highest, lowest, wind, warm = zip(*summaries)
    return (sum(days), sum(wet), sum(rain), max(highest), min(lowest), max(wind), sum(warm))

  def extract_output(self, summary):
    return summary


def format_month(month, summary):
  days, wet, rain, highest, lowest, wind, warm = summary
  measures = ','.join(f'{measure / 10:.1f}' for measure in (rain, highest, lowest, wind))
  return f'{month},{days},{wet},{measures},{warm}'


def main():
  parser = argparse.ArgumentParser(description=__doc__)
  parser.add_argument('--input', required=True, help='file or pattern to read')
  parser.add_argument('--output', required=True, help='prefix of the files to write')
  args, beam_args = parser.parse_known_args()

  options = PipelineOptions(beam_args, save_main_session=True)
  with beam.Pipeline(options=options) as pipeline:
    days, rejected = (
        pipeline
        | 'Read' >> beam.io.ReadFromText(args.input, skip_header_lines=1)
        | 'Parse' >> beam.ParDo(ParseDay()).with_outputs('rejected', main='days'))
    mean = (
        days
        | 'Highest' >> beam.Map(lambda day: day.highest)
        | 'Mean' >> beam.combiners.Mean.Globally())
    (
        days
        | 'KeyByMonth' >> beam.Map(lambda day, mean: (day.month, (day, mean)), beam.pvalue.AsSingleton(mean))
        | 'Summarize' >> beam.CombinePerKey(Summary())
        | 'Format' >> beam.MapTuple(format_month)
        | 'Write' >> beam.io.WriteToText(args.output))
    rejected | 'WriteRejected' >> beam.io.WriteToText(f'{args.output}_rejected')


if __name__ == '__main__':
  main()
