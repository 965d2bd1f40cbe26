"""Writes the sample pipelines beside this file, with apache-beam 2.77.0.

They are what the Python SDK submits: run this again when the tested version of Beam changes.
"""

import os
import sys

import apache_beam as beam
from apache_beam import coders
from apache_beam.io.restriction_trackers import OffsetRange, OffsetRestrictionTracker
from apache_beam.io.watermark_estimators import ManualWatermarkEstimator
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms import environments, trigger, userstate, window
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.utils import timestamp


class Ranges(RestrictionProvider):
  def initial_restriction(self, element):
    return OffsetRange(0, element)

  def create_tracker(self, restriction):
    return OffsetRestrictionTracker(restriction)

  def restriction_size(self, element, restriction):
    return restriction.size()


class Count(beam.DoFn):
  def process(self, element, tracker=beam.DoFn.RestrictionParam(Ranges())):
    position = tracker.current_restriction().start
    while tracker.try_claim(position):
      yield position
      position += 1


class CountForEver(beam.DoFn):
  @beam.DoFn.unbounded_per_element()
  def process(
      self,
      element,
      start,
      tracker=beam.DoFn.RestrictionParam(Ranges()),
      estimator=beam.DoFn.WatermarkEstimatorParam(
          ManualWatermarkEstimator.default_provider())):
    yield from ()


class Stateful(beam.DoFn):
  BAG = userstate.BagStateSpec('bag', coders.VarIntCoder())
  SUM = userstate.CombiningValueStateSpec('sum', sum)
  EVENT = userstate.TimerSpec('event', userstate.TimeDomain.WATERMARK)
  PROCESSING = userstate.TimerSpec('processing', userstate.TimeDomain.REAL_TIME)

  def process(
      self,
      element,
      bag=beam.DoFn.StateParam(BAG),
      total=beam.DoFn.StateParam(SUM),
      event=beam.DoFn.TimerParam(EVENT),
      processing=beam.DoFn.TimerParam(PROCESSING)):
    bag.add(element[1])
    event.set(timestamp.Timestamp(10))

  @userstate.on_timer(EVENT)
  def on_event(self, bag=beam.DoFn.StateParam(BAG)):
    yield from bag.read()

  @userstate.on_timer(PROCESSING)
  def on_processing(self):
    yield 0


class Finalizing(beam.DoFn):
  def process(self, element, finalizer=beam.DoFn.BundleFinalizerParam):
    finalizer.register(lambda: None)
    yield element


class OddCoder(coders.Coder):
  def encode(self, value):
    return str(value.end.micros).encode()

  def decode(self, encoded):
    return OddWindow(timestamp.Timestamp(micros=int(encoded)))

  def is_deterministic(self):
    return True


class Odd(window.NonMergingWindowFn):
  def assign(self, context):
    return [OddWindow(context.timestamp)]

  def get_window_coder(self):
    return OddCoder()


class OddWindow(window.BoundedWindow):
  pass


class Bursts(window.Sessions):
  def to_runner_api_parameter(self, context):
    return window.WindowFn.to_runner_api_parameter(self, context)


def wordcount(p):
  (
      p
      | 'Read' >> beam.io.ReadFromText('/dev/null')
      | 'Split' >> beam.FlatMap(str.split)
      | 'Pair' >> beam.Map(lambda word: (word, 1))
      | 'Count' >> beam.CombinePerKey(sum)
      | 'Format' >> beam.MapTuple(lambda word, count: f'{word}: {count}'))


def group(p):
  keyed = p | 'Create' >> beam.Create([('a', 1), ('b', 2)], reshuffle=False)
  keyed | 'Group' >> beam.GroupByKey() | 'Sum' >> beam.MapTuple(lambda k, vs: (k, sum(vs)))
  keyed | 'Sessions' >> beam.WindowInto(window.Sessions(10)) | 'PerSession' >> beam.CombinePerKey(sum)
  (
      keyed
      | 'Sliding' >> beam.WindowInto(window.SlidingWindows(60, 20, 5))
      | 'PerWindow' >> beam.GroupByKey())


def side_inputs(p):
  numbers = p | 'Numbers' >> beam.Create([1, 2, 3], reshuffle=False)
  doubled = numbers | 'Double' >> beam.Map(lambda n: 2 * n)
  names = p | 'Names' >> beam.Create([(1, 'one')], reshuffle=False)
  # Doubled is read as main and as side input; the reader can't be fused with what makes it.
  (
      doubled
      | 'Compare' >> beam.Map(lambda n, all, names: (n, all, names),
                              all=beam.pvalue.AsList(doubled), names=beam.pvalue.AsDict(names))
      | 'After' >> beam.Map(str))
  doubled | 'Unrelated' >> beam.Map(lambda n, one: n, one=beam.pvalue.AsSingleton(names))


