"""The emulated RAM and IMS with Alibaba's own clients, which send everything in the query and sign with ACS3-HMAC-SHA256."""

import json
import secrets

import oss2
import pytest
from alibabacloud_ims20190815 import models as ims_models
from alibabacloud_ims20190815.client import Client as Ims
from alibabacloud_ram20150501 import models
from alibabacloud_ram20150501.client import Client as Ram
from alibabacloud_sts20150401.models import AssumeRoleRequest
from alibabacloud_tea_openapi.exceptions import ClientException
from alibabacloud_tea_openapi.utils_models import Config
from oss2.credentials import StaticCredentialsProvider

import stage
from test_sts import sts

ACCOUNT = "11223344"


def client(kind, key="adminid", secret="adminsecret"):
    """RAM's or IMS's client; RAM has one endpoint, and the SDK asks for a region in any case."""
    return kind(
        Config(
            access_key_id=key, access_key_secret=secret, region_id="cn-hangzhou",
            endpoint=stage.RAM.removeprefix("http://"), protocol="http",
        )
    )


def refused(status, code, act):
    with pytest.raises(ClientException) as caught:
        act()
    assert (caught.value.status_code, caught.value.code) == (status, code)
    return caught.value


def longest_policy():
    """6144 bytes, with the characters that signers often encode wrongly."""

    def policy(padding):
        statement = {
            "Effect": "Allow",
            "Action": ["oss:GetObject"],
            "Resource": ["acs:oss:*:*:sample-bucket/albums/2015/*", f"acs:oss:*:*:sample-bucket/a b~é中+(!')/{padding}*"],
        }
        return json.dumps({"Version": "1", "Statement": [statement]}, ensure_ascii=False)

    return policy("/" * (6144 - len(policy("").encode())))


@pytest.fixture
def names():
    """Names that no other test uses."""
    suffix = secrets.token_hex(4)
    return {"user": f"worker-{suffix}", "role": f"photos-{suffix}", "policy": f"photos-{suffix}", "assume": f"assume-{suffix}"}


def trusting(user):
    statement = {
        "Effect": "Allow", "Action": "sts:AssumeRole",
        "Principal": {"RAM": [f"acs:ram::{ACCOUNT}:user/{user}"]},
    }
    return json.dumps({"Version": "1", "Statement": [statement]})


def assuming(role):
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Resource": f"acs:ram::{ACCOUNT}:role/{role}"}
    return json.dumps({"Version": "1", "Statement": [statement]})


def test_a_whole_account_is_set_up_and_its_key_reads_an_object(names):
    ram, ims = client(Ram), client(Ims)
    user, role, policy, assume = names["user"], names["role"], names["policy"], names["assume"]
    document = longest_policy()

    ram.create_user(models.CreateUserRequest(user_name=user, display_name="The worker", comments="é 中+(!')"))
    ram.create_policy(models.CreatePolicyRequest(policy_name=assume, policy_document=assuming(role)))
    ram.attach_policy_to_user(models.AttachPolicyToUserRequest(policy_type="Custom", policy_name=assume, user_name=user))
    made = ram.create_role(
        models.CreateRoleRequest(role_name=role, assume_role_policy_document=trusting(user), max_session_duration=7200)
    ).body.role
    ram.create_policy(models.CreatePolicyRequest(policy_name=policy, policy_document=document, description="reads photos"))
    ram.attach_policy_to_role(models.AttachPolicyToRoleRequest(policy_type="Custom", policy_name=policy, role_name=role))
    key = ram.create_access_key(models.CreateAccessKeyRequest(user_name=user)).body.access_key

    assert (made.arn, made.max_session_duration) == (f"acs:ram::{ACCOUNT}:role/{role}", 7200)
    assert made.assume_role_policy_document == trusting(user)
    read = ram.get_policy(models.GetPolicyRequest(policy_name=policy, policy_type="Custom")).body
    assert read.default_policy_version.policy_document == document
    assert read.policy.attachment_count == 1
    assert ram.get_user(models.GetUserRequest(user_name=user)).body.user.comments == "é 中+(!')"
    attached = ram.list_policies_for_role(models.ListPoliciesForRoleRequest(role_name=role)).body.policies.policy
    assert [(one.policy_name, one.policy_type) for one in attached] == [(policy, "Custom")]

    given = sts(key.access_key_id, key.access_key_secret).assume_role(
        AssumeRoleRequest(role_arn=made.arn, role_session_name="sdk-tests", duration_seconds=7200)
    ).body.credentials
    provider = StaticCredentialsProvider(given.access_key_id, given.access_key_secret, given.security_token)
    bucket = oss2.Bucket(oss2.ProviderAuthV4(provider), stage.OSS, stage.BUCKET, region=stage.REGION)
    assert bucket.get_object("albums/2015/spring.jpg").status == 200
    with pytest.raises(oss2.exceptions.AccessDenied):
        bucket.get_object("albums/2016/autumn.jpg")

    elsewhere = json.dumps(
        {"Version": 1, "Status": "Active", "Statements": [{"Type": "ClassicWhiteList", "IPList": ["203.0.113.0/24"]}]}
    )
    principal = f"{user}@{ACCOUNT}.onaliyun.com"
    ims.set_access_key_policy(
        ims_models.SetAccessKeyPolicyRequest(
            user_access_key_id=key.access_key_id, user_principal_name=principal, access_key_policy=elsewhere
        )
    )
    kept = ims.get_access_key_policy(
        ims_models.GetAccessKeyPolicyRequest(user_access_key_id=key.access_key_id, user_principal_name=principal)
    ).body
    assert json.loads(kept.access_key_policy) == json.loads(elsewhere)
    refused(
        403, "InvalidAccessKeyId.NetworkNotAllowed",
        lambda: sts(key.access_key_id, key.access_key_secret).get_caller_identity(),
    )
    # The policy binds the key and not what was obtained with it.
    assert bucket.get_object("albums/2015/spring.jpg").status == 200


