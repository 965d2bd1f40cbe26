"""google-cloud-storage against a running emulator, which STORAGE_EMULATOR_HOST names."""

import base64
import datetime
import gzip
import hashlib
import io
import os
import uuid

import pytest
from google.api_core import exceptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

MIB = 1 << 20


@pytest.fixture(scope="module")
def client():
    return storage.Client(project="clients", credentials=AnonymousCredentials())


@pytest.fixture
def bucket(client):
    bucket = client.create_bucket(f"py-{uuid.uuid4().hex}", location="europe-west1")
    yield bucket
    for blob in client.list_blobs(bucket, versions=True):
        blob.delete()
    bucket.delete()


def test_buckets(client, bucket):
    assert bucket.location == "EUROPE-WEST1" and bucket.exists()
    assert bucket.name in [found.name for found in client.list_buckets()]
    with pytest.raises(exceptions.Conflict):
        client.create_bucket(bucket.name)
    bucket.labels = {"team": "data"}
    bucket.storage_class = "NEARLINE"
    bucket.patch()
    again = client.get_bucket(bucket.name)
    assert (again.labels, again.storage_class) == ({"team": "data"}, "NEARLINE")
    permissions = ["storage.objects.get", "storage.objects.list"]
    assert bucket.test_iam_permissions(permissions) == permissions
    policy = bucket.get_iam_policy(requested_policy_version=3)
    policy.bindings.append({"role": "roles/storage.objectViewer", "members": {"allUsers"}})
    bucket.set_iam_policy(policy)
    assert bucket.get_iam_policy(requested_policy_version=3).bindings == policy.bindings


def test_an_object_is_appended_to(bucket):
    original, added = bucket.blob("original"), bucket.blob("added")
    original.upload_from_string("AAA\n")
    added.upload_from_string("BBB\n")
    original.compose([original, added])
    assert original.download_as_bytes() == b"AAA\nBBB\n"


def test_a_deleted_bucket_is_gone(client):
    bucket = client.create_bucket(f"py-{uuid.uuid4().hex}")
    bucket.delete()
    assert not bucket.exists()
    assert client.lookup_bucket(bucket.name) is None


@pytest.mark.parametrize("name", ["plain", "a/b c", "../../x", "a//b/", "é€😀?#%+&", "."*3])
def test_names(bucket, name):
    bucket.blob(name).upload_from_string(name)
    assert [blob.name for blob in bucket.list_blobs()] == [name]
    assert bucket.get_blob(name).download_as_text() == name


def test_upload_and_download(bucket):
    blob = bucket.blob("o")
    blob.metadata = {"colour": "blue"}
    blob.cache_control = "no-store"
    blob.upload_from_string(b"content", content_type="text/x-test", checksum="md5")
    read = bucket.get_blob("o")
    assert (read.size, read.content_type, read.cache_control) == (7, "text/x-test", "no-store")
    assert read.metadata == {"colour": "blue"}
    assert read.md5_hash == base64.b64encode(hashlib.md5(b"content").digest()).decode()
    assert isinstance(read.time_created, datetime.datetime)
    for checksum in ["md5", "crc32c", None]:
        assert read.download_as_bytes(checksum=checksum) == b"content"
    assert read.download_as_bytes(start=1, end=3) == b"ont"
    assert read.download_as_bytes(raw_download=True) == b"content"
    with pytest.raises(exceptions.NotFound):
        bucket.blob("none").download_as_bytes()


@pytest.mark.parametrize("checksum", ["md5", "crc32c", "auto", None])
def test_resumable_uploads(bucket, checksum):
    content = os.urandom(2 * MIB + 12345)
    blob = bucket.blob("big", chunk_size=MIB)
    blob.upload_from_file(io.BytesIO(content), size=len(content), checksum=checksum)
    assert blob.size == len(content)
    unsized = bucket.blob("unsized", chunk_size=MIB)
    unsized.upload_from_file(io.BytesIO(content), checksum=checksum)
    for name in ["big", "unsized"]:
        assert bucket.blob(name).download_as_bytes() == content
        assert bucket.blob(name, chunk_size=MIB).download_as_bytes() == content


def test_writing_and_reading_as_files(bucket):
    lines = [f"line {number}\n" for number in range(100_000)]
    with bucket.blob("lines").open("w", chunk_size=256 << 10) as file:
        file.writelines(lines)
    with bucket.blob("lines").open("r", chunk_size=256 << 10) as file:
        assert list(file) == lines


def test_a_session_made_elsewhere(client, bucket):
    url = bucket.blob("o").create_resumable_upload_session(size=3, content_type="a/b")
    response = client._http.put(url, data=b"abc")
    assert response.status_code == 200
    assert bucket.get_blob("o").content_type == "a/b"


