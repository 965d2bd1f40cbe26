"""Writes what the installed apache-beam says about Beam's portability API to stdout.

`descriptors.py descriptors`: a serialized FileDescriptorSet.
`descriptors.py urns`: a line per enum value that stands for a text: its full name, a tab, the text.
"""

import importlib
import pkgutil
import sys

from apache_beam.portability.api.org.apache.beam import model
from google.protobuf import descriptor_pb2


def generated_modules():
    for module in pkgutil.walk_packages(model.__path__, model.__name__ + "."):
        if module.name.endswith("_pb2"):
            yield importlib.import_module(module.name)


def with_imports(files):
    seen, queue = {}, list(files)
    while queue:
        file = queue.pop()
        if file.name not in seen:
            seen[file.name] = file
            queue.extend(file.dependencies)
    return [seen[name] for name in sorted(seen)]


def enums_of(file):
    queue = list(file.message_types_by_name.values())
    yield from file.enum_types_by_name.values()
    while queue:
        message = queue.pop()
        yield from message.enum_types
        queue.extend(message.nested_types)


def text_of(options):
    for extension, value in options.ListFields():
        if extension.is_extension and extension.name in ("beam_urn", "beam_constant"):
            return value
        if extension.is_extension and extension.name == "monitoring_info_spec":
            return value.urn
    return None


def main(what):
    files = with_imports(module.DESCRIPTOR for module in generated_modules())
    if what == "descriptors":
        found = descriptor_pb2.FileDescriptorSet()
        for file in files:
            file.CopyToProto(found.file.add())
        sys.stdout.buffer.write(found.SerializeToString())
    elif what == "urns":
        for file in files:
            for enum in enums_of(file):
                for value in enum.values:
                    text = text_of(value.GetOptions())
                    if text is not None:
                        print(f"{enum.full_name}.{value.name}\t{text}")
    else:
        sys.exit(__doc__)


main(*sys.argv[1:])
