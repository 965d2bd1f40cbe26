"""The package that `main.py` needs on its workers."""

import setuptools

setuptools.setup(
    name='textstats',
    version='1.0.0',
    description='Statistics on words, for pipelines.',
    packages=['textstats'],
    python_requires='>=3.10')
