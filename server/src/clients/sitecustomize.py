"""Lets Beam's DataflowRunner, and clients made of discovery documents, find the emulator that this process was started beside.

Neither has a variable for it: the SDK has an option for its Dataflow endpoint, and clients made by googleapiclient, such as Airflow's
hooks, go where Google's description of the API says. This changes the default of the one and the address in the other, when and if
the modules that define them are imported, and does nothing else.
"""

import os
import sys


def _path_finder():
  return sys.modules['_frozen_importlib_external'].PathFinder


def _set_endpoint(module, url):
  """Changes the default of --dataflow_endpoint. A flag of the user's still wins."""
  options = getattr(module, 'GoogleCloudOptions', None)
  if options is None:
    return
  add_arguments = options._add_argparse_args.__func__

  def add_arguments_for_emulator(cls, parser):
    add_arguments(cls, parser)
    parser.set_defaults(dataflow_endpoint=url)

  options._add_argparse_args = classmethod(add_arguments_for_emulator)


def _set_root(module, url):
  """Changes where the emulated APIs are described to be. An api_endpoint of the user's still wins."""
  build = getattr(module, 'build_from_document', None)
  if build is None:
    return

  def build_from_document(service, *arguments, **more):
    if isinstance(service, (str, bytes)):
      service = module.json.loads(service)
    if service.get('name') in ('dataflow', 'storage'):
      service = {**service, 'rootUrl': url + '/'}
      service.pop('mtlsRootUrl', None)
    return build(service, *arguments, **more)

  build_from_document.__doc__ = build.__doc__
  module.build_from_document = build_from_document


_CHANGES = {
    'apache_beam.options.pipeline_options': _set_endpoint,
    'googleapiclient.discovery': _set_root,
}


class _Finder:
  """Waits for the modules to be imported."""
  @classmethod
  def find_spec(cls, name, path=None, target=None):
    change = _CHANGES.pop(name, None)
    if change is None:
      return None
    if not _CHANGES:
      sys.meta_path.remove(cls)
    spec = _path_finder().find_spec(name, path, target)
    if spec is None or spec.loader is None:
      return spec
    execute = spec.loader.exec_module

    def execute_and_change(module):
      execute(module)
      change(module, os.environ['DATAFLUME_URL'])

    spec.loader.exec_module = execute_and_change
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
