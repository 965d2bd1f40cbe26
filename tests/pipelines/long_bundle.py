"""Processes elements slowly, in the submitting process, and tells how many each bundle has had."""

import sys
import time

import apache_beam as beam
from apache_beam.options.pipeline_options import PipelineOptions

ELEMENTS = 30

bundles = []


class Slow(beam.DoFn):
  def start_bundle(self):
    self.elements = []
    bundles.append(self.elements)

  def process(self, element):
    time.sleep(0.05)
    self.elements.append(element)
    yield element


def main():
  with beam.Pipeline(options=PipelineOptions(sys.argv[1:])) as pipeline:
    _ = (
        pipeline
        | beam.Create(range(ELEMENTS))
        | beam.Reshuffle()
        | beam.ParDo(Slow())
        | beam.GroupBy(lambda element: element % 2))
  processed = [element for elements in bundles for element in elements]
  assert sorted(processed) == list(range(ELEMENTS)), bundles
  print('bundles:', *map(len, bundles))


if __name__ == '__main__':
  # By its name, so that the code of bundles is this module, and not a copy.
  import long_bundle
  long_bundle.main()
