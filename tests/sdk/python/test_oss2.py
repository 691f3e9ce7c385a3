"""oss2, with signatures V1 and V4: everything that a grant allows, and nothing beyond it."""

import json
import os
import pathlib
import re

import oss2
import pytest
from oss2.credentials import StaticCredentialsProvider

import stage

AUTH = {"V1": oss2.ProviderAuth, "V4": oss2.ProviderAuthV4}


@pytest.fixture(params=AUTH)
def bucket_with(request):
    """Makes a bucket of credentials: a token, or its parts."""

    def make(token, **changed):
        token = token | changed
        provider = StaticCredentialsProvider(
            token["AccessKeyId"], token["AccessKeySecret"], token["SecurityToken"]
        )
        return oss2.Bucket(
            AUTH[request.param](provider), stage.OSS, stage.BUCKET, region=stage.REGION
        )

    return make


@pytest.fixture
def bucket(bucket_with, user):
    """The bucket with a token for the user's own prefix."""
    return bucket_with(stage.token("my-photos", user=user))


def shown(function):
    """A function of docs/callbacks.md."""
    page = (pathlib.Path(__file__).resolve().parents[3] / "docs/callbacks.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    [code] = [block for block in blocks if f"def {function}(" in block]
    names = {}
    exec(code, names)
    return names[function]


def refused(status, code, message, act):
    """Calls `act`, which must be refused with this error; returns the error."""
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        act()
    error = caught.value
    assert (error.status, error.code, error.message) == (status, code, message)
    return error


def denied(act):
    """Calls `act`, which no policy allows; returns the emulator's decision."""
    error = refused(403, "AccessDenied", stage.NOT_BY_POLICY, act)
    assert type(error) is oss2.exceptions.AccessDenied
    return json.loads(error.details["EmulatorDecision"])


def test_an_object_is_put_read_listed_and_deleted(bucket, user):
    key = f"users/{user}/a picture+of 50% ~é中.jpg"
    content = os.urandom(5000)

    put = bucket.put_object(key, content, headers={"x-oss-meta-place": "hills", "Content-Type": "image/jpeg"})
    assert put.status == 200
    got = bucket.get_object(key)
    assert got.read() == content
    assert (got.headers["x-oss-meta-place"], got.content_type) == ("hills", "image/jpeg")
    assert bucket.get_object(key, byte_range=(10, 19)).read() == content[10:20]
    assert bucket.head_object(key).content_length == 5000
    assert bucket.get_object_meta(key).etag == put.etag
    assert [found.key for found in bucket.list_objects(prefix=f"users/{user}/").object_list] == [key]
    assert bucket.delete_object(key).status == 204
    refused(404, "NoSuchKey", "The specified key does not exist.", lambda: bucket.get_object(key))
    assert not bucket.object_exists(key)


def test_both_listings_return_all_pages(bucket, user):
    prefix = f"users/{user}/"
    keys = [f"{prefix}{folder}/{number} é+.jpg" for folder in "ab" for number in range(3)]
    for key in keys:
        bucket.put_object(key, b"x")

    assert [found.key for found in oss2.ObjectIterator(bucket, prefix=prefix, max_keys=2)] == keys
    assert [found.key for found in oss2.ObjectIteratorV2(bucket, prefix=prefix, max_keys=2)] == keys
    folders = bucket.list_objects_v2(prefix=prefix, delimiter="/").prefix_list
    assert folders == [f"{prefix}a/", f"{prefix}b/"]
    assert sorted(bucket.batch_delete_objects(keys).deleted_keys) == keys
    assert bucket.list_objects(prefix=prefix).object_list == []


def test_a_multipart_upload_is_complete(bucket, user):
    key = f"users/{user}/film.mp4"
    content = os.urandom(2 * stage.PART + 77)
    upload = bucket.init_multipart_upload(key).upload_id
    parts = []
    for number, start in enumerate(range(0, len(content), stage.PART), 1):
        part = bucket.upload_part(key, upload, number, content[start : start + stage.PART])
        parts.append(oss2.models.PartInfo(number, part.etag))
    assert [part.size for part in bucket.list_parts(key, upload).parts] == [stage.PART, stage.PART, 77]

    bucket.complete_multipart_upload(key, upload, parts)

    assert bucket.get_object(key).read() == content


def test_an_upload_calls_the_server_of_the_app_back(bucket, user):
    key = f"users/{user}/a b.jpg"
    with stage.CallbackServer() as app:
        put = bucket.put_object(key, b"hello", headers=app.headers({"x:user": user}))
        assert (put.status, put.resp.read()) == (200, b'{"Status":"OK"}')
    assert app.received == [{"object": key, "size": "5", "user": user}]


def test_a_failed_callback_is_no_error_and_the_object_is_stored(bucket, user):
    """oss2 reports success: an app has to look for the status 203."""
    key = f"users/{user}/a.jpg"
    with stage.CallbackServer(500) as app:
        put = bucket.put_object(key, b"hello", headers=app.headers({"x:user": user}))
        assert put.status == 203
        assert b"<Code>CallbackFailed</Code><Message>Error status : 500.</Message>" in put.resp.read()
    assert bucket.get_object(key).read() == b"hello"


def test_an_upload_with_the_callback_of_a_form_is_confirmed_by_appserver_and_forwarded(bucket, user):
    form = stage.form(user, "cat.jpg")

    put = shown("put_reported")(bucket, form, b"hello")

    key = f"users/{user}/cat.jpg"
    answer = {"Key": key, "Saved": True, "UploadId": form["UploadId"]}
    assert (put.status, json.loads(put.resp.read())) == (200, answer)
    [taken] = stage.reports(form["UploadId"])
    report = taken["Report"]
    assert (report["Key"], report["Bytes"], report["Confirmed"], report["Vars"]) == (key, 5, True, {"user": user})
    # The page's other code recognises it.
    body = json.dumps(report, separators=(",", ":"), ensure_ascii=False).encode()
    is_from_appserver = shown("is_from_appserver")
    assert is_from_appserver(b"appserver-demo-callback-secret-0001", taken["Signature"], body)
    assert not is_from_appserver(b"another-secret", taken["Signature"], body)
    assert not is_from_appserver(b"appserver-demo-callback-secret-0001", taken["Signature"], body + b" ")


def test_a_report_that_appserver_refuses_is_no_error_and_the_object_is_stored(bucket, user):
    form = stage.form(user, "cat.jpg")
    del form["Fields"]["x:upload"]

    put = shown("put_reported")(bucket, form, b"hello")

    assert put.status == 203
    assert b"<Code>CallbackFailed</Code><Message>Error status : 403.</Message>" in put.resp.read()
    assert bucket.get_object(form["Key"]).read() == b"hello"
    assert stage.reports(form["UploadId"]) == []


def test_an_aborted_upload_is_removed(bucket, user):
    key = f"users/{user}/film.mp4"
    upload = bucket.init_multipart_upload(key).upload_id
    bucket.upload_part(key, upload, 1, b"x" * stage.PART)

    assert bucket.abort_multipart_upload(key, upload).status == 204

    with pytest.raises(oss2.exceptions.NoSuchUpload) as caught:
        bucket.list_parts(key, upload)
    assert (caught.value.status, caught.value.code) == (404, "NoSuchUpload")
    assert not bucket.object_exists(key)


def test_an_interrupted_upload_is_resumed_with_the_next_token(bucket_with, user, tmp_path):
    key = f"users/{user}/film.mp4"
    film = tmp_path / "film.mp4"
    film.write_bytes(os.urandom(4 * stage.PART))
    memory = oss2.ResumableStore(root=str(tmp_path))

    class Broken(Exception):
        pass

    def break_off(sent, _):
        if sent >= 2 * stage.PART:
            raise Broken

    def upload(bucket, progress=None):
        oss2.resumable_upload(
            bucket, key, str(film), store=memory, multipart_threshold=stage.PART, part_size=stage.PART,
            num_threads=1, progress_callback=progress,
        )

    first, second = (stage.token("my-photos", duration=seconds, user=user) for seconds in (3600, 3599))
    assert first["AccessKeyId"] != second["AccessKeyId"]
    with pytest.raises(Broken):
        upload(bucket_with(first), break_off)
    before = [number for what, number, _ in stage.oss_calls(key) if what == "UploadPart"]

    upload(bucket_with(second))

    sent = [number for what, number, _ in stage.oss_calls(key) if what == "UploadPart"]
    assert 0 < len(before) < 4
    assert sorted(sent) == ["1", "2", "3", "4"], "no part was sent twice"
    assert bucket_with(second).get_object(key).read() == film.read_bytes()


def test_a_download_in_ranges_is_complete(bucket, user, tmp_path):
    key = f"users/{user}/film.mp4"
    content = os.urandom(3 * stage.PART)
    bucket.put_object(key, content)
    film = tmp_path / "film.mp4"

    oss2.resumable_download(
        bucket, key, str(film), store=oss2.ResumableDownloadStore(root=str(tmp_path)),
        multiget_threshold=stage.PART, part_size=stage.PART, num_threads=2,
    )

    assert film.read_bytes() == content


def test_an_object_is_copied_inside_the_grant_and_not_from_outside(bucket, user):
    bucket.put_object(f"users/{user}/a.jpg", b"grass")

    bucket.copy_object(stage.BUCKET, f"users/{user}/a.jpg", f"users/{user}/b.jpg")

    assert bucket.get_object(f"users/{user}/b.jpg").read() == b"grass"
    denied(lambda: bucket.copy_object(stage.BUCKET, "users/bob/lake.jpg", f"users/{user}/c.jpg"))
    assert not bucket.object_exists(f"users/{user}/c.jpg")


def test_a_presigned_url_carries_the_token(bucket, user):
    key = f"users/{user}/a b.jpg"

    put = bucket.sign_url("PUT", key, 60, slash_safe=True)
    assert oss2.Session().do_request(oss2.http.Request("PUT", put, data=b"grass"), timeout=30).status == 200

    assert bucket.get_object_with_url(bucket.sign_url("GET", key, 60)).read() == b"grass"
    foreign = bucket.sign_url("GET", "users/bob/lake.jpg", 60)
    denied(lambda: bucket.get_object_with_url(foreign))


def test_requests_outside_the_grant_are_refused(bucket, user, tmp_path):
    others = "users/bob/lake.jpg"
    outside = {
        "oss:GetObject": [
            lambda: bucket.get_object(others),
            lambda: bucket.get_object(f"users/{user}"),
            lambda: bucket.get_object(f"users/{user}0/a.jpg"),
            lambda: bucket.get_object("no/such/key"),
        ],
        "oss:PutObject": [
            lambda: bucket.put_object(others, b"x"),
            lambda: bucket.init_multipart_upload(others),
            lambda: bucket.copy_object(stage.BUCKET, others, others),
        ],
        "oss:DeleteObject": [
            lambda: bucket.delete_object(others),
            lambda: bucket.batch_delete_objects([others]),
        ],
        "oss:ListObjects": [
            lambda: bucket.list_objects(),
            lambda: bucket.list_objects(prefix="users/"),
            lambda: bucket.list_objects(prefix=f"users/{user}"),
            lambda: bucket.list_objects_v2(prefix="users/bob/"),
        ],
        "oss:ListMultipartUploads": [lambda: bucket.list_multipart_uploads(prefix=f"users/{user}/")],
        "oss:GetObjectAcl": [lambda: bucket.get_object_acl(f"users/{user}/a.jpg")],
        "oss:GetBucketAcl": [lambda: bucket.get_bucket_acl()],
    }
    before = stage.owner().get_object(others).read()

    for action, acts in outside.items():
        for act in acts:
            decision = denied(act)
            said = (decision["Action"], decision["By"], decision["SessionPolicy"])
            assert said == (action, "SessionPolicy", {"Decision": "ImplicitlyDenied"}), decision

    assert stage.owner().get_object(others).read() == before
    # For an answer without a body the same text is in a header.
    refused(403, "AccessDenied", stage.NOT_BY_POLICY, lambda: bucket.head_object(others))


def test_an_expired_token_is_refused_with_its_own_error(bucket_with, user):
    bucket = bucket_with(stage.short_lived_token("my-photos", 600, user=user))
    bucket.put_object(f"users/{user}/a.jpg", b"grass")

    with stage.later(700):
        error = refused(
            403, "SecurityTokenExpired", "The security token you provided has expired.",
            lambda: bucket.get_object(f"users/{user}/a.jpg"),
        )

    assert type(error) is oss2.exceptions.ServerError
    assert bucket.get_object(f"users/{user}/a.jpg").read() == b"grass"


def test_a_wrong_clock_is_refused_with_its_own_error(bucket, user):
    with stage.later(1000):
        refused(
            403, "RequestTimeTooSkewed",
            "The difference between the request time and the current time is too large.",
            lambda: bucket.put_object(f"users/{user}/a.jpg", b"grass"),
        )


def test_a_token_needs_its_own_key(bucket_with, user):
    mine = stage.token("my-photos", user=user)
    others = stage.token("my-photos", user=f"{user}-2")
    get = f"users/{user}/a.jpg"

    def get_with(**changed):
        return lambda: bucket_with(mine, **changed).get_object(get)

    mismatch = "The OSS access key id and security token you provided does not match."
    refused(
        403, "AccessKeyIdAndSecurityTokenNotMatch", mismatch,
        get_with(AccessKeyId=others["AccessKeyId"], AccessKeySecret=others["AccessKeySecret"]),
    )
    refused(
        403, "AccessKeyIdAndSecurityTokenNotMatch", mismatch,
        get_with(SecurityToken=others["SecurityToken"]),
    )
    error = refused(
        403, "SignatureDoesNotMatch",
        "The request signature we calculated does not match the signature you provided. "
        "Check your key and signing method.",
        get_with(AccessKeySecret=others["AccessKeySecret"]),
    )
    assert type(error) is oss2.exceptions.SignatureDoesNotMatch
    assert error.details["OSSAccessKeyId"] == mine["AccessKeyId"]
    refused(
        403, "InvalidAccessKeyId", "The OSS Access Key Id you provided does not exist in our records.",
        get_with(SecurityToken=""),
    )
    refused(
        403, "InvalidSecurityToken", "The security token you provided is invalid.",
        get_with(SecurityToken=mine["SecurityToken"][:-8] + "AAAAAAA="),
    )
