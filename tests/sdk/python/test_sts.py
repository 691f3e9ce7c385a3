"""The emulated STS with Alibaba's own client, which signs with ACS3-HMAC-SHA256."""

import json

import oss2
import pytest
from alibabacloud_sts20150401 import models
from alibabacloud_sts20150401.client import Client
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config
from oss2.credentials import StaticCredentialsProvider

import stage

ROLE = "acs:ram::11223344:role/oss-readonly"

# With all characters that signers often encode wrongly.
POLICY = json.dumps(
    {
        "Version": "1",
        "Statement": [
            {
                "Effect": "Allow",
                "Action": ["oss:GetObject"],
                "Resource": ["acs:oss:*:*:sample-bucket/albums/2015/*", "acs:oss:*:*:sample-bucket/a b~é中+(!')/*"],
            }
        ],
    },
    ensure_ascii=False,
)


def sts(key="testid", secret="testsecret", token=None):
    """The client with a given key."""
    return Client(
        Config(
            access_key_id=key, access_key_secret=secret, security_token=token,
            endpoint=stage.STS.removeprefix("http://"), protocol="http",
        )
    )


def assume(client, **changed):
    asked = {"role_arn": ROLE, "role_session_name": "sdk-tests", "policy": POLICY, "duration_seconds": 1800}
    return client.assume_role(models.AssumeRoleRequest(**(asked | changed)))


def refused(status, code, act):
    with pytest.raises(ClientException) as caught:
        act()
    assert (caught.value.status_code, caught.value.code) == (status, code)
    return caught.value


def test_a_role_is_assumed_and_its_token_allows_what_the_policy_allows():
    answer = assume(sts())

    assert answer.status_code == 200
    assert answer.body.assumed_role_user.arn == f"{ROLE}/sdk-tests"
    given = answer.body.credentials
    provider = StaticCredentialsProvider(given.access_key_id, given.access_key_secret, given.security_token)
    bucket = oss2.Bucket(oss2.ProviderAuth(provider), stage.OSS, stage.BUCKET)
    assert bucket.get_object("albums/2015/spring.jpg").read()
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.get_object("albums/2016/autumn.jpg")


def test_get_caller_identity_returns_the_caller():
    user = sts().get_caller_identity().body
    assert (user.identity_type, user.account_id, user.arn) == (
        "RAMUser", "11223344", "acs:ram::11223344:user/appserver",
    )
    token = stage.token("daily-photos")
    session = sts(token["AccessKeyId"], token["AccessKeySecret"], token["SecurityToken"])
    role = session.get_caller_identity().body
    assert role.identity_type == "AssumedRoleUser"
    assert role.arn == "acs:ram::11223344:assumed-role/oss-readonly/sdk-tests"


def test_refusals_have_their_documented_codes():
    refused(400, "SignatureDoesNotMatch", lambda: assume(sts(secret="wrong")))
    refused(404, "InvalidAccessKeyId.NotFound", lambda: assume(sts(key="nobody")))
    refused(400, "InvalidAccessKeyId.Inactive", lambda: assume(sts(key="disabledid", secret="disabledsecret")))
    refused(403, "NoPermission", lambda: assume(sts(key="internid", secret="internsecret")))
    refused(403, "NoPermission", lambda: assume(sts(key="rootid", secret="rootsecret")))
    refused(404, "EntityNotExist.Role", lambda: assume(sts(), role_arn=f"{ROLE}-2"))
    refused(400, "InvalidParameter.PolicyGrammar", lambda: assume(sts(), policy="{"))
    refused(400, "InvalidParameter.RoleSessionName", lambda: assume(sts(), role_session_name="a b"))
    with stage.later(901):
        refused(400, "InvalidTimeStamp.Expired", lambda: assume(sts()))


def test_throttling_is_reported_and_ends():
    stage.control("POST", "faults", {"Fault": {"Throttle": {"TimeLeftMs": 700}}, "Times": 1, "Action": "AssumeRole"})
    refused(400, "Throttling.User", lambda: assume(sts()))
    assert assume(sts()).status_code == 200
