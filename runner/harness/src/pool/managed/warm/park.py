"""A Python interpreter that has imported the SDK harness and waits for a worker to become.

    park.py HARNESS_MODULE PACKAGES_FOLDER

The packages folder is that of the environment it runs in, in which there are none. One line on standard
input names a file with the worker's variables, folder and environment. From then on this process is that
worker: what it is like must not differ from `python -m HARNESS_MODULE` in the job's environment. If what
has been imported might not be what the job would import, it starts from scratch, as that very command.
"""

import atexit
import contextlib
import faulthandler
import gc
import importlib
import importlib.util
import json
import os
import sys
import threading
import types

# Imported by the first bundle of about every job, if not before.
USED_LATER = (
    'apache_beam.runners.worker.bundle_processor',
    'apache_beam.runners.worker.worker_status',
    'concurrent.futures.thread',
    'multiprocessing.dummy',
    'multiprocessing.queues',
)

# Looked for by the interpreter before it gets here.
AT_START = ('sitecustomize', 'usercustomize')

# The packages folder's own.
OWN_FILES = ('dataflume.pth', '__pycache__')


# Modules through which others read the environment.
READERS = ('os', 'posixpath', '_collections_abc', 'collections.abc', __name__)


def set_worker_id(module, home):
  module.WorkerIdInterceptor._worker_id = os.environ.get('WORKER_ID')


def move_jar_cache(module, home):
  cache = module.JavaJarServer.JAR_CACHE
  module.JavaJarServer.JAR_CACHE = os.environ['HOME'] + cache.removeprefix(home)


def move_user_root(module, home):
  module._USER_ROOT = os.environ['HOME']


def keep(module, home):
  """It has looked for a file of the user's, and there is none in either home."""


# What modules keep of variables that they read when they are imported.
KEPT = {
    ('WORKER_ID', 'apache_beam.runners.worker.worker_id_interceptor'): set_worker_id,
    ('HOME', 'apache_beam.utils.subprocess_server'): move_jar_cache,
    ('HOME', 'google.auth._cloud_sdk'): keep,
    ('HOME', 'google.cloud._helpers'): move_user_root,
}


class Watched(type(os.environ)):
  """Notes which module reads which variable."""

  reads = set()

  def note(self, name):
    frame = sys._getframe(2)
    while frame and frame.f_globals.get('__name__') in READERS:
      frame = frame.f_back
    self.reads.add((name, frame.f_globals.get('__name__') if frame else None))

  def __getitem__(self, name):
    self.note(name)
    return super().__getitem__(name)

  def __iter__(self):
    self.note(None)
    return super().__iter__()


class Missing:
  """The last of the finders: notes which modules were looked for in vain."""

  def __init__(self):
    self.names = set(AT_START)

  def find_spec(self, name, path=None, target=None):
    self.names.add(name.partition('.')[0])
    return None


def preload(harness):
  """Imports what the harness needs. Returns the modules that the job must not bring itself, and who has
  read which variable."""
  missing = Missing()
  plain = type(os.environ)
  os.environ.__class__ = Watched
  sys.meta_path.append(missing)
  importlib.import_module(harness.rpartition('.')[0])
  is_module = harness in sys.modules
  for name in (harness, *USED_LATER):
    importlib.import_module(name)
  sys.meta_path.remove(missing)
  os.environ.__class__ = plain
  if not is_module:
    # It will be the main module, and not exist a second time.
    parent, _, name = harness.rpartition('.')
    del sys.modules[harness]
    delattr(sys.modules[parent], name)
  return missing.names | {name.partition('.')[0] for name in sys.modules}, Watched.reads


def read_line():
  line = b''
  while not line.endswith(b'\n'):
    piece = os.read(0, 4096)
    if not piece:
      return None
    line += piece
  return line[:-1].decode()


def become(folder, variables):
  """Takes the place of a new process."""
  nothing = os.open(os.devnull, os.O_RDONLY)
  os.dup2(nothing, 0)
  os.close(nothing)
  os.chdir(folder)
  os.environ.clear()
  os.environ.update(variables)


