"""Makes a Beam pipeline of a description."""

import apache_beam as beam
from apache_beam.portability.api import beam_runner_api_pb2
from apache_beam.testing.test_stream import TestStream
from apache_beam.transforms import trigger
from apache_beam.transforms import window
from apache_beam.transforms.core import Windowing
from apache_beam.transforms.window import TimestampedValue

import dofns


def want_no_empty_panes():
  """Asks for no pane without new elements that the trigger itself does not ask for: Beam's runners for Python never make one,
  whatever the SDK asks for on the wire."""
  encode = Windowing.to_runner_api

  def encode_and_change(self, context):
    proto = encode(self, context)
    proto.closing_behavior = beam_runner_api_pb2.ClosingBehavior.EMIT_IF_NONEMPTY
    if 'after_end_of_window' not in str(proto.trigger) and not proto.trigger.HasField('default'):
      proto.on_time_behavior = beam_runner_api_pb2.OnTimeBehavior.FIRE_IF_NONEMPTY
    return proto

  Windowing.to_runner_api = encode_and_change


def build(pipeline, description, run):
  values = _source(pipeline, description['source'])
  for index, (name, arguments) in enumerate(description['steps']):
    values = STEPS[name](values, f'{index} {name}', **arguments)
    # What inference makes of a lambda is not always a pair.
    values = values | f'{index} typed' >> beam.Map(_pair).with_output_types(dofns.Pair)
  values | 'Seen' >> beam.ParDo(dofns.Seen(run, description['exact']))  # pylint: disable=expression-not-assigned


def _source(pipeline, source):
  if source['kind'] == 'stream':
    stream = TestStream()
    for kind, event in source['events']:
      if kind == 'watermark':
        stream.advance_watermark_to(event)
      else:
        stream.add_elements([TimestampedValue((key, number), time) for key, number, time in event])
    stream.advance_watermark_to_infinity()
    return pipeline | 'Source' >> stream | 'Typed' >> beam.Map(_pair).with_output_types(dofns.Pair)
  elements = pipeline | 'Source' >> beam.Create(source['elements'], reshuffle=len(source['elements']) > 5)
  if source['kind'] == 'stamped':
    return elements | 'Stamp' >> beam.Map(lambda e: TimestampedValue((e[0], e[1]), e[2])).with_output_types(dofns.Pair)
  return elements | 'Typed' >> beam.Map(_pair).with_output_types(dofns.Pair)


def _pair(element):
  return element[0], element[1]


def _map(values, label, by):
  return values | label >> beam.Map(lambda e: (e[0], (e[1] * by + 1) % dofns.LARGE))


def _filter(values, label, by):
  return values | label >> beam.Filter(lambda e: e[1] % by)


def _expand(values, label, by):
  return values | label >> beam.ParDo(dofns.Expand(by))


def _rekey(values, label, by):
  return values | label >> beam.Map(lambda e: ((e[0] + e[1]) % by, e[1]))


def _group(values, label):
  return values | label >> beam.GroupByKey() | label + ' digest' >> beam.MapTuple(lambda key, found: (key, dofns.digest(found)))


def _sum(values, label):
  return values | label >> beam.CombinePerKey(sum) | label + ' cut' >> beam.MapTuple(lambda key, n: (key, n % dofns.LARGE))


def _most(values, label):
  return values | label >> beam.CombinePerKey(max)


def _count(values, label):
  return values | label >> beam.combiners.Count.PerKey()


def _mean(values, label):
  return values | label >> beam.combiners.Mean.PerKey() | label + ' whole' >> beam.MapTuple(lambda key, mean: (key, int(mean)))


def _distinct(values, label):
  return values | label >> beam.Distinct()


def _reshuffle(values, label):
  return values | label >> beam.Reshuffle()


def _tagged(values, label):
  routed = values | label >> beam.ParDo(dofns.Route()).with_outputs('odd', main='even')
  odd = routed.odd | label + ' odd' >> beam.Map(lambda e: (e[0], e[1] + 1))
  return (routed.even, odd) | label + ' both' >> beam.Flatten()


def _partition(values, label, by):
  parts = values | label >> beam.Partition(lambda e, n: e[1] % n, by)
  return [parts[index] for index in range(1, by)] | label + ' rest' >> beam.Flatten()


def _flatten(values, label):
  other = values | label + ' other' >> beam.Map(lambda e: (e[0] + 1, e[1]))
  grouped = other | label + ' sum' >> beam.CombinePerKey(sum)
  return (values, grouped) | label >> beam.Flatten()


def _flatten_mapped(values, label):
  other = values | label + ' other' >> beam.Map(lambda e: (e[0] + 1, e[1]))
  return (values, other) | label >> beam.Flatten()


