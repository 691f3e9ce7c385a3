"""The ready policies of config/policies: what oss2 can do with each of them, and what not."""

import datetime
import json
import os

import oss2
import pytest
from oss2.credentials import StaticCredentialsProvider

import stage

POLICIES = {name.removesuffix(".json") for name in os.listdir("config/policies")}
# Its grant vends no token.
POLICIES.remove("photo-upload")
TRIED = set()


@pytest.fixture(params=[oss2.ProviderAuth, oss2.ProviderAuthV4], ids=["V1", "V4"])
def bucket_of(request):
    """The bucket with a token of a policy."""

    def make(policy, **parameters):
        TRIED.add(policy)
        token = stage.token(policy, **parameters)
        provider = StaticCredentialsProvider(
            token["AccessKeyId"], token["AccessKeySecret"], token["SecurityToken"]
        )
        return oss2.Bucket(request.param(provider), stage.OSS, stage.BUCKET, region=stage.REGION)

    return make


def denied(*acts):
    for act in acts:
        with pytest.raises(oss2.exceptions.AccessDenied) as caught:
            act()
        assert (caught.value.status, caught.value.message) == (403, stage.NOT_BY_POLICY)


def keys(bucket, prefix):
    return [found.key for found in oss2.ObjectIteratorV2(bucket, prefix=prefix)]


def writes(bucket, key):
    """All operations that change an object."""
    return [
        lambda: bucket.put_object(key, b"x"),
        lambda: bucket.init_multipart_upload(key),
        lambda: bucket.delete_object(key),
        lambda: bucket.batch_delete_objects([key]),
        lambda: bucket.copy_object(stage.BUCKET, key, key),
    ]


def multipart(bucket, key, content):
    """A multipart upload that lists its parts, as a resumed one does."""
    upload = bucket.init_multipart_upload(key).upload_id
    parts = [
        oss2.models.PartInfo(number, bucket.upload_part(key, upload, number, content[at : at + stage.PART]).etag)
        for number, at in enumerate(range(0, len(content), stage.PART), 1)
    ]
    assert [part.etag for part in bucket.list_parts(key, upload).parts] == [part.etag for part in parts]
    bucket.complete_multipart_upload(key, upload, parts)


def test_only_daily_photos_are_read(bucket_of):
    bucket = bucket_of("daily-photos")

    assert bucket.get_object("2015/01/01/grass.jpg").read()
    assert bucket.head_object("2015/01/01/hills.jpg").content_length > 0

    denied(
        lambda: bucket.get_object("2015/01/01/notes.txt"),
        lambda: bucket.get_object("2015/01/02/morning.jpg"),
        lambda: bucket.list_objects(prefix="2015/01/01/"),
        *writes(bucket, "2015/01/01/grass.jpg"),
    )


def test_todays_photos_are_read_and_yesterdays_are_not(bucket_of):
    def today():
        return datetime.datetime.now(datetime.timezone.utc).strftime("%Y/%m/%d")

    day, bucket = today(), bucket_of("todays-photos")
    if day != today():
        day, bucket = today(), bucket_of("todays-photos")
    stage.owner().put_object(f"{day}/grass.jpg", b"grass")

    assert bucket.get_object(f"{day}/grass.jpg").read() == b"grass"

    denied(
        lambda: bucket.get_object("2015/01/01/grass.jpg"),
        lambda: bucket.list_objects(prefix=f"{day}/"),
        *writes(bucket, f"{day}/grass.jpg"),
    )


def test_one_album_is_read_by_known_keys(bucket_of):
    bucket = bucket_of("one-album", album="2015")

    assert bucket.get_object("albums/2015/spring.jpg").read()

    denied(
        lambda: bucket.get_object("albums/2016/autumn.jpg"),
        lambda: bucket.list_objects(prefix="albums/2015/"),
        *writes(bucket, "albums/2015/spring.jpg"),
    )


def test_a_shared_album_is_read_and_listed(bucket_of):
    bucket = bucket_of("shared-album", album="2015")

    assert keys(bucket, "albums/2015/") == ["albums/2015/spring.jpg", "albums/2015/summer.jpg"]
    assert keys(bucket, "albums/2015/su") == ["albums/2015/summer.jpg"]
    assert bucket.get_object("albums/2015/summer.jpg").read()

    denied(
        lambda: bucket.list_objects(),
        lambda: bucket.list_objects(prefix="albums/"),
        lambda: bucket.list_objects(prefix="albums/2015"),
        lambda: bucket.list_objects(prefix="albums/2016/"),
        lambda: bucket.get_object("albums/2016/autumn.jpg"),
        *writes(bucket, "albums/2015/spring.jpg"),
    )


