"""A pipeline whose PCollections, each of as many elements, go from stage to stage, with and without a grouping between."""

import apache_beam as beam
from apache_beam.coders import VarIntCoder
from apache_beam.coders.coder_impl import create_InputStream
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.portability.api import beam_job_api_pb2
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec

ELEMENTS = 7
COUNT_OF_ELEMENTS = 'beam:metric:element_count:v1'


class Remember(beam.DoFn):
  """Has state, and with it a stage of its own."""
  STATE = ReadModifyWriteStateSpec('state', VarIntCoder())

  def process(self, element, state=beam.DoFn.StateParam(STATE)):
    state.write(1)
    yield element


def main():
  pipeline = beam.Pipeline(options=PipelineOptions())
  pairs = (
      pipeline
      | beam.Create(range(ELEMENTS), reshuffle=False)
      | beam.Map(lambda element: (element, element)).with_output_types(tuple[int, int])
      | 'after no grouping' >> beam.ParDo(Remember()).with_output_types(tuple[int, int])
      | beam.GroupByKey())
  for reader in ['one', 'another']:
    pairs | f'{reader} after a grouping' >> beam.ParDo(Remember())  # pylint: disable=expression-not-assigned
  result = pipeline.run()
  result.wait_until_finish()
  # The client's own view of metrics has those of the user alone.
  request = beam_job_api_pb2.GetJobMetricsRequest(job_id=result._job_id)  # pylint: disable=protected-access
  metrics = result._job_service.GetJobMetrics(request).metrics  # pylint: disable=protected-access
  for infos in metrics.attempted, metrics.committed:
    counts = [
        create_InputStream(info.payload).read_var_int64() for info in infos if info.urn == COUNT_OF_ELEMENTS
    ]
    assert set(counts) == {1, ELEMENTS}, counts
    # Of Create, Map, three readers and a grouping, and of the impulse.
    assert counts.count(ELEMENTS) >= 6, counts


if __name__ == '__main__':
  main()