def test_conditions(bucket):
    blob = bucket.blob("o")
    blob.upload_from_string("one", if_generation_match=0)
    first = blob.generation
    with pytest.raises(exceptions.PreconditionFailed):
        blob.upload_from_string("two", if_generation_match=0)
    blob.upload_from_string("two", if_generation_match=first)
    assert blob.generation > first
    with pytest.raises(exceptions.PreconditionFailed):
        blob.delete(if_generation_match=first)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.download_as_bytes(if_generation_match=first)
    with pytest.raises(exceptions.NotFound):
        bucket.blob("o", generation=first).reload()
    blob.metadata = {"a": "b"}
    blob.patch(if_metageneration_match=1)
    with pytest.raises(exceptions.PreconditionFailed):
        blob.patch(if_metageneration_match=1)
    with pytest.raises(exceptions.PreconditionFailed):
        bucket.copy_blob(blob, bucket, "p", if_source_generation_match=first)


def test_listing(client, bucket):
    for name in ["a", "d/1", "d/2", "e/f/1", "z"]:
        bucket.blob(name).upload_from_string("")
    listed = client.list_blobs(bucket, delimiter="/", page_size=2)
    assert [blob.name for blob in listed] == ["a", "z"]
    assert listed.prefixes == {"d/", "e/"}
    names = [blob.name for blob in client.list_blobs(bucket, prefix="d/", page_size=1)]
    assert names == ["d/1", "d/2"]
    between = client.list_blobs(bucket, start_offset="d/2", end_offset="z")
    assert [blob.name for blob in between] == ["d/2", "e/f/1"]
    assert [blob.name for blob in client.list_blobs(bucket, match_glob="**/1")] == ["d/1", "e/f/1"]
    assert [blob.name for blob in client.list_blobs(bucket, max_results=1)] == ["a"]
    part = client.list_blobs(bucket, fields="items(name),nextPageToken", max_results=1)
    assert [blob.size for blob in part] == [None]


def test_copies_and_composition(bucket):
    bucket.blob("a").upload_from_string("one ", content_type="text/x-a")
    bucket.blob("b").upload_from_string("two")
    copy = bucket.copy_blob(bucket.blob("a"), bucket, "copy")
    assert copy.content_type == "text/x-a"
    composed = bucket.blob("composed")
    composed.compose([bucket.blob("a"), bucket.blob("b")], if_generation_match=0)
    assert composed.download_as_bytes() == b"one two"
    assert composed.component_count == 2 and composed.md5_hash is None
    renamed = bucket.rename_blob(bucket.blob("b"), "c")
    assert renamed.download_as_bytes() == b"two" and not bucket.blob("b").exists()
    target = bucket.blob("rewritten")
    token, written, total = target.rewrite(bucket.blob("a"))
    assert (token, written, total) == (None, 4, 4)
    target.update_storage_class("COLDLINE")
    assert bucket.get_blob("rewritten").storage_class == "COLDLINE"


def test_batches(client, bucket):
    for name in ["a", "b/c", "d"]:
        bucket.blob(name).upload_from_string("")
    with client.batch():
        for name in ["a", "b/c"]:
            bucket.blob(name).delete()
        patched = bucket.blob("d")
        patched.metadata = {"k": "v"}
        patched.patch()
    assert [blob.name for blob in bucket.list_blobs()] == ["d"]
    assert bucket.get_blob("d").metadata == {"k": "v"}
    with pytest.raises(exceptions.NotFound):
        with client.batch():
            bucket.blob("none").delete()


def test_compressed_objects(bucket):
    blob = bucket.blob("z")
    blob.content_encoding = "gzip"
    compressed = gzip.compress(b"plain")
    blob.upload_from_string(compressed)
    assert blob.download_as_bytes() == b"plain"
    assert blob.download_as_bytes(raw_download=True) == compressed


def test_versions(client, bucket):
    bucket.versioning_enabled = True
    bucket.patch()
    blob = bucket.blob("o")
    generations = []
    for content in ["one", "two"]:
        blob.upload_from_string(content)
        generations.append(blob.generation)
    bucket.blob("o").delete()
    listed = list(client.list_blobs(bucket, versions=True))
    assert [found.generation for found in listed] == generations
    assert all(found.time_deleted for found in listed)
    old = bucket.blob("o", generation=generations[0])
    assert old.download_as_bytes() == b"one"
    bucket.copy_blob(old, bucket, "o", source_generation=generations[0])
    assert bucket.blob("o").download_as_bytes() == b"one"


def test_parallel_transfers(bucket, tmp_path):
    from google.cloud.storage import transfer_manager

    source = tmp_path / "source"
    source.write_bytes(os.urandom(3 * MIB))
    bucket.blob("o").upload_from_filename(str(source))
    target = tmp_path / "target"
    transfer_manager.download_chunks_concurrently(
        bucket.blob("o"), str(target), chunk_size=MIB, max_workers=3, worker_type="thread"
    )
    assert target.read_bytes() == source.read_bytes()
