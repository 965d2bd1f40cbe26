"""The differences between runners that are no mistake. `docs/differential.md` says why each of them is none.

An explanation takes what it explains out of both results. Results are explained if they are the same after the fewest explanations
that together make them so.
"""

import collections
import itertools

# The end of the global window, in microseconds. Its largest timestamp is the same, to the millisecond that timestamps are
# encoded with; the Python SDK takes a microsecond off first, and has the millisecond before when it encodes the rest.
END_OF_GLOBAL_WINDOW = 9223371950454775000
EARLY, LATE = 0, 2

Pane = collections.namedtuple('Pane', 'element timestamp start end timing index nonspeculative first')


def normal(seen):
  """What was seen, as it is compared: with timestamps in the milliseconds that a wire carries."""
  element, timestamp, start, end, *rest = seen
  timestamp -= timestamp % 1000
  if timestamp == END_OF_GLOBAL_WINDOW - 1000:
    timestamp = END_OF_GLOBAL_WINDOW
  if start == END_OF_GLOBAL_WINDOW - 1000:
    start, end = start + 1000, end + 1000
  # The Python SDK cuts the microseconds of a negative time off towards zero.
  if timestamp == end and end < 0:
    timestamp -= 1000
  return (element, timestamp, start, end, *rest)


def difference(description, expected, found):
  """Why the results may differ, if they may."""
  if any(isinstance(result, str) for result in expected):
    return 'the reference failed or did not end'
  if not description['exact'] or any(isinstance(result, str) for result in found):
    return None
  window = description['steps'][0][1]
  possible = [explanation for explanation in EXPLANATIONS if explanation.applies(window)]
  for count in range(1, len(possible) + 1):
    for chosen in itertools.combinations(possible, count):
      these, those = panes(expected), panes(found)
      for explanation in chosen:
        these, those = explanation.without(these, those)
      if collections.Counter(these) == collections.Counter(those):
        return '; '.join(explanation.reason for explanation in chosen)
  return None


WITH_TIMERS = ('state_sum', 'state_bag')


def second_opinion(description, second, found):
  """Why FnApiRunner's results may differ, by what BundleBasedDirectRunner has to say."""
  if second == found:
    return 'the other reference agrees with Dataflume'
  failed = any(isinstance(result, str) for result in second)
  return 'timers of FnApiRunner, and the other reference failed' if failed and behind_timers(description) else None


def behind_timers(description):
  """Whether steps with timers are followed by others, or by side inputs."""
  steps = [kind for kind, *_ in description['steps']]
  first = min((steps.index(kind) for kind in WITH_TIMERS if kind in steps), default=len(steps))
  return any(kind in WITH_TIMERS or kind.startswith('side_') for kind in steps[first + 1:])


def panes(results):
  return [Pane(*result) for result in results.elements()]


class LaterTimes:
  """The timestamp of a pane that is not a window's first."""
  reason = 'the timestamp of a pane without new elements'

  def applies(self, window):
    return window['time'] != 'end'

  def without(self, expected, found):
    blank = lambda panes: [pane if pane.index == 0 else pane._replace(timestamp=None) for pane in panes]
    return blank(expected), blank(found)


class EarliestTime:
  """The timestamp of a pane with an element that was behind the watermark when it came."""
  reason = 'the earliest timestamp is one behind the watermark'

  def applies(self, window):
    return window['time'] == 'earliest'

  def without(self, expected, found):
    blank = lambda panes: [pane._replace(timestamp=None) for pane in panes]
    return blank(expected), blank(found)


class LateForEarly:
  """A pane that the reference calls early, when the watermark has passed the window."""
  reason = 'a late pane that is called early'

  def applies(self, window):
    return window['windows'] != 'global'

  def without(self, expected, found):
    blank = lambda panes: [
        pane._replace(timing=EARLY, nonspeculative=None) if pane.timing in (EARLY, LATE) else pane for pane in panes
    ]
    return blank(expected), blank(found)


# In the order in which they have to be applied.
EXPLANATIONS = (LateForEarly(), LaterTimes(), EarliestTime())
