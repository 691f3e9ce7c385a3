"""The official credentials library against the emulated metadata server and AssumeRoleWithOIDC: who AppServer itself can be."""

import asyncio
import urllib.parse
import urllib.request

import pytest
from alibabacloud_credentials.exceptions import CredentialException
from alibabacloud_credentials.provider import EcsRamRoleCredentialsProvider, OIDCRoleArnCredentialsProvider
from alibabacloud_sts20150401 import models
from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi.utils_models import Config

import stage

POD = "acs:ram::11223344:role/appserver-pod"
PROVIDER = "acs:ram::11223344:oidc-provider/ack-rrsa-demo"
ACCOUNT = "system:serviceaccount:default:appserver"


@pytest.fixture(autouse=True)
def without_faults():
    stage.control("DELETE", "metadata/calls")
    yield
    stage.control("DELETE", "metadata/faults")


def on_ecs(**options):
    """The library's provider. The address 100.100.100.200 is a constant in it, which is replaced."""
    provider = EcsRamRoleCredentialsProvider(async_update_enabled=False, **options)
    provider._EcsRamRoleCredentialsProvider__metadata_service_host = stage.METADATA.removeprefix("http://")
    return provider


def jwt(subject=ACCOUNT, audience="sts.aliyuncs.com"):
    """A token of the emulated cluster's issuer."""
    asked = urllib.parse.urlencode({"sub": subject, "aud": audience})
    with urllib.request.urlopen(f"{stage.STS}/_emulator/jwt?{asked}", timeout=30) as answer:
        return answer.read().decode()


def on_ack(file):
    """The library's provider. It uses HTTPS unless the endpoint begins with a scheme."""
    return OIDCRoleArnCredentialsProvider(
        role_arn=POD, oidc_provider_arn=PROVIDER, oidc_token_file_path=str(file), role_session_name="appserver",
        sts_endpoint=stage.STS,
    )


def sts(found):
    return Client(
        Config(
            access_key_id=found.get_access_key_id(), access_key_secret=found.get_access_key_secret(),
            security_token=found.get_security_token(), endpoint=stage.STS.removeprefix("http://"), protocol="http",
        )
    )


def requests():
    """The requests to the metadata server, and whether each had a metadata token."""
    calls = stage.control("GET", "metadata/calls")["Calls"]
    return [(call["Action"], "HasToken" in call["Parameters"]) for call in calls]


def metadata_fault(fault, action):
    stage.control("POST", "metadata/faults", {"Fault": fault, "Action": action})


def test_the_credentials_of_an_instance_assume_a_role():
    found = on_ecs().get_credentials()
    assert found.get_provider_name() == "ecs_ram_role"
    who = sts(found).get_caller_identity().body
    assert who.arn == "acs:ram::11223344:assumed-role/appserver-instance/vm-ram-i-emulated"
    role = "acs:ram::11223344:role/oss-readonly"
    asked = models.AssumeRoleRequest(role_arn=role, role_session_name="sdk-tests")
    assert sts(found).assume_role(asked).body.assumed_role_user.arn == f"{role}/sdk-tests"


def test_each_read_has_a_metadata_token_of_its_own():
    on_ecs().get_credentials()
    assert requests() == [
        ("CreateToken", False), ("GetRoleName", True), ("CreateToken", False), ("GetCredentials", True),
    ]


def test_the_asynchronous_client_gets_the_same_credentials():
    # With a role name: the asynchronous provider does not ask for it if the environment has an empty one.
    found = asyncio.run(on_ecs(role_name="appserver-instance").get_credentials_async())
    assert found.get_access_key_id() == on_ecs().get_credentials().get_access_key_id()


def test_without_metadata_tokens_the_library_falls_back_to_version_1_unless_that_is_disabled():
    metadata_fault({"Html": {"Status": 404}}, "CreateToken")
    assert on_ecs(role_name="appserver-instance").get_credentials().get_security_token()
    assert requests() == [("CreateToken", False), ("GetCredentials", False)]
    with pytest.raises(CredentialException, match="HttpCode=404"):
        on_ecs(role_name="appserver-instance", disable_imds_v1=True).get_credentials()


@pytest.mark.parametrize(
    "fault",
    [
        {"OtherText": {"Field": "Code", "Text": "Failed"}},
        {"Html": {"Status": 500}},
        "Malformed",
    ],
)
def test_the_library_refuses_the_answers_that_appserver_refuses(fault):
    metadata_fault(fault, "GetCredentials")
    with pytest.raises(Exception):
        on_ecs(role_name="appserver-instance", disable_imds_v1=True).get_credentials()


def test_a_service_accounts_token_gets_credentials_that_assume_a_role(tmp_path):
    file = tmp_path / "token"
    file.write_text(jwt())
    found = on_ack(file).get_credentials()
    assert found.get_provider_name() == "oidc_role_arn"
    who = sts(found).get_caller_identity().body
    assert (who.identity_type, who.arn) == (
        "AssumedRoleUser", "acs:ram::11223344:assumed-role/appserver-pod/appserver",
    )
    role = "acs:ram::11223344:role/oss-readonly"
    asked = models.AssumeRoleRequest(role_arn=role, role_session_name="sdk-tests")
    assert sts(found).assume_role(asked).body.assumed_role_user.arn == f"{role}/sdk-tests"


@pytest.mark.parametrize(
    ("token", "code"),
    [
        (lambda: jwt(audience="other"), "AuthenticationFail.OIDCToken.AudienceNotMatch"),
        (lambda: jwt(subject="system:serviceaccount:default:other"), "AuthenticationFail.NoPermission"),
        (lambda: jwt()[:-8] + "AAAAAAAA", "AuthenticationFail.OIDCToken.InvalidSignature"),
        (lambda: "no.token", "AuthenticationFail.OIDCToken.Invalid"),
    ],
)
def test_the_library_reports_the_refusals_of_sts(tmp_path, token, code):
    file = tmp_path / "token"
    file.write_text(token())
    with pytest.raises(CredentialException) as caught:
        on_ack(file).get_credentials()
    assert "http_code: 401" in str(caught.value)
    assert f'"Code":"{code}"' in str(caught.value)


def test_the_generated_client_sends_everything_in_the_query():
    config = Config(endpoint=stage.STS.removeprefix("http://"), protocol="http")
    asked = models.AssumeRoleWithOIDCRequest(
        duration_seconds=900, oidcprovider_arn=PROVIDER, oidctoken=jwt(), role_arn=POD, role_session_name="appserver",
    )
    answer = Client(config).assume_role_with_oidc(asked).body
    assert answer.oidctoken_info.subject == ACCOUNT
    assert answer.oidctoken_info.client_ids == "sts.aliyuncs.com"
    assert answer.assumed_role_user.arn == f"{POD}/appserver"
    assert answer.credentials.security_token.startswith("CAIS")