def test_an_albums_guest_adds_to_it_and_leaves_the_originals(bucket_of, user):
    album = f"albums/{user}/"
    stage.owner().put_object(f"{album}originals/raw.jpg", b"raw")
    bucket = bucket_of("album-guest", album=user)
    content = os.urandom(2 * stage.PART + 5)

    bucket.put_object(f"{album}a.jpg", b"grass")
    multipart(bucket, f"{album}film.mp4", content)
    assert keys(bucket, album) == [f"{album}a.jpg", f"{album}film.mp4", f"{album}originals/raw.jpg"]
    assert bucket.get_object(f"{album}film.mp4").read() == content
    assert bucket.get_object(f"{album}originals/raw.jpg").read() == b"raw"

    with pytest.raises(oss2.exceptions.AccessDenied) as caught:
        bucket.put_object(f"{album}originals/raw.jpg", b"x")
    decision = json.loads(caught.value.details["EmulatorDecision"])
    assert decision["SessionPolicy"] == {"Decision": "ExplicitlyDenied", "Policy": 0, "Statement": 2}
    denied(
        *writes(bucket, f"{album}originals/raw.jpg"),
        *writes(bucket, "albums/2015/spring.jpg"),
        lambda: bucket.delete_object(f"{album}a.jpg"),
        lambda: bucket.get_object("albums/2015/spring.jpg"),
        lambda: bucket.list_objects(prefix="albums/2015/"),
    )
    assert stage.owner().get_object(f"{album}originals/raw.jpg").read() == b"raw"


def test_list_only_lists_and_reads_nothing(bucket_of):
    bucket = bucket_of("list-only", album="2015")

    assert keys(bucket, "albums/2015/") == ["albums/2015/spring.jpg", "albums/2015/summer.jpg"]

    denied(
        lambda: bucket.get_object("albums/2015/spring.jpg"),
        lambda: bucket.list_objects(prefix="albums/2016/"),
        *writes(bucket, "albums/2015/spring.jpg"),
    )


def test_users_access_only_their_own_prefix(bucket_of, user):
    bucket = bucket_of("my-photos", user=user)
    content = os.urandom(2 * stage.PART + 5)

    bucket.put_object(f"users/{user}/a.jpg", b"grass")
    multipart(bucket, f"users/{user}/film.mp4", content)
    assert keys(bucket, f"users/{user}/") == [f"users/{user}/a.jpg", f"users/{user}/film.mp4"]
    assert bucket.get_object(f"users/{user}/film.mp4").read() == content
    bucket.batch_delete_objects([f"users/{user}/a.jpg", f"users/{user}/film.mp4"])
    assert keys(bucket, f"users/{user}/") == []

    denied(
        lambda: bucket.get_object("users/bob/lake.jpg"),
        lambda: bucket.list_objects(prefix="users/bob/"),
        lambda: bucket.list_objects(),
        *writes(bucket, "users/bob/lake.jpg"),
        *writes(bucket, f"users/{user}0/a.jpg"),
    )


def test_upload_only_uploads_resumes_and_aborts_and_reads_nothing(bucket_of, user):
    bucket = bucket_of("upload-only")
    key = f"uploads/sdk-tests/{user}.mp4"
    content = os.urandom(2 * stage.PART + 5)

    multipart(bucket, key, content)
    assert stage.owner().get_object(key).read() == content
    bucket.put_object(key, b"grass")
    upload = bucket.init_multipart_upload(key).upload_id
    bucket.abort_multipart_upload(key, upload)
    assert stage.owner().get_object(key).read() == b"grass"

    denied(
        lambda: bucket.get_object(key),
        lambda: bucket.delete_object(key),
        lambda: bucket.list_objects(prefix="uploads/sdk-tests/"),
        *writes(bucket, f"uploads/sdk-tests0/{user}.mp4"),
    )


def test_read_all_reads_and_lists_what_the_role_can_and_writes_nothing(bucket_of):
    bucket = bucket_of("read-all")

    assert "users/bob/lake.jpg" in keys(bucket, "")
    assert bucket.get_object("users/bob/lake.jpg").read()
    assert bucket.get_bucket_acl().acl == "private"
    service = oss2.Service(bucket.auth, stage.OSS, region=stage.REGION)
    assert stage.BUCKET in [found.name for found in service.list_buckets().buckets]

    denied(*writes(bucket, "users/bob/lake.jpg"))


def test_every_ready_policy_has_a_test():
    assert TRIED == POLICIES
