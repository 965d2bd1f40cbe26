"""The pipelines that are measured: functions of a pipeline, a size, and a folder for files."""

import os
import random
import re
import time

import apache_beam as beam
from apache_beam.coders import VarIntCoder
from apache_beam.transforms.combiners import CountCombineFn
from apache_beam.transforms.periodicsequence import PeriodicImpulse
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import CombiningValueStateSpec, TimerSpec, on_timer
from apache_beam.transforms.window import FixedWindows
from apache_beam.utils.timestamp import Timestamp

LEAR = os.path.join(os.path.dirname(__file__), '../../../examples/data/kinglear.txt')

# Elements are made by the workers, in this many pieces.
SHARDS = 20


def text(size, folder):
  """King Lear, as often as it takes."""
  path = os.path.join(folder, 'text')
  if not os.path.exists(path):
    with open(LEAR) as file:
      lear = file.read()
    with open(path, 'w') as out:
      written = 0
      while written < size:
        written += out.write(lear)
  return path


def shards(p, label='shards'):
  return p | label >> beam.Create(range(SHARDS)) | label + ' apart' >> beam.Reshuffle()


def tiny(p, size, folder):
  _ = p | beam.Create(range(size)) | beam.Map(lambda x: x + 1)


class ExtractWords(beam.DoFn):
  def process(self, line):
    return re.findall(r"[\w']+", line)


def wordcount(p, size, folder):
  """In the steps of the first example of every Beam SDK."""
  _ = (
      p
      | beam.io.ReadFromText(text(size, folder))
      | beam.ParDo(ExtractWords()).with_output_types(str)
      | 'pair' >> beam.Map(lambda word: (word, 1))
      | beam.CombinePerKey(sum)
      | beam.MapTuple(lambda word, count: '%s: %d' % (word, count))
      | beam.io.WriteToText(os.path.join(folder, 'counts')))


def _keyed(seed, size, keys):
  source = random.Random(seed)
  for _ in range(size // SHARDS):
    yield source.randrange(keys), b'x' * 100


def group_by_key(p, size, folder):
  _ = (
      shards(p)
      | beam.FlatMap(_keyed, size, size // 10)
      | beam.GroupByKey()
      | beam.MapTuple(lambda key, values: sum(1 for _ in values)))


def co_group_by_key(p, size, folder):
  left = shards(p, 'left') | 'left keyed' >> beam.FlatMap(_keyed, size // 2, size // 10)
  right = shards(p, 'right') | 'right keyed' >> beam.FlatMap(_keyed, size // 2, size // 10)
  _ = (
      {'left': left, 'right': right}
      | beam.CoGroupByKey()
      | beam.MapTuple(lambda key, sides: len(list(sides['left'])) * len(list(sides['right']))))


def combine(p, size, folder):
  _ = (
      shards(p)
      | beam.FlatMap(lambda seed: range(size // SHARDS))
      | 'pair' >> beam.Map(lambda n: (n % 1000, n))
      | beam.CombinePerKey(sum))


def side_input(p, size, folder):
  table = p | 'table' >> beam.Create([(n, str(n)) for n in range(10_000)])
  _ = (
      shards(p)
      | beam.FlatMap(lambda seed: range(size // SHARDS))
      | beam.Map(lambda n, names: names[n % 10_000], beam.pvalue.AsDict(table)))


def many_side_inputs(p, size, folder):
  tables = [
      beam.pvalue.AsList(p | 'table %d' % n >> beam.Create(range(n, n + 100))) for n in range(20)
  ]
  _ = (
      shards(p)
      | beam.FlatMap(lambda seed: range(size // SHARDS))
      | beam.Map(lambda n, *tables: tables[n % 20][n % 100], *tables))


class CountPerKey(beam.DoFn):
  """Counts a key's elements, and tells the count when the window is over."""
  COUNT = CombiningValueStateSpec('count', VarIntCoder(), CountCombineFn())
  END = TimerSpec('end', TimeDomain.WATERMARK)

  def process(
      self,
      element,
      window=beam.DoFn.WindowParam,
      count=beam.DoFn.StateParam(COUNT),
      end=beam.DoFn.TimerParam(END)):
    count.add(1)
    end.set(window.end)

  @on_timer(END)
  def tell(self, key=beam.DoFn.KeyParam, count=beam.DoFn.StateParam(COUNT)):
    yield key, count.read()


def state_and_timers(p, size, folder):
  _ = (
      shards(p)
      | beam.FlatMap(lambda seed: ((n % 1000, n) for n in range(size // SHARDS)))
      | beam.Map(lambda kv: beam.window.TimestampedValue(kv, 0))
      | beam.WindowInto(FixedWindows(60))
      | beam.ParDo(CountPerKey()))


def deep(p, size, folder):
  """Size: how many stages follow each other."""
  elements = p | beam.Create(range(10))
  for n in range(size // 2):
    elements = (
        elements | 'add %d' % n >> beam.Map(lambda x: x + 1) | 'apart %d' % n >> beam.Reshuffle())


def wide(p, size, folder):
  """Size: how many stages stand side by side."""
  for n in range(size):
    _ = p | 'create %d' % n >> beam.Create([n]) | 'add %d' % n >> beam.Map(lambda x: x + 1)


STREAMED_SECONDS = 10
FIRES_PER_SECOND = 20
WINDOW_SECONDS = 1


class TellLatency(beam.DoFn):
  """Notes how long after its window's end a pane is there."""
  def __init__(self, folder):
    self.folder = folder

  def start_bundle(self):
    self.latencies = []

  def process(self, element, window=beam.DoFn.WindowParam):
    self.latencies.append(time.time() - float(window.end))

  def finish_bundle(self):
    with open(os.path.join(self.folder, 'latencies'), 'a') as out:
      out.write(''.join('%f\n' % latency for latency in self.latencies))


def streaming(p, size, folder):
  """A steady source, size elements a second, through windows. It begins with a window, when the job runs already."""
  started = Timestamp(int(time.time()) + 3)
  per_fire = max(size // FIRES_PER_SECOND, 1)
  _ = (
      p
      | PeriodicImpulse(
          started, started + STREAMED_SECONDS - 1 / FIRES_PER_SECOND, 1 / FIRES_PER_SECOND)
      | beam.FlatMap(lambda _: ((n % 100, n) for n in range(per_fire)))
      | beam.WindowInto(FixedWindows(WINDOW_SECONDS))
      | beam.GroupByKey()
      | beam.ParDo(TellLatency(folder)))


CASES = {
    case.__name__: case
    for case in (
        tiny,
        wordcount,
        group_by_key,
        co_group_by_key,
        combine,
        side_input,
        many_side_inputs,
        state_and_timers,
        deep,
        wide,
        streaming,
    )
}
