"""Lets Beam's DataflowRunner find the emulator that this process was started beside.

The Python SDK has no variable for its Dataflow endpoint, only an option. This gives the option
another default, when and if the module that defines it is imported, and does nothing else.
"""

import os
import sys

_MODULE = 'apache_beam.options.pipeline_options'


def _path_finder():
  return sys.modules['_frozen_importlib_external'].PathFinder


def _set_endpoint(module):
  """Changes the default of --dataflow_endpoint. A flag of the user's still wins."""
  options = getattr(module, 'GoogleCloudOptions', None)
  url = os.environ.get('DATAFLUME_URL')
  if options is None or not url:
    return
  add_arguments = options._add_argparse_args.__func__

  def add_arguments_for_emulator(cls, parser):
    add_arguments(cls, parser)
    parser.set_defaults(dataflow_endpoint=url)

  options._add_argparse_args = classmethod(add_arguments_for_emulator)


class _Finder:
  """Waits for the one module to be imported."""
  @classmethod
  def find_spec(cls, name, path=None, target=None):
    if name != _MODULE:
      return None
    sys.meta_path.remove(cls)
    spec = _path_finder().find_spec(name, path, target)
    if spec is None or spec.loader is None:
      return spec
    execute = spec.loader.exec_module

    def execute_and_set(module):
      execute(module)
      _set_endpoint(module)

    spec.loader.exec_module = execute_and_set
    return spec


def _run_hidden():
  """Runs the sitecustomize that would have run if this one had not come first."""
  own = os.path.dirname(os.path.abspath(__file__))
  others = [entry for entry in sys.path if os.path.abspath(entry or '.') != own]
  spec = _path_finder().find_spec('sitecustomize', others)
  if spec is None or spec.loader is None:
    return
  module = sys.modules['_frozen_importlib'].module_from_spec(spec)
  sys.modules['sitecustomize'] = module
  spec.loader.exec_module(module)


if os.environ.get('DATAFLUME_URL'):
  sys.meta_path.insert(0, _Finder)
_run_hidden()