def _join(values, label):
  other = values | label + ' other' >> beam.Map(lambda e: (e[0] % 2, e[1] + 5))
  joined = {'one': values, 'two': other} | label >> beam.CoGroupByKey()
  return joined | label + ' digest' >> beam.MapTuple(
      lambda key, both: (key, dofns.digest(both['one']) * 3 + dofns.digest(both['two'])))


def _splittable(values, label):
  return values | label >> beam.ParDo(dofns.Count())


def _restamp(values, label, span):
  return values | label >> beam.ParDo(dofns.Restamp(span))


def _globally(values, label):
  numbers = values | label + ' numbers' >> beam.Map(lambda e: e[1])
  total = numbers | label >> beam.CombineGlobally(sum).without_defaults()
  return total | label + ' keyed' >> beam.Map(lambda n: (0, n % dofns.LARGE))


def _batches(values, label, size):
  batches = values | label >> beam.GroupIntoBatches(size)
  # How the elements are spread over the batches is left open, and so is when each comes out; how large a batch may be is not.
  return batches | label + ' spread' >> beam.ParDo(dofns.Spread(size))


def _state(fn):
  def step(values, label):
    return values | label >> beam.ParDo(fn())
  return step


def _side(view, use):
  def step(values, label):
    numbers = values | label + ' side' >> beam.Map(lambda e: (e[0], e[1] % 50))
    return values | label >> beam.Map(use, view(numbers, label))
  return step


def _single(values, label):
  total = values | label + ' numbers' >> beam.Map(lambda e: e[1]) | label + ' total' >> beam.CombineGlobally(sum).without_defaults()
  return beam.pvalue.AsSingleton(total, default_value=-1)


def _dict(values, label):
  return beam.pvalue.AsDict(values | label + ' keyed' >> beam.CombinePerKey(sum))


def _window(values, label, windows, time, trigger=None, **rest):
  if windows == 'fixed':
    fn = window.FixedWindows(rest['size'], rest['offset'])
  elif windows == 'sliding':
    fn = window.SlidingWindows(rest['size'], rest['period'])
  elif windows == 'sessions':
    fn = window.Sessions(rest['gap'])
  else:
    fn = window.GlobalWindows()
  combiner = {
      'end': window.TimestampCombiner.OUTPUT_AT_EOW,
      'earliest': window.TimestampCombiner.OUTPUT_AT_EARLIEST,
      'latest': window.TimestampCombiner.OUTPUT_AT_LATEST,
  }[time]
  more = {}
  if trigger:
    more = {
        'trigger': _trigger(trigger, rest['count']),
        'accumulation_mode': (
            AccumulationMode.ACCUMULATING if rest['accumulating'] else AccumulationMode.DISCARDING),
        'allowed_lateness': rest['lateness'],
    }
  return values | label >> beam.WindowInto(fn, timestamp_combiner=combiner, **more)


AccumulationMode = trigger.AccumulationMode


def _trigger(name, count):
  after = trigger.AfterCount(count)
  return {
      'default': lambda: trigger.DefaultTrigger(),
      'after_count': lambda: after,
      'repeated_count': lambda: trigger.Repeatedly(after),
      'early_late': lambda: trigger.AfterWatermark(early=after, late=trigger.AfterCount(1)),
      'repeated_early_late': lambda: trigger.AfterWatermark(early=trigger.Repeatedly(after), late=trigger.AfterCount(1)),
      'each': lambda: trigger.Repeatedly(trigger.AfterEach(after, trigger.AfterCount(1))),
      'any': lambda: trigger.Repeatedly(trigger.AfterAny(after, trigger.AfterWatermark())),
      'or_finally': lambda: trigger.OrFinally(trigger.Repeatedly(after), trigger.AfterCount(count * 2)),
  }[name]()


STEPS = {
    'map': _map,
    'filter': _filter,
    'expand': _expand,
    'rekey': _rekey,
    'group': _group,
    'sum': _sum,
    'most': _most,
    'count': _count,
    'mean': _mean,
    'distinct': _distinct,
    'reshuffle': _reshuffle,
    'tagged': _tagged,
    'partition': _partition,
    'flatten': _flatten,
    'flatten_mapped': _flatten_mapped,
    'join': _join,
    'splittable': _splittable,
    'restamp': _restamp,
    'window': _window,
    'globally': _globally,
    'batches': _batches,
    'state_sum': _state(dofns.SumAtEnd),
    'state_bag': _state(dofns.BagAtEnd),
    'state_set': _state(dofns.FirstOfEach),
    'side_iter': _side(lambda side, label: beam.pvalue.AsIter(side), lambda e, side: (e[0], e[1] + dofns.digest(n for _, n in side))),
    'side_list': _side(lambda side, label: beam.pvalue.AsList(side), lambda e, side: (e[0], e[1] + len(side))),
    'side_dict': _side(_dict, lambda e, side: (e[0], e[1] + side.get(e[0] + 1, -7))),
    'side_single': _side(_single, lambda e, side: (e[0], e[1] + side)),
}
