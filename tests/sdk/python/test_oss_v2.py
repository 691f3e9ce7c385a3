"""alibabacloud-oss-v2, with its default signature V4.

Its V1 sends a token in a header `security-token`, where OSS documents `x-oss-security-token`: no token works with that.
"""

import json
import os
import urllib.request

import alibabacloud_oss_v2 as oss
import pytest

import stage


@pytest.fixture
def client_with():
    """Makes a client of a token."""

    def make(token, **changed):
        token = token | changed
        config = oss.config.load_default()
        config.region, config.endpoint = stage.REGION, stage.OSS
        config.credentials_provider = oss.credentials.StaticCredentialsProvider(
            token["AccessKeyId"], token["AccessKeySecret"], token["SecurityToken"]
        )
        return oss.Client(config)

    return make


@pytest.fixture
def client(client_with, user):
    return client_with(stage.token("my-photos", user=user))


def refused(status, code, message, act):
    """Calls `act`, which must be refused with this error; returns the error."""
    with pytest.raises(oss.exceptions.OperationError) as caught:
        act()
    error = caught.value.unwrap()
    assert type(error) is oss.exceptions.ServiceError
    assert (error.status_code, error.code, error.message) == (status, code, message)
    return error


def test_an_object_is_put_read_listed_and_deleted(client, user):
    key = f"users/{user}/a picture+of 50% ~é中.jpg"
    content = os.urandom(5000)

    put = client.put_object(
        oss.PutObjectRequest(stage.BUCKET, key, body=content, metadata={"place": "hills"})
    )
    got = client.get_object(oss.GetObjectRequest(stage.BUCKET, key))
    assert (put.status_code, got.body.read(), got.metadata["place"]) == (200, content, "hills")
    head = client.head_object(oss.HeadObjectRequest(stage.BUCKET, key))
    assert (head.content_length, head.etag) == (5000, put.etag)
    pages = client.list_objects_v2_paginator()
    listed = pages.iter_page(oss.ListObjectsV2Request(stage.BUCKET, prefix=f"users/{user}/"))
    assert [found.key for page in listed for found in page.contents] == [key]
    assert client.delete_object(oss.DeleteObjectRequest(stage.BUCKET, key)).status_code == 204
    assert not client.is_object_exist(stage.BUCKET, key)


def test_a_multipart_upload_is_resumed_with_the_next_token(client_with, user, tmp_path):
    key = f"users/{user}/film.mp4"
    film = tmp_path / "film.mp4"
    film.write_bytes(os.urandom(4 * stage.PART))

    class Broken(Exception):
        pass

    def break_off(_step, written, _total):
        if written >= 2 * stage.PART:
            raise Broken

    def upload(client, progress=None):
        uploader = client.uploader(
            part_size=stage.PART, parallel_num=1, enable_checkpoint=True,
            checkpoint_dir=str(tmp_path), leave_parts_on_error=True,
        )
        request = oss.PutObjectRequest(stage.BUCKET, key, progress_fn=progress)
        uploader.upload_file(request, filepath=str(film))

    first, second = (stage.token("my-photos", duration=seconds, user=user) for seconds in (3600, 3599))
    with pytest.raises(Broken):
        upload(client_with(first), break_off)
    before = [number for what, number, _ in stage.oss_calls(key) if what == "UploadPart"]

    upload(client_with(second))

    sent = [number for what, number, _ in stage.oss_calls(key) if what == "UploadPart"]
    assert 0 < len(before) < 4
    assert sorted(sent) == ["1", "2", "3", "4"], "no part was sent twice"
    got = client_with(second).get_object(oss.GetObjectRequest(stage.BUCKET, key))
    assert got.body.read() == film.read_bytes()


def test_a_presigned_url_carries_the_token(client, user):
    key = f"users/{user}/a b.jpg"
    client.put_object(oss.PutObjectRequest(stage.BUCKET, key, body=b"grass"))

    url = client.presign(oss.GetObjectRequest(stage.BUCKET, key)).url

    with urllib.request.urlopen(url, timeout=30) as answer:
        assert answer.read() == b"grass"


def test_requests_outside_the_grant_are_refused(client, user):
    others = "users/bob/lake.jpg"
    for act in (
        lambda: client.get_object(oss.GetObjectRequest(stage.BUCKET, others)),
        lambda: client.put_object(oss.PutObjectRequest(stage.BUCKET, others, body=b"x")),
        lambda: client.initiate_multipart_upload(oss.InitiateMultipartUploadRequest(stage.BUCKET, others)),
        lambda: client.delete_object(oss.DeleteObjectRequest(stage.BUCKET, others)),
        lambda: client.list_objects_v2(oss.ListObjectsV2Request(stage.BUCKET)),
        lambda: client.list_objects(oss.ListObjectsRequest(stage.BUCKET, prefix="users/")),
        lambda: client.get_bucket_acl(oss.GetBucketAclRequest(stage.BUCKET)),
    ):
        error = refused(403, "AccessDenied", stage.NOT_BY_POLICY, act)
        assert json.loads(error.error_fileds["EmulatorDecision"])["By"] == "SessionPolicy"
    head = oss.HeadObjectRequest(stage.BUCKET, others)
    refused(403, "AccessDenied", stage.NOT_BY_POLICY, lambda: client.head_object(head))


def test_expired_and_invalid_tokens_are_refused_with_their_own_errors(client_with, user):
    get = oss.GetObjectRequest(stage.BUCKET, f"users/{user}/a.jpg")
    short = stage.short_lived_token("my-photos", 600, user=user)
    mine = stage.token("my-photos", user=user)
    others = stage.token("my-photos", user=f"{user}-2")

    with stage.later(700):
        refused(
            403, "SecurityTokenExpired", "The security token you provided has expired.",
            lambda: client_with(short).get_object(get),
        )
    refused(
        403, "AccessKeyIdAndSecurityTokenNotMatch",
        "The OSS access key id and security token you provided does not match.",
        lambda: client_with(mine, SecurityToken=others["SecurityToken"]).get_object(get),
    )
    refused(
        403, "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        lambda: client_with(mine, AccessKeySecret=others["AccessKeySecret"]).get_object(get),
    )
    refused(
        403, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist in our records.",
        lambda: client_with(mine, SecurityToken=None).get_object(get),
    )
