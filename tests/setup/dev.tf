# What AppServer needs in account 11223344: printed by `appserver setup plan`.

terraform {
  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = ">= 1.286.0"
    }
  }
}

resource "alicloud_ram_user" "appserver" {
  name = "appserver"
}

resource "alicloud_ram_policy" "policy_appserver_assume_roles" {
  policy_name     = "appserver-assume-roles"
  description     = "AppServer: assume the configured roles and no others"
  policy_document = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Resource\":[\"acs:ram::11223344:role/oss-readonly\",\"acs:ram::11223344:role/oss-readwrite\"]}]}"
  rotate_strategy = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
}

resource "alicloud_ram_user_policy_attachment" "policy_appserver_assume_roles" {
  policy_name = alicloud_ram_policy.policy_appserver_assume_roles.policy_name
  policy_type = alicloud_ram_policy.policy_appserver_assume_roles.type
  user_name   = alicloud_ram_user.appserver.name
}

# The AccessKey is not made here: its secret would be in the state. Create it outside, into two files that only AppServer
# can read.

# The id of the AccessKey, once there is one: then its network policy is set. It binds this AccessKey and no token:
# tokens of STS are valid from every address.
variable "access_key_id" {
  type    = string
  default = ""
}

resource "alicloud_ram_access_key_policy" "appserver" {
  count               = var.access_key_id == "" ? 0 : 1
  user_access_key_id  = var.access_key_id
  user_principal_name = "appserver@11223344.onaliyun.com"
  access_key_policy   = "{\"Version\":1,\"Status\":\"Active\",\"Statements\":[{\"Type\":\"ClassicWhiteList\",\"IPList\":[\"198.51.100.0/24\",\"203.0.113.1\"]}]}"
  depends_on          = [alicloud_ram_user.appserver]
}

resource "alicloud_ram_role" "role_oss_readonly" {
  role_name                   = "oss-readonly"
  max_session_duration        = 3600
  assume_role_policy_document = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Principal\":{\"RAM\":[\"acs:ram::11223344:user/appserver\"]}}]}"
  depends_on                  = [alicloud_ram_user.appserver]
}

resource "alicloud_ram_policy" "policy_oss_readonly_appserver" {
  policy_name     = "oss-readonly-appserver"
  description     = "AppServer: everything that the grants of the role can render"
  policy_document = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":[\"oss:Get*\",\"oss:List*\"],\"Resource\":\"acs:oss:*:*:*\"}]}"
  rotate_strategy = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
}

resource "alicloud_ram_role_policy_attachment" "policy_oss_readonly_appserver" {
  policy_name = alicloud_ram_policy.policy_oss_readonly_appserver.policy_name
  policy_type = alicloud_ram_policy.policy_oss_readonly_appserver.type
  role_name   = alicloud_ram_role.role_oss_readonly.role_name
}

resource "alicloud_ram_role" "role_oss_readwrite" {
  role_name                   = "oss-readwrite"
  max_session_duration        = 3600
  assume_role_policy_document = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Principal\":{\"RAM\":[\"acs:ram::11223344:user/appserver\"]}}]}"
  depends_on                  = [alicloud_ram_user.appserver]
}

resource "alicloud_ram_policy" "policy_oss_readwrite_appserver" {
  policy_name     = "oss-readwrite-appserver"
  description     = "AppServer: everything that the grants of the role can render"
  policy_document = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"oss:ListObjects\",\"Resource\":\"acs:oss:*:*:sample-bucket\",\"Condition\":{\"StringLike\":{\"oss:Prefix\":[\"albums/*/*\",\"users/*/*\"]}}},{\"Effect\":\"Allow\",\"Action\":[\"oss:AbortMultipartUpload\",\"oss:DeleteObject\",\"oss:GetObject\",\"oss:ListParts\",\"oss:PutObject\"],\"Resource\":\"acs:oss:*:*:sample-bucket/users/*/*\"},{\"Effect\":\"Allow\",\"Action\":[\"oss:AbortMultipartUpload\",\"oss:GetObject\",\"oss:ListParts\",\"oss:PutObject\"],\"Resource\":\"acs:oss:*:*:sample-bucket/albums/*/*\"}]}"
  rotate_strategy = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
}

resource "alicloud_ram_role_policy_attachment" "policy_oss_readwrite_appserver" {
  policy_name = alicloud_ram_policy.policy_oss_readwrite_appserver.policy_name
  policy_type = alicloud_ram_policy.policy_oss_readwrite_appserver.type
  role_name   = alicloud_ram_role.role_oss_readwrite.role_name
}
