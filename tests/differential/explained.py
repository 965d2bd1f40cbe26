"""The differences between runners that are no mistake. `docs/differential.md` says why each of them is none."""

import collections
import itertools

# The end of the global window, in microseconds. Its largest timestamp is the same, to the millisecond that timestamps are
# encoded with; the Python SDK takes a microsecond off first, and has the millisecond before when it encodes the rest.
END_OF_GLOBAL_WINDOW = 9223371950454775000
EARLIEST = -9223372036854775000
EARLY, LATE = 0, 2

class Stalled(collections.Counter):
  """What came out before a runner found that it can't go on."""


Pane = collections.namedtuple('Pane', 'element timestamp start end timing index nonspeculative first')


def normal(seen):
  """What was seen, as it is compared: with timestamps in the milliseconds that a wire carries."""
  element, timestamp, start, end, *rest = seen
  timestamp -= timestamp % 1000
  if timestamp == END_OF_GLOBAL_WINDOW - 1000:
    timestamp = END_OF_GLOBAL_WINDOW
  if start in (END_OF_GLOBAL_WINDOW - 1000, END_OF_GLOBAL_WINDOW):
    start, end, timestamp = at_end_of_time(end, timestamp)
  # Windows that begin before all time are cut when they are encoded.
  if start is not None:
    start = max(start, EARLIEST)
  # The Python SDK cuts the microseconds of a negative time off towards zero.
  if timestamp == end and end < 0:
    timestamp -= 1000
  return (element, timestamp, start, end, *rest)


def at_end_of_time(end, timestamp):
  """The start, end and timestamp of a session of elements that are at either of the two ends of the global window."""
  short = (END_OF_GLOBAL_WINDOW - end) % 1_000_000
  if short == 1000:
    timestamp += 1000 if timestamp == end - 1000 else 0
    end += 1000
  return END_OF_GLOBAL_WINDOW, end, timestamp


def failed(result):
  return any(isinstance(seen, str) for seen in result)


WORKED_OUT_DIFFERENTLY = 'same, though something else was worked out'


def of_bounded(expected, theirs, found):
  """Why the results are right: what is worked out counts, where the reference gives something else. `None` if they are not."""
  if failed(found):
    return None
  if found == theirs:
    if found == expected:
      return 'same, nothing came out' if not found else 'same'
    return WORKED_OUT_DIFFERENTLY
  if found != expected:
    return None
  return 'explained: FnApiRunner failed or did not end; as worked out' if failed(theirs) else 'explained: FnApiRunner differs; as worked out'


def of_stream(description, theirs, found):
  """Why the results are right, or `None` if they are not."""
  if failed(found):
    return None
  if found == theirs and not isinstance(theirs, Stalled):
    return 'same, nothing came out' if not found else 'same'
  if failed(theirs):
    return f'explained: BundleBasedDirectRunner ended with a {kind(theirs)}'
  reasons = {STALLED} if isinstance(theirs, Stalled) else set()
  for these, those in pairs(theirs, found):
    if not these and STALLED in reasons and those.timing != EARLY:
      continue
    if these != those:
      reason = of_panes(description, these, those)
      if not reason:
        return None
      reasons |= reason
  return 'explained: ' + '; '.join(sorted(reasons))


def kind(result):
  """The name of the error that a run ended with."""
  text = next(iter(result)).strip().splitlines()[-1]
  return text.split(':')[0].rsplit('.', 1)[-1]


def pairs(theirs, found):
  """What each has for the same pane of the same window; `None` for what only one of them has."""
  identity = lambda pane: (pane.element, pane.start, pane.end, pane.index)
  by_identity = collections.defaultdict(lambda: ([], []))
  for which, results in enumerate((theirs, found)):
    for pane in sorted(Pane(*seen) for seen in results.elements()):
      by_identity[identity(pane)][which].append(pane)
  for these, those in by_identity.values():
    yield from itertools.zip_longest(these, those)


def of_panes(description, these, those):
  """Why two panes may differ: a reason per thing in which they do."""
  if not these and those.timing == LATE and behind_watermark(description, those)[1]:
    return {NEVER_EMITTED}
  if not these or not those or these.first != those.first:
    return None
  window = description['steps'][0][1]
  last = those.end if those.end == END_OF_GLOBAL_WINDOW else those.end - 1000
  behind, late = behind_watermark(description, those)
  reasons = set()
  if these.timestamp != those.timestamp:
    if window['time'] == 'end':
      return None
    # Panes of sessions are numbered anew when sessions merge.
    if (those.index > 0 or window['windows'] == 'sessions') and repeats(description, these, those, last):
      reasons.add(REPEATED_TIME)
    elif behind:
      reasons.add(BEHIND_WATERMARK)
    else:
      return None
  if these.timing != those.timing and these.timing != EARLY:
    return None
  if (these.timing, these.nonspeculative) != (those.timing, those.nonspeculative):
    if not late:
      return None
    reasons.add(LATE_FOR_EARLY)
  return reasons


def repeats(description, these, those, last):
  """Whether one timestamp can be that of the elements of all panes so far, and the other that of this pane's own, if it has any."""
  times = {time * 1_000_000 for event, what in description['source']['events'] if event == 'elements' for _, _, time in what}
  if these.timestamp not in times:
    return False
  further = these.timestamp > those.timestamp if description['steps'][0][1]['time'] == 'latest' else these.timestamp < those.timestamp
  return those.timestamp == last or (those.timestamp in times and further)


def behind_watermark(description, pane):
  """Whether elements came to a pane's window that were behind the watermark, and such that came behind the window's end."""
  watermark = float('-inf')
  behind = late = False
  for event, what in description['source']['events']:
    if event == 'watermark':
      watermark = what * 1_000_000
      continue
    times = [time * 1_000_000 for _, _, time in what]
    # A session is larger than any of its elements' own windows.
    inside = [time for time in times if pane.end == END_OF_GLOBAL_WINDOW or pane.start <= time < pane.end]
    behind = behind or any(time < watermark for time in inside)
    late = late or any(pane.end <= watermark or ends_before(description, time, watermark) for time in inside)
  return behind, late


def ends_before(description, time, watermark):
  """Whether the watermark has passed the session that an element at this time is one of its own."""
  window = description['steps'][0][1]
  return window['windows'] == 'sessions' and time + window['gap'] * 1_000_000 <= watermark


REPEATED_TIME = 'the timestamp of a pane has to do with earlier panes'
BEHIND_WATERMARK = 'the timestamp of an element behind the watermark'
STALLED = 'BundleBasedDirectRunner stalls: its panes, and those that were still due'
NEVER_EMITTED = 'late elements when their window expires'
LATE_FOR_EARLY = 'a pane behind the end of its window that is called early'
