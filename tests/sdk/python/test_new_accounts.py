"""oss2 and alibabacloud-oss-v2 against OSS as accounts and buckets get it that are new since 2025: no signature V1, and in
the Chinese mainland no data at the public endpoint."""

import os
import pathlib
import socket
import time
import urllib.parse

import alibabacloud_oss_v2
import oss2
import pytest
import requests
from oss2.credentials import StaticCredentialsProvider

import stage

WITHOUT_V1 = os.environ["OSS_WITHOUT_V1_URL"]
WITHOUT_PUBLIC_ENDPOINT = os.environ["OSS_WITHOUT_PUBLIC_ENDPOINT_URL"]
# A domain of the bucket in config/emulator.toml.
DOMAIN = "photos.example.test"
AT_DOMAIN = WITHOUT_PUBLIC_ENDPOINT.replace("127.0.0.1", DOMAIN)

V1_REFUSED = (403, "AccessDenied", "0002-00000080")
PUBLIC_ENDPOINT_REFUSED = (400, "PublicEndpointForbidden", "0048-00000401")


@pytest.fixture
def token(user):
    return stage.token("my-photos", user=user)


@pytest.fixture
def resolved(monkeypatch):
    """Domains of `.test` have no address."""
    real = socket.getaddrinfo

    def here(host, *rest, **named):
        return real("127.0.0.1" if host == DOMAIN else host, *rest, **named)

    monkeypatch.setattr(socket, "getaddrinfo", here)


def bucket(auth, endpoint, token, **options):
    """The bucket, as oss2 reaches it."""
    provider = StaticCredentialsProvider(token["AccessKeyId"], token["AccessKeySecret"], token["SecurityToken"])
    return oss2.Bucket(auth(provider), endpoint, stage.BUCKET, **options)


def refused(expected, act):
    with pytest.raises(oss2.exceptions.ServerError) as caught:
        act()
    error = caught.value
    assert (error.status, error.code, error.details["EC"]) == expected


def logged(variable, text):
    """Whether the emulator's log names the setting that must change. A thread of its own writes the log."""
    log = pathlib.Path(os.environ[variable])
    for _ in range(100):
        if text in log.read_text(encoding="utf-8"):
            return True
        time.sleep(0.1)
    return False


def works(bucket, key):
    bucket.put_object(key, b"grass")
    assert bucket.get_object(key).read() == b"grass"
    assert [found.key for found in bucket.list_objects(prefix=key).object_list] == [key]
    bucket.delete_object(key)


def test_signature_v1_is_refused_in_headers_and_urls_and_v4_works(token, user):
    key = f"users/{user}/a b.jpg"
    v1 = bucket(oss2.ProviderAuth, WITHOUT_V1, token)

    refused(V1_REFUSED, lambda: v1.put_object(key, b"grass"))
    url = requests.get(v1.sign_url("GET", key, 60), timeout=30)
    assert (url.status_code, url.headers["x-oss-ec"]) == (403, "0002-00000080")
    assert logged("WITHOUT_V1_LOG", "use `oss2.ProviderAuthV4` and give `oss2.Bucket` its `region`")

    v4 = bucket(oss2.ProviderAuthV4, WITHOUT_V1, token, region=stage.REGION)
    works(v4, key)


def test_the_public_endpoint_is_refused_and_a_domain_of_the_bucket_works_with_is_cname(token, user, resolved):
    key = f"users/{user}/a b.jpg"
    public = bucket(oss2.ProviderAuthV4, WITHOUT_PUBLIC_ENDPOINT, token, region=stage.REGION)

    refused(PUBLIC_ENDPOINT_REFUSED, lambda: public.put_object(key, b"grass"))
    assert logged("WITHOUT_PUBLIC_ENDPOINT_LOG", f"set it to `{DOMAIN}`")

    bound = bucket(oss2.ProviderAuthV4, AT_DOMAIN, token, region=stage.REGION, is_cname=True)
    works(bound, key)
    url = bound.sign_url("GET", key, 60, slash_safe=True)
    assert urllib.parse.urlsplit(url).netloc == urllib.parse.urlsplit(AT_DOMAIN).netloc


def test_the_v2_sdk_works_without_v1_and_at_a_domain_of_the_bucket_with_use_cname(token, user, resolved):
    key = f"users/{user}/a b.jpg"

    def client(endpoint, **options):
        provider = alibabacloud_oss_v2.credentials.StaticCredentialsProvider(
            token["AccessKeyId"], token["AccessKeySecret"], token["SecurityToken"]
        )
        config = alibabacloud_oss_v2.config.Config(
            region=stage.REGION, endpoint=endpoint, credentials_provider=provider, **options
        )
        return alibabacloud_oss_v2.Client(config)

    put = alibabacloud_oss_v2.PutObjectRequest(bucket=stage.BUCKET, key=key, body=b"grass")
    with pytest.raises(alibabacloud_oss_v2.exceptions.OperationError) as caught:
        client(WITHOUT_PUBLIC_ENDPOINT).put_object(put)
    error = caught.value.unwrap()
    assert (error.status_code, error.code, error.ec) == PUBLIC_ENDPOINT_REFUSED

    for reached in [client(WITHOUT_V1), client(AT_DOMAIN, use_cname=True)]:
        assert reached.put_object(put).status_code == 200
        got = reached.get_object(alibabacloud_oss_v2.GetObjectRequest(bucket=stage.BUCKET, key=key))
        assert got.body.read() == b"grass"
