"""Writes the version of the package objsize, which the SDK itself imports, that its worker has."""

import apache_beam as beam
from written import write


def version(_):
  import objsize

  return getattr(objsize, '__version__', 'the version that was there')


if __name__ == '__main__':
  write(beam.Map(version))
