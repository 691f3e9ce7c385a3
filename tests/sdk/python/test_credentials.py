"""SDKs that fetch their credentials from a URL and renew them automatically."""

import asyncio
import json

import alibabacloud_oss_v2 as oss
import oss2
import pytest
from alibabacloud_credentials.client import Client
from alibabacloud_credentials.exceptions import CredentialException
from alibabacloud_credentials.models import Config
from oss2.credentials import Credentials, CredentialsProvider, EcsRamRoleCredentialsProvider

import stage


def client_of(url):
    """alibabacloud_credentials, as an app configures it."""
    return Client(Config(type="credentials_uri", credentials_uri=url))


class FromUri(CredentialsProvider):
    """Passes alibabacloud_credentials' tokens to oss2, which fetches them for each request."""

    def __init__(self, client):
        self.client = client

    def get_credentials(self):
        found = self.client.get_credential()
        return Credentials(found.access_key_id, found.access_key_secret, found.security_token)


def test_a_credentials_uri_is_all_that_oss2_needs(user):
    before = stage.vended()
    provider = FromUri(client_of(stage.ticket("my-photos", user=user)))
    bucket = oss2.Bucket(
        oss2.ProviderAuthV4(provider), stage.OSS, stage.BUCKET, region=stage.REGION
    )

    bucket.put_object(f"users/{user}/a.jpg", b"grass")
    assert bucket.get_object(f"users/{user}/a.jpg").read() == b"grass"

    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.get_object("users/bob/lake.jpg")
    assert stage.vended() == before + 1, "one token for all"


def test_a_token_near_its_expiry_is_replaced_and_a_fresh_one_is_reused(user):
    # The SDK discards tokens with a quarter of an hour left, so it discards these at once.
    short = client_of(stage.ticket("my-photos", duration=900, user=user))
    fresh = client_of(stage.ticket("my-photos", user=user))
    before = stage.vended()

    assert short.get_credential().access_key_id == short.get_credential().access_key_id
    assert stage.vended() == before + 2, "fetched again, though AppServer had kept it"
    first, second = fresh.get_credential(), fresh.get_credential()

    assert stage.vended() == before + 3
    assert first.access_key_id == second.access_key_id
    assert first.access_key_id.startswith("STS.")
    assert second.provider_name == "credential_uri"


def test_the_asynchronous_client_gets_the_same_token(user):
    client = client_of(stage.ticket("my-photos", user=user))
    assert asyncio.run(client.get_credential_async()).access_key_id == client.get_credential().access_key_id


def test_an_expired_ticket_is_reported_with_its_code(user):
    url = stage.ticket("my-photos", user=user)
    # A changed token gets the same answer as an expired one, without the wait.
    client = client_of(url[:-4] + "AAAA")
    with pytest.raises(CredentialException) as caught:
        client.get_credential()
    assert "http_code=401" in str(caught.value)
    assert '"Code":"Unauthenticated"' in str(caught.value)


def test_oss2s_metadata_provider_reads_the_lifetime_of_a_token(user):
    before = stage.vended()
    provider = EcsRamRoleCredentialsProvider(stage.ticket("my-photos", user=user), max_retries=1)
    bucket = oss2.Bucket(oss2.ProviderAuth(provider), stage.OSS, stage.BUCKET)

    bucket.put_object(f"users/{user}/a.jpg", b"grass")

    assert bucket.get_object(f"users/{user}/a.jpg").read() == b"grass"
    assert stage.vended() == before + 1
    # Without `LastUpdated` it would assume a lifetime of six hours, and renew the token all the time.
    assert provider.get_credentials().duration in range(3590, 3601)


def test_a_provider_function_is_all_that_the_second_oss_sdk_needs(user):
    before = stage.vended()
    credentials = client_of(stage.ticket("my-photos", user=user))

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
    assert stage.vended() == before + 1
