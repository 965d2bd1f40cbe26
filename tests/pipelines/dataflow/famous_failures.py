"""Ten famous failures of Dataflow's users, and what leads to the cause. Seven of them are fine on Beam's DirectRunner.

    famous_failures.py                  runs them all on both, each in a process of its own; says which did not end as they should
    famous_failures.py NAME [RUNNER]    runs one
"""

import os
import re
import sqlite3
import sys
import tempfile
import time
import traceback

import apache_beam as beam
# Imported before the processes are forked: it takes seconds.
import apache_beam.io.gcp.gcsio
import apache_beam.runners.dataflow.dataflow_runner
import apache_beam.runners.dataflow.internal.apiclient
from apache_beam.options.pipeline_options import PipelineOptions

TABLE = {1: 'one'}
DATAFLOW, DIRECT = 'DataflowRunner', 'DirectRunner'


def options(name, **more):
  if runner == DIRECT:
    # With this one, the DirectRunner does not look for another runner to download.
    return PipelineOptions(runner=DIRECT, update_compatibility_version=beam.__version__)
  flags = {
      'runner': DATAFLOW,
      'project': 'my-project',
      'region': 'us-central1',
      'temp_location': 'gs://failures/temp',
      'job_name': name.replace('_', '-'),
      **more,
  }
  return PipelineOptions([f'--{flag}={value}' for flag, value in flags.items() if value])


def run(name, build, **more):
  pipeline = beam.Pipeline(options=options(name, **more))
  build(pipeline)
  return pipeline.run()


def finish(name, build, **more):
  run(name, build, **more).wait_until_finish()


def global_of_the_main_session(name):
  def look_up(element):
    import __main__
    return __main__.TABLE[element]

  finish(name, lambda p: p | beam.Create([1]) | beam.Map(look_up))


def missing_requirement(name):
  with tempfile.TemporaryDirectory() as folder:
    with open(os.path.join(folder, 'only_here.py'), 'w') as module:
      module.write('def double(element):\n  return 2 * element\n')
    sys.path.insert(0, folder)
    import only_here
    finish(name, lambda p: p | beam.Create([1]) | beam.Map(only_here.double))


def unpicklable_closure(name):
  connection = sqlite3.connect(':memory:')

  def select(element):
    return connection.execute('select ?', (element,)).fetchone()

  finish(name, lambda p: p | beam.Create([1]) | beam.Map(select))


def local_file(name):
  with tempfile.NamedTemporaryFile('w', suffix='.txt') as file:
    file.write('a line\n')
    file.flush()
    finish(name, lambda p: p | beam.io.ReadFromText(file.name) | beam.Map(len))


def state_shared_through_the_process(name):
  def remember(element):
    os.environ['SEEN'] = os.environ.get('SEEN', '') + str(element)

  finish(name, lambda p: p | beam.Create([1, 2, 3]) | beam.Map(remember))
  seen = os.environ.get('SEEN')
  assert seen == '123', f'the variable that the DoFn set is {seen}'


def missing_temp_bucket(name):
  finish(name, lambda p: p | beam.Create([1]), temp_location=None)


class Key:
  def __init__(self, value):
    self.value = value


def key_without_a_deterministic_coder(name):
  finish(
      name, lambda p: p | beam.Create([1]) | beam.Map(lambda element: (Key(element), element))
      | beam.GroupByKey())


def too_large_a_graph(name):
  finish(name, lambda p: p | beam.Create([os.urandom(5 << 20)]) | beam.Map(len))


def name_clash(name):
  seconds = 60 if runner == DATAFLOW else 0
  first = run(name, lambda p: p | beam.Create([1]) | beam.Map(lambda _: time.sleep(seconds)))
  try:
    run(name, lambda p: p | beam.Create([1]))
  finally:
    if runner == DATAFLOW:
      first.cancel()


def always_throws(name):
  def throw(element):
    raise ValueError(f'no element pleases me, not even {element}')

  finish(name, lambda p: p | beam.Create([1]) | beam.Map(throw))


# What each has to say on Dataflow, which leads to the cause.
CASES = {
    global_of_the_main_session: r"module '__main__' has no attribute 'TABLE'",
    missing_requirement: r"No module named 'only_here'",
    unpicklable_closure: r"cannot pickle 'sqlite3.Connection' object",
    local_file: r'\.txt.* is a file of the machine that the job was submitted from',
    state_shared_through_the_process: r'the variable that the DoFn set is None',
    missing_temp_bucket: r'temp_location',
    key_without_a_deterministic_coder: r'deterministic',
    too_large_a_graph: r'The job graph is too large',
    name_clash: r'There is already an active job named name-clash',
    always_throws: r'failed 4 times(.|\n)*no element pleases me, not even 1',
}

# Those that the DirectRunner does not let pass either: it pickles what it runs, and encodes keys.
FAIL_EVERYWHERE = {
    unpicklable_closure: CASES[unpicklable_closure],
    key_without_a_deterministic_coder: CASES[key_without_a_deterministic_coder],
    always_throws: r'no element pleases me, not even 1',
}

runner = DATAFLOW


def start(case, of, log):
  """Runs the case in a fork, on that runner, with all output in the file."""
  global runner
  pid = os.fork()
  if pid:
    return pid
  code = 0
  os.dup2(log.fileno(), 1)
  os.dup2(log.fileno(), 2)
  try:
    runner = of
    case(case.__name__)
  except BaseException:
    traceback.print_exc()
    code = 1
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)


def judge(case, of, code, shown):
  cause = CASES[case] if of == DATAFLOW else FAIL_EVERYWHERE.get(case)
  if cause is None:
    return f'{case.__name__} failed on {of}:\n{shown[-3000:]}' if code else None
  if code == 0:
    return f'{case.__name__} did not fail on {of}'
  if not re.search(cause, shown):
    return f'{case.__name__} failed on {of} without saying why:\n{shown[-3000:]}'
  return None


def run_all():
  wrong, running, waiting = [], {}, [(case, of) for of in (DATAFLOW, DIRECT) for case in CASES]
  while waiting or running:
    while waiting and len(running) < 5:
      log = tempfile.TemporaryFile('w+')
      case, of = waiting.pop(0)
      running[start(case, of, log)] = (case, of, log)
    pid, status = os.wait()
    case, of, log = running.pop(pid)
    log.seek(0)
    said = judge(case, of, status, log.read())
    wrong.extend([(of, said)] if said else [])
  return wrong


def main():
  global runner
  if len(sys.argv) > 1:
    case, = [case for case in CASES if case.__name__ == sys.argv[1]]
    runner = (sys.argv[2:] or [DATAFLOW])[0]
    case(case.__name__)
    return
  wrong = run_all()
  for _, said in wrong:
    print(said)
  for of, what in ((DATAFLOW, 'failed, with the cause'), (DIRECT, 'passed or failed on DirectRunner as they should')):
    print(f'{len(CASES) - sum(each == of for each, _ in wrong)} of {len(CASES)} {what}')
  sys.exit(bool(wrong))


if __name__ == '__main__':
  main()
