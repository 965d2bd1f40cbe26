"""Runs a program as Python itself does, and ends the process without tearing the interpreter down.

    run.py PROGRAM [ARGUMENT...]

gRPC for Python now and then deadlocks in that teardown, when a pipeline's job has long ended and its result was told. A
test is about the job, not about that.
"""

import os
import runpy
import sys
import traceback


def main():
  sys.argv = sys.argv[1:]
  sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
  code = 0
  try:
    runpy.run_path(sys.argv[0], run_name='__main__')
  except SystemExit as ended:
    code = ended.code if isinstance(ended.code, int) else int(ended.code is not None)
  except BaseException:
    traceback.print_exc()
    code = 1
  sys.stdout.flush()
  sys.stderr.flush()
  os._exit(code)


main()
