"""A pytest plugin for the suite of gcsfs.

Against an emulator, the suite deletes its versioned bucket with the old generations still in it. Cloud Storage refuses that, and so
does Dataflume: this takes them away before each test that uses the bucket, as the suite itself does against the service.
"""

import pytest
import requests

BUCKET = "gcsfs_test_versioned"


@pytest.fixture(autouse=True)
def _no_old_generations(request):
    if "gcs_versioned" in request.fixturenames:
        objects = f"{request.getfixturevalue('docker_gcs')}/storage/v1/b/{BUCKET}/o"
        for found in requests.get(objects, params={"versions": "true"}).json().get("items", []):
            name = requests.utils.quote(found["name"], safe="")
            requests.delete(f"{objects}/{name}", params={"generation": found["generation"]})
    yield
