"""SDKs that fetch their credentials from a URL, and renew them by themselves."""

import asyncio
import json
import urllib.parse

import alibabacloud_oss_v2 as oss
import oss2
import pytest
from alibabacloud_credentials.client import Client
from alibabacloud_credentials.exceptions import CredentialException
from alibabacloud_credentials.models import Config
from oss2.credentials import Credentials, CredentialsProvider, EcsRamRoleCredentialsProvider

import stage


def client_of(url):
    """alibabacloud_credentials, as an app would set it up."""
    return Client(Config(type="credentials_uri", credentials_uri=url))


class FromUri(CredentialsProvider):
    """alibabacloud_credentials' tokens for oss2, which asks for them at each request."""

    def __init__(self, client):
        self.client = client

    def get_credentials(self):
        found = self.client.get_credential()
        return Credentials(found.access_key_id, found.access_key_secret, found.security_token)


def test_a_credentials_uri_is_all_that_oss2_needs(hop, user):
    provider = FromUri(client_of(hop.url("own-prefix", user=user)))
    bucket = oss2.Bucket(
        oss2.ProviderAuthV4(provider), stage.OSS, stage.BUCKET, region=stage.REGION
    )

    bucket.put_object(f"users/{user}/a.jpg", b"grass")
    assert bucket.get_object(f"users/{user}/a.jpg").read() == b"grass"

    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.get_object("users/bob/lake.jpg")
    expected = {"Grant": ["own-prefix"], "Parameters.user": [user]}
    assert [urllib.parse.parse_qs(asked) for asked in hop.queries] == [expected], "one token for all"


def test_a_token_near_its_end_is_fetched_again_and_a_fresh_one_is_kept(hop, user):
    client = client_of(hop.url("own-prefix", user=user))
    # The SDK drops what has a quarter of an hour left: this one from the beginning.
    hop.instead.append(stage.query("own-prefix", duration=900, user=user))

    first, second, third = (client.get_credential() for _ in range(3))

    assert len(hop.queries) == 2
    assert first.access_key_id != second.access_key_id
    assert second.access_key_id == third.access_key_id
    assert first.access_key_id.startswith("STS.")
    assert second.provider_name == "credential_uri"


def test_the_asynchronous_way_brings_the_same_token(hop, user):
    client = client_of(hop.url("own-prefix", user=user))
    assert asyncio.run(client.get_credential_async()).access_key_id == client.get_credential().access_key_id


def test_a_refusal_of_appserver_is_shown_with_its_code(hop):
    client = client_of(hop.url("one-album", album="*"))
    with pytest.raises(CredentialException) as caught:
        client.get_credential()
    assert "http_code=400" in str(caught.value)
    assert '"Code":"InvalidParameter.Parameters.album"' in str(caught.value)


def test_oss2s_metadata_provider_takes_a_token_for_what_it_is(hop, user):
    provider = EcsRamRoleCredentialsProvider(hop.url("own-prefix", user=user), max_retries=1)
    bucket = oss2.Bucket(oss2.ProviderAuth(provider), stage.OSS, stage.BUCKET)

    bucket.put_object(f"users/{user}/a.jpg", b"grass")

    assert bucket.get_object(f"users/{user}/a.jpg").read() == b"grass"
    assert len(hop.queries) == 1
    # Without `LastUpdated` it would take the token for one of six hours, and renew it all the time.
    assert provider.get_credentials().duration in range(3590, 3601)


def test_a_provider_function_is_all_that_the_second_oss_sdk_needs(hop, user):
    credentials = client_of(hop.url("own-prefix", user=user))

    def found():
        token = credentials.get_credential()
        return oss.credentials.Credentials(
            token.access_key_id, token.access_key_secret, token.security_token
        )

    config = oss.config.load_default()
    config.region, config.endpoint = stage.REGION, stage.OSS
    config.credentials_provider = oss.credentials.CredentialsProviderFunc(func=found)
    client = oss.Client(config)

    client.put_object(oss.PutObjectRequest(stage.BUCKET, f"users/{user}/a.jpg", body=b"grass"))
    with pytest.raises(oss.exceptions.OperationError) as caught:
        client.get_object(oss.GetObjectRequest(stage.BUCKET, "users/bob/lake.jpg"))
    error = caught.value.unwrap()
    assert (error.status_code, error.code) == (403, "AccessDenied")
    assert json.loads(error.error_fileds["EmulatorDecision"])["By"] == "SessionPolicy"
    assert len(hop.queries) == 1
