"""What a pipeline over bounded input has to give, worked out without a runner.

Beam's model leaves a bounded pipeline one result, as long as its code does not depend on order. So the steps are carried out here
on lists: an element is a value with a timestamp and a window, and a grouping sees all of its input at once. Times are in
microseconds, cut to the milliseconds that a wire carries.
"""

import collections

import dofns

SECOND = 1_000_000
MILLI = 1000
EARLIEST = -9223372036854775000
END_OF_GLOBAL_WINDOW = 9223371950454775000

Window = collections.namedtuple('Window', 'start end')
Element = collections.namedtuple('Element', 'value timestamp window')
GLOBAL = Window(EARLIEST, END_OF_GLOBAL_WINDOW)


def expected(description):
  """As `explained.normal` has it of what a runner gave; `None` of what only a runner can tell."""
  source = description['source']
  if source['kind'] == 'stream':
    return None
  stamped = source['kind'] == 'stamped'
  elements = [Element((key, number), time * SECOND if stamped else EARLIEST, GLOBAL) for key, number, time in source['elements']]
  windowing = {'windows': 'global', 'time': 'end'}
  for name, arguments in description['steps']:
    if name == 'window':
      windowing = arguments
      elements = [
          element._replace(window=window) for element in elements for window in windows_of(windowing, element.timestamp)
      ]
    else:
      elements = STEPS[name](elements, windowing, **arguments)
  return collections.Counter((*element[:2], *element.window) for element in elements)


def windows_of(windowing, timestamp):
  kind = windowing['windows']
  if kind == 'global':
    return [GLOBAL]
  if kind == 'sessions':
    return [Window(timestamp, timestamp + windowing['gap'] * SECOND)]
  size = windowing['size'] * SECOND
  period = windowing.get('period', windowing['size']) * SECOND
  last = timestamp - (timestamp - windowing.get('offset', 0) * SECOND) % period
  return [Window(max(start, EARLIEST), start + size) for start in range(last, timestamp - size, -period)]


def last_of(window):
  return window.end if window == GLOBAL else window.end - MILLI


def grouped(elements, windowing, key=lambda value: value[0], of=lambda value: value[1]):
  """A list of values per key and window, at the time that the windowing's combiner says."""
  by_key = collections.defaultdict(list)
  for element in elements:
    by_key[key(element.value)].append(element)
  for found, members in by_key.items():
    for window, those in panes(members, windowing):
      times = [element.timestamp for element in those]
      at = {'end': lambda: last_of(window), 'earliest': lambda: min(times), 'latest': lambda: max(times)}[windowing['time']]()
      yield Element((found, [of(element.value) for element in those]), at, window)


def panes(members, windowing):
  """The elements of each window; of windows that merge, of each merged one."""
  result = []
  for element in sorted(members, key=lambda element: element.window):
    window = element.window
    if result:
      before, those = result[-1]
      if before == window or (windowing['windows'] == 'sessions' and before.end > window.start):
        result[-1] = (Window(before.start, max(before.end, window.end)), those + [element])
        continue
    result.append((window, [element]))
  return result


def _each(function):
  """A step that looks at one value at a time."""
  def step(elements, _windowing, **arguments):
    return [element._replace(value=value) for element in elements for value in function(element.value, **arguments)]
  return step


def _combined(function):
  def step(elements, windowing):
    return [element._replace(value=(element.value[0], function(element.value[1]))) for element in grouped(elements, windowing)]
  return step


def _distinct(elements, windowing):
  whole = lambda value: value
  return [element._replace(value=element.value[0]) for element in grouped(elements, windowing, whole, whole)]


def _flatten(elements, windowing):
  other = [element._replace(value=(element.value[0] + 1, element.value[1])) for element in elements]
  return elements + _combined(sum)(other, windowing)


