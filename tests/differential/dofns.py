"""The user code of the random pipelines. Elements are pairs of a small key and a number.

Nothing here depends on the order of elements, which the model leaves open.
"""

from typing import Iterable, Tuple

import apache_beam as beam
from apache_beam.coders import VarIntCoder
from apache_beam.io.restriction_trackers import OffsetRange
from apache_beam.io.restriction_trackers import OffsetRestrictionTracker
from apache_beam.transforms.core import RestrictionProvider
from apache_beam.transforms.timeutil import TimeDomain
from apache_beam.transforms.userstate import BagStateSpec
from apache_beam.transforms.userstate import CombiningValueStateSpec
from apache_beam.transforms.userstate import ReadModifyWriteStateSpec
from apache_beam.transforms.userstate import SetStateSpec
from apache_beam.transforms.userstate import TimerSpec
from apache_beam.transforms.userstate import on_timer
from apache_beam.transforms.window import TimestampedValue
from apache_beam.utils.windowed_value import WindowedValue

LARGE = 1_000_003
Pair = Tuple[int, int]


def digest(values):
  """One number for a collection, whatever its order."""
  result = 7
  for value in sorted(values):
    result = (result * 31 + value) % LARGE
  return result


@beam.typehints.with_input_types(Pair)
@beam.typehints.with_output_types(Pair)
class Expand(beam.DoFn):
  """As many elements as the number says, modulo `most`."""
  def __init__(self, most):
    self.most = most

  def process(self, element):
    key, number = element
    for index in range(number % self.most):
      yield key, (number + index * 13) % LARGE


@beam.typehints.with_input_types(Pair)
@beam.typehints.with_output_types(Pair)
class Restamp(beam.DoFn):
  """Moves each element to a time within `span` seconds that its number decides."""
  def __init__(self, span):
    self.span = span

  def process(self, element):
    yield TimestampedValue(element, element[1] % self.span)


@beam.typehints.with_input_types(Pair)
@beam.typehints.with_output_types(Pair)
class Route(beam.DoFn):
  """Odd numbers go to a second output."""
  def process(self, element):
    if element[1] % 2:
      yield beam.pvalue.TaggedOutput('odd', element)
    else:
      yield element


@beam.typehints.with_input_types(Tuple[int, Iterable[int]])
@beam.typehints.with_output_types(Pair)
class Spread(beam.DoFn):
  """The elements of batches, at the end of the window; another number for those of a batch that is too large."""
  def __init__(self, most):
    self.most = most

  def process(self, element, window=beam.DoFn.WindowParam):
    key, batch = element
    for number in batch:
      # A TimestampedValue would get windows of its own.
      yield WindowedValue((key, number if len(batch) <= self.most else -1), window.max_timestamp(), (window, ))


class Ranges(RestrictionProvider):
  def initial_restriction(self, element):
    return OffsetRange(0, element[1] % 9)

  def create_tracker(self, restriction):
    return OffsetRestrictionTracker(restriction)

  def restriction_size(self, element, restriction):
    return restriction.size()

  def split(self, element, restriction):
    yield from restriction.split(3)


@beam.typehints.with_input_types(Pair)
@beam.typehints.with_output_types(Pair)
class Count(beam.DoFn):
  """A splittable one: an element per position of a range."""
  def process(self, element, tracker=beam.DoFn.RestrictionParam(Ranges())):
    position = tracker.current_restriction().start
    while tracker.try_claim(position):
      yield element[0], (element[1] + position * 17) % LARGE
      position += 1


@beam.typehints.with_input_types(Pair)
@beam.typehints.with_output_types(Pair)
class SumAtEnd(beam.DoFn):
  """The sum of a key's numbers in a window, when the window is over."""
  TOTAL = CombiningValueStateSpec('total', sum)
  END = TimerSpec('end', TimeDomain.WATERMARK)
  KEY = ReadModifyWriteStateSpec('key', VarIntCoder())

  def process(
      self,
      element,
      window=beam.DoFn.WindowParam,
      total=beam.DoFn.StateParam(TOTAL),
      key=beam.DoFn.StateParam(KEY),
      end=beam.DoFn.TimerParam(END)):
    key.write(element[0])
    total.add(element[1])
    end.set(window.max_timestamp())

  @on_timer(END)
  def at_end(self, total=beam.DoFn.StateParam(TOTAL), key=beam.DoFn.StateParam(KEY)):
    # FnApiRunner may fire a timer twice that was set twice.
    if total.read():
      yield key.read(), total.read() % LARGE
    total.clear()


@beam.typehints.with_input_types(Pair)
@beam.typehints.with_output_types(Pair)
class BagAtEnd(beam.DoFn):
  """A digest of a key's numbers in a window; a timer that was set and moved on tells when."""
  BAG = BagStateSpec('bag', VarIntCoder())
  KEY = ReadModifyWriteStateSpec('key', VarIntCoder())
  END = TimerSpec('end', TimeDomain.WATERMARK)

  def process(
      self,
      element,
      window=beam.DoFn.WindowParam,
      bag=beam.DoFn.StateParam(BAG),
      key=beam.DoFn.StateParam(KEY),
      end=beam.DoFn.TimerParam(END)):
    key.write(element[0])
    bag.add(element[1])
    end.clear()
    end.set(window.max_timestamp())

  @on_timer(END)
  def at_end(self, bag=beam.DoFn.StateParam(BAG), key=beam.DoFn.StateParam(KEY)):
    numbers = list(bag.read())
    if numbers:
      yield key.read(), digest(numbers)
    bag.clear()


@beam.typehints.with_input_types(Pair)
@beam.typehints.with_output_types(Pair)
class FirstOfEach(beam.DoFn):
  """Each different number of a key and window once."""
  SEEN = SetStateSpec('seen', VarIntCoder())

  def process(self, element, seen=beam.DoFn.StateParam(SEEN)):
    if element[1] not in set(seen.read()):
      seen.add(element[1])
      yield element


class Seen(beam.DoFn):
  """Writes what arrives down, with all that the model says of it."""
  results = {}

  def __init__(self, run, exact):
    self.run = run
    self.exact = exact

  def process(
      self,
      element,
      timestamp=beam.DoFn.TimestampParam,
      window=beam.DoFn.WindowParam,
      pane=beam.DoFn.PaneInfoParam):
    start = getattr(window, 'start', None)
    seen = (element, timestamp.micros, None if start is None else start.micros, window.end.micros)
    if self.exact:
      seen += (pane.timing, pane.index, pane.nonspeculative_index, pane.is_first)
    Seen.results.setdefault(self.run, []).append(seen)
