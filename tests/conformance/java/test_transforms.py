"""The transforms of Beam's own expansion service test, for Java's cross-language tests.

Beam's module can be run as a service too, but then it wants scikit-learn for a transform that these tests don't use.
"""

# Registers the transforms.
from apache_beam.runners.portability import expansion_service_test  # pylint: disable=unused-import
from apache_beam.transforms.environments import PyPIArtifactRegistry

# Of the transform that parses HTML.
PyPIArtifactRegistry.register_artifact('beautifulsoup4', '>=4.9,<5.0')