def _join(elements, windowing):
  one = [element._replace(value=(element.value[0], (True, element.value[1]))) for element in elements]
  two = [element._replace(value=(element.value[0] % 2, (False, element.value[1] + 5))) for element in elements]

  def joined(both):
    digests = [dofns.digest(number for first, number in both if first is which) for which in (True, False)]
    return digests[0] * 3 + digests[1]

  return _combined(joined)(one + two, windowing)


def _restamp(elements, windowing, span):
  times = [(element, element.value[1] % span * SECOND) for element in elements]
  # The Python SDK assigns windows anew to elements whose timestamp is changed.
  return [Element(element.value, time, window) for element, time in times for window in windows_of(windowing, time)]


def _globally(elements, windowing):
  totals = grouped(elements, windowing, key=lambda value: 0)
  return [element._replace(value=(0, sum(element.value[1]) % dofns.LARGE)) for element in totals]


def _at_end(elements, windowing):
  return [element._replace(timestamp=last_of(element.window)) for element in elements]


def _batches(elements, windowing, size):
  return _at_end(elements, windowing)


def _at_end_of_key(function, only_if=bool):
  """What a timer at the end of the window makes of a key's numbers, if there is something to make it of."""
  def step(elements, windowing):
    totals = [(element, function(element.value[1])) for element in grouped(elements, windowing) if only_if(element.value[1])]
    return _at_end([element._replace(value=(element.value[0], total)) for element, total in totals], windowing)
  return step


def _state_set(elements, _windowing):
  first = {}
  for element in elements:
    first.setdefault((element.value, element.window), element)
  return list(first.values())


def _side(view, use):
  """Each element sees what the side input has in its window. Side inputs have their readers' windows here."""
  def step(elements, windowing):
    values = [element._replace(value=(element.value[0], element.value[1] % 50)) for element in elements]
    by_window = collections.defaultdict(list)
    for element in values:
      by_window[element.window].append(element)
    seen = {window: view([element.value for element in those]) for window, those in by_window.items()}
    return [
        element._replace(value=(element.value[0], element.value[1] + use(element.value, seen[element.window]))) for element in elements
    ]
  return step


def _sums(values):
  sums = collections.Counter()
  for key, number in values:
    sums[key] += number
  return sums


STEPS = {
    'map': _each(lambda e, by: [(e[0], (e[1] * by + 1) % dofns.LARGE)]),
    'filter': _each(lambda e, by: [e] if e[1] % by else []),
    'expand': _each(lambda e, by: dofns.Expand(by).process(e)),
    'rekey': _each(lambda e, by: [((e[0] + e[1]) % by, e[1])]),
    'group': _combined(dofns.digest),
    'sum': _combined(lambda numbers: sum(numbers) % dofns.LARGE),
    'most': _combined(max),
    'count': _combined(len),
    'mean': _combined(lambda numbers: int(sum(numbers) / len(numbers))),
    'distinct': _distinct,
    'reshuffle': lambda elements, windowing: elements,
    'tagged': _each(lambda e: [(e[0], e[1] + 1) if e[1] % 2 else e]),
    'partition': _each(lambda e, by: [e] if e[1] % by else []),
    'flatten': _flatten,
    'join': _join,
    'splittable': _each(lambda e: [(e[0], (e[1] + position * 17) % dofns.LARGE) for position in range(e[1] % 9)]),
    'restamp': _restamp,
    'globally': _globally,
    'batches': _batches,
    'state_sum': _at_end_of_key(lambda numbers: sum(numbers) % dofns.LARGE, only_if=sum),
    'state_bag': _at_end_of_key(dofns.digest),
    'state_set': _state_set,
    'side_iter': _side(lambda side: dofns.digest(number for _, number in side), lambda _, digest: digest),
    'side_list': _side(len, lambda _, count: count),
    'side_dict': _side(_sums, lambda e, sums: sums.get(e[0] + 1, -7)),
    'side_single': _side(lambda side: sum(number for _, number in side), lambda _, total: total),
}