def conflict(folders, known):
  """The first of what the job brings that may be something that was imported already."""
  for folder in filter(os.path.isdir, folders):
    for name in sorted(os.listdir(folder)):
      # A path file can do anything at an interpreter's start.
      if name not in OWN_FILES and (name.endswith('.pth') or name.partition('.')[0] in known):
        return os.path.join(folder, name)
  return None


def adapt(reads, before):
  """Gives modules the variables as they are now. Returns the first read that can't be made up for."""
  for variable, module in sorted(reads, key=str):
    if variable is not None and os.environ.get(variable) == before.get(variable):
      continue
    try:
      KEPT[variable, module](sys.modules[module], before['HOME'])
    except (AttributeError, KeyError):
      return f'{variable} as {module} knows it'
  return None


def start_afresh(python, harness):
  sys.stdout.flush()
  sys.stderr.flush()
  os.execve(python, [python, '-m', harness], os.environ)


def enter_environment(environment, python, own_packages, packages, folder):
  """What an interpreter finds out about its environment when it starts."""
  sys.path[:] = [folder] + [packages if path == own_packages else path for path in sys.path]
  sys.executable = python
  sys.prefix = sys.exec_prefix = environment
  sysconfig = sys.modules.get('sysconfig')
  if sysconfig:
    sysconfig._PREFIX = sysconfig._EXEC_PREFIX = environment
    sysconfig._CONFIG_VARS = None
  if 'multiprocessing.spawn' in sys.modules:
    sys.modules['multiprocessing.spawn'].set_executable(python)
  if 'tempfile' in sys.modules:
    sys.modules['tempfile'].tempdir = None
  importlib.invalidate_caches()


def start_grpc():
  """What gRPC does once in a process. The channel connects to nothing: that is what its first call would do."""
  from apache_beam.portability.api import beam_fn_api_pb2_grpc
  import grpc
  with grpc.insecure_channel('localhost:1') as channel:
    beam_fn_api_pb2_grpc.BeamFnControlStub(channel)
  # Imported by the first call of one of its functions. Not every version has them.
  for name in ('grpc._interceptor', 'grpc._utilities'):
    with contextlib.suppress(ImportError):
      importlib.import_module(name)


def main_module(harness):
  """The module that `-m` makes, and its code."""
  spec = importlib.util.find_spec(harness)
  module = types.ModuleType('__main__')
  module.__file__ = spec.origin
  module.__cached__ = spec.cached
  module.__loader__ = spec.loader
  module.__package__ = spec.parent
  module.__spec__ = spec
  return module, spec.loader.get_code(harness)


def park(harness, own_packages):
  # The folder of this file.
  del sys.path[0]
  known, reads = preload(harness)
  start_grpc()
  module, code = main_module(harness)
  # What is there now stays: no collection of garbage needs to look at it again.
  gc.collect()
  gc.freeze()
  path = read_line()
  if path is None:
    return None
  with open(path, encoding='utf-8') as file:
    worker = json.load(file)
  os.remove(path)
  before = dict(os.environ)
  become(worker['folder'], worker['variables'])
  environment, python, packages = worker['environment'], worker['python'], worker['packages']
  reason = conflict([packages, worker['staged']], known) or adapt(reads, before)
  if reason:
    print('starting from scratch because of', reason, file=sys.stderr)
    start_afresh(python, harness)
  enter_environment(environment, python, own_packages, packages, worker['folder'])
  # Of native code that fails, only the thread that ran it: a job's message has no room for all those of the SDK.
  faulthandler.enable(all_threads=False)
  sys.argv[:] = [module.__file__]
  sys.modules['__main__'] = module
  return code, module.__dict__


def leave():
  """Ends the process as an interpreter ends, but does not take modules and heap apart, for a third of a second."""
  threading._shutdown()
  atexit._run_exitfuncs()
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(0)


if __name__ == '__main__':
  main = park(*sys.argv[1:])
  if main:
    exec(*main)
    leave()