def test_a_policy_is_updated_with_a_version_as_default(names):
    ram, policy, role = client(Ram), names["policy"], names["role"]
    ram.create_policy(models.CreatePolicyRequest(policy_name=policy, policy_document=longest_policy()))

    version = ram.create_policy_version(
        models.CreatePolicyVersionRequest(policy_name=policy, policy_document=assuming(role), set_as_default=True)
    ).body.policy_version

    assert (version.version_id, version.is_default_version) == ("v2", True)
    listed = ram.list_policy_versions(models.ListPolicyVersionsRequest(policy_name=policy, policy_type="Custom"))
    versions = listed.body.policy_versions.policy_version
    assert [(one.version_id, one.is_default_version) for one in versions] == [("v1", False), ("v2", True)]


def test_errors_arrive_as_from_ram(names):
    ram, user = client(Ram), names["user"]
    ram.create_user(models.CreateUserRequest(user_name=user))

    refused(409, "EntityAlreadyExists.User", lambda: ram.create_user(models.CreateUserRequest(user_name=user)))
    refused(404, "EntityNotExist.Role", lambda: ram.get_role(models.GetRoleRequest(role_name="no-such-role")))
    for _ in range(2):
        ram.create_access_key(models.CreateAccessKeyRequest(user_name=user))
    refused(
        409, "LimitExceeded.User.AccessKey",
        lambda: ram.create_access_key(models.CreateAccessKeyRequest(user_name=user)),
    )
    refused(409, "DeleteConflict.User.AccessKey", lambda: ram.delete_user(models.DeleteUserRequest(user_name=user)))
    intern = client(Ram, "internid", "internsecret")
    denied = refused(403, "NoPermission", lambda: intern.get_user(models.GetUserRequest(user_name=user)))
    assert denied.access_denied_detail["AuthAction"] == "ram:GetUser"


def test_a_provider_is_read_as_it_was_created(names):
    ims, name = client(Ims), names["user"]
    ims.create_oidcprovider(
        ims_models.CreateOIDCProviderRequest(
            oidcprovider_name=name, issuer_url="https://login.example.com", client_ids="sts.aliyuncs.com",
            fingerprints="902ef2deeb3c5b13ea4c3d5193629309e231ae55", description="a cluster",
        )
    )

    provider = ims.get_oidcprovider(ims_models.GetOIDCProviderRequest(oidcprovider_name=name)).body.oidcprovider
    assert provider.arn == f"acs:ram::{ACCOUNT}:oidc-provider/{name}"
    assert (provider.issuer_url, provider.client_ids) == ("https://login.example.com", "sts.aliyuncs.com")
