"""Random pipelines, as data: a description that is printed when two runners differ, and that `build` makes a pipeline of."""

import random

SOURCES = ('create', 'create', 'stamped', 'stream')
EVERYWHERE = (
    'map', 'filter', 'expand', 'rekey', 'group', 'sum', 'most', 'count', 'mean', 'distinct', 'reshuffle', 'tagged', 'partition',
    'flatten', 'join', 'splittable', 'restamp', 'window', 'globally', 'batches')
# State and side inputs have no meaning in windows that merge.
UNMERGED = ('state_sum', 'state_bag', 'state_set', 'side_iter', 'side_list', 'side_dict', 'side_single')
# Behind a trigger; grouped again, the result would depend on which panes meet in a bundle.
STREAMED = ('map', 'filter', 'expand', 'rekey', 'tagged', 'flatten_mapped')
TRIGGERS = ('default', 'after_count', 'repeated_count', 'early_late', 'repeated_early_late', 'each', 'any', 'or_finally')


def pipeline(seed):
  """A source and steps; each step is a name with its arguments."""
  chosen = random.Random(seed)
  kind = chosen.choice(SOURCES)
  source = _stream(chosen) if kind == 'stream' else _bounded(chosen, kind)
  steps = []
  windows = 'global'
  if kind == 'stream':
    window = _window(chosen)
    windows = window['windows']
    steps.append(('window', {**window, **_trigger(chosen)}))
    names = STREAMED
    # The first grouping is where the trigger acts; what follows sees its panes.
    steps.append((chosen.choice(('group', 'sum', 'count')), {}))
  else:
    names = EVERYWHERE
  for _ in range(chosen.randint(0 if kind == 'stream' else 1, 2 if kind == 'stream' else 6)):
    name = chosen.choice(names if windows == 'sessions' or names is STREAMED else names + UNMERGED)
    arguments = {}
    if name == 'window':
      arguments = _window(chosen)
      windows = arguments['windows']
    elif name == 'restamp':
      arguments = {'span': chosen.choice((10, 60, 200))}
    elif name in ('map', 'filter', 'expand', 'rekey', 'partition'):
      arguments = {'by': chosen.randint(2, 5)}
    elif name == 'batches':
      arguments = {'size': chosen.randint(1, 4)}
    steps.append((name, arguments))
  return {'seed': seed, 'source': source, 'steps': steps, 'exact': kind == 'stream'}


def _bounded(chosen, kind):
  count = chosen.choice((0, 1, 3, 10, 40))
  elements = [(chosen.randrange(4), chosen.randrange(1000), chosen.randrange(120)) for _ in range(count)]
  return {'kind': kind, 'elements': elements}


def _stream(chosen):
  """Events of a TestStream: elements, some of them late, between advances of the watermark."""
  events, watermark = [], 0
  for _ in range(chosen.randint(1, 8)):
    if chosen.random() < 0.6:
      elements = []
      # One of a key: whether a trigger looks after each element or after each bundle is left open.
      for key in chosen.sample(range(3), chosen.randint(1, 3)):
        early = chosen.randint(0, 60) if chosen.random() < 0.3 else 0
        elements.append((key, chosen.randrange(100), max(0, watermark + chosen.randint(0, 40) - early)))
      events.append(('elements', elements))
    else:
      watermark += chosen.randint(1, 40)
      # Never at the end of a window: the reference calls a pane that fires just then an early one.
      events.append(('watermark', watermark + 0.5))
  return {'kind': 'stream', 'events': events}


def _window(chosen):
  kind = chosen.choice(('fixed', 'fixed', 'sliding', 'sessions', 'global'))
  result = {'windows': kind}
  if kind == 'fixed':
    result['size'] = chosen.choice((5, 20, 60))
    result['offset'] = chosen.choice((0, 3))
  elif kind == 'sliding':
    result['period'] = chosen.choice((5, 20))
    result['size'] = result['period'] * chosen.choice((1, 2, 3))
  elif kind == 'sessions':
    result['gap'] = chosen.choice((5, 15))
  result['time'] = chosen.choice(('end', 'end', 'earliest', 'latest'))
  return result


def _trigger(chosen):
  return {
      'trigger': chosen.choice(TRIGGERS),
      'count': chosen.randint(1, 3),
      'accumulating': chosen.random() < 0.5,
      'lateness': chosen.choice((0, 0, 10, 100)),
  }
