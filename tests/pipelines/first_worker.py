"""Tells its worker's id, and what that has of the list of packages that were installed where the pipeline was submitted."""

import os

import apache_beam as beam
from written import write


def tell(_):
  staged = os.path.join(os.environ['SEMI_PERSISTENT_DIRECTORY'], 'staged')
  with open(os.path.join(staged, 'submission_environment_dependencies.txt')) as file:
    has_sdk = 'apache-beam' in file.read()
  return f"{os.environ['WORKER_ID']}: {'the SDK is' if has_sdk else 'it is not'} on the list"


if __name__ == '__main__':
  write(beam.Map(tell))