def splittable(p):
  counted = p | 'Sizes' >> beam.Create([10, 20], reshuffle=False) | 'Count' >> beam.ParDo(Count())
  start = p | 'Start' >> beam.Create([0], reshuffle=False)
  (
      p
      | 'Once' >> beam.Impulse()
      | 'One' >> beam.Map(lambda _: 1)
      | 'ForEver' >> beam.ParDo(CountForEver(), beam.pvalue.AsSingleton(start)))
  counted | 'Finalize' >> beam.ParDo(Finalizing())


def stateful(p):
  keyed = p | 'Create' >> beam.Create([('a', 1)], reshuffle=False) | 'Key' >> beam.Map(lambda kv: kv).with_output_types(tuple[str, int])
  keyed | 'State' >> beam.ParDo(Stateful()) | 'After' >> beam.Map(lambda n: n)


def flatten(p):
  numbers = p | 'Numbers' >> beam.Create([1, 2], reshuffle=False)
  evens = numbers | 'Evens' >> beam.Filter(lambda n: n % 2 == 0)
  odds = numbers | 'Odds' >> beam.Filter(lambda n: n % 2)
  words = p | 'Words' >> beam.Create(['a', 'b'], reshuffle=False)
  ((evens, odds) | 'Together' >> beam.Flatten() | 'Show' >> beam.Map(str))
  everything = (evens, words, numbers) | 'Mixed' >> beam.Flatten()
  everything | 'Show mixed' >> beam.Map(str)
  p | 'One' >> beam.Create([1], reshuffle=False) | 'With side' >> beam.Map(
      lambda x, all: all, all=beam.pvalue.AsIter(everything))
  () | 'Nothing' >> beam.Flatten(pipeline=p) | 'Show nothing' >> beam.Map(str)


def reshuffle(p):
  (
      p
      | 'Create' >> beam.Create([1, 2], reshuffle=False)
      | 'Shuffle' >> beam.Reshuffle()
      | 'Show' >> beam.Map(str)
      | 'Shuffle again' >> beam.Reshuffle())


def test_stream(p):
  stream = TestStream(coder=coders.StrUtf8Coder()).advance_watermark_to(0)
  stream = stream.add_elements(['a', 'b']).advance_processing_time(10).advance_watermark_to_infinity()
  early = trigger.AfterWatermark(
      early=trigger.AfterProcessingTime(5), late=trigger.AfterCount(1))
  (
      p
      | 'Stream' >> stream
      | 'Window' >> beam.WindowInto(
          window.FixedWindows(15), trigger=early, allowed_lateness=30,
          accumulation_mode=trigger.AccumulationMode.ACCUMULATING)
      | 'Pair' >> beam.Map(lambda x: (x, 1))
      | 'Count' >> beam.CombinePerKey(sum))


def triggers(p):
  pairs = p | 'Create' >> beam.Create([('a', 1)], reshuffle=False)
  for count in (1, 2):
    (
        pairs
        | f'Window{count}' >> beam.WindowInto(
            window.GlobalWindows(), trigger=trigger.Repeatedly(trigger.AfterCount(count)),
            accumulation_mode=trigger.AccumulationMode.DISCARDING)
        | f'Sum{count}' >> beam.CombinePerKey(sum))


def custom_windows(p):
  (
      p
      | 'Create' >> beam.Create([('a', 1)], reshuffle=False)
      | 'Odd' >> beam.WindowInto(Odd())
      | 'Group' >> beam.GroupByKey())


def sdk_windows(p):
  pairs = p | 'Create' >> beam.Create([('a', 1)], reshuffle=False)
  pairs | 'Bursts' >> beam.WindowInto(Bursts(3)) | 'Group' >> beam.GroupByKey()
  odd = pairs | 'Odd' >> beam.WindowInto(Odd())
  pairs | 'With odd' >> beam.Map(lambda x, all: x, all=beam.pvalue.AsList(odd))


def main(folder):
  environment = environments.ExternalEnvironment(
      'localhost:50000', capabilities=environments.python_sdk_capabilities())
  for build in (wordcount, group, side_inputs, splittable, stateful, flatten, reshuffle, test_stream,
                triggers, custom_windows, sdk_windows):
    p = beam.Pipeline(options=PipelineOptions(['--allow_unsafe_triggers']))
    build(p)
    proto = p.to_runner_api(default_environment=environment)
    for item in proto.components.environments.values():
      del item.dependencies[:]
    for item in proto.components.transforms.values():
      del item.display_data[:]
    data = proto.SerializeToString(deterministic=True)
    with open(os.path.join(folder, build.__name__ + '.pb'), 'wb') as file:
      file.write(data)


if __name__ == '__main__':
  main(os.path.dirname(os.path.abspath(sys.argv[0])))
