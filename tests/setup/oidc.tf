# What AppServer needs in account 11223344: printed by `appserver setup plan`.

terraform {
  required_providers {
    alicloud = {
      source  = "aliyun/alicloud"
      version = ">= 1.252.0"
    }
  }
}

# SHA-1 fingerprints of the CA certificate of the issuer.
variable "oidc_fingerprints" {
  type    = list(string)
  default = []
}

# ACK creates the provider of a cluster when RRSA is switched on: then import it.
resource "alicloud_ims_oidc_provider" "appserver" {
  oidc_provider_name = "ack-rrsa-c0ffee"
  issuer_url         = "https://oidc.example.com/c0ffee"
  client_ids         = ["sts.aliyuncs.com"]
  fingerprints       = var.oidc_fingerprints
}

resource "alicloud_ram_role" "role_appserver" {
  role_name                   = "appserver"
  max_session_duration        = 3600
  assume_role_policy_document = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Principal\":{\"Federated\":[\"acs:ram::11223344:oidc-provider/ack-rrsa-c0ffee\"]},\"Condition\":{\"StringEquals\":{\"oidc:aud\":\"sts.aliyuncs.com\",\"oidc:iss\":\"https://oidc.example.com/c0ffee\",\"oidc:sub\":\"system:serviceaccount:default:appserver\"}}}]}"
  depends_on                  = [alicloud_ims_oidc_provider.appserver]
}

resource "alicloud_ram_policy" "policy_appserver_assume_roles" {
  policy_name     = "appserver-assume-roles"
  description     = "AppServer: assume the configured roles and no others"
  policy_document = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Resource\":[\"acs:ram::11223344:role/photos\",\"acs:ram::55667788:role/partner-photos\"]}]}"
  rotate_strategy = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
}

resource "alicloud_ram_role_policy_attachment" "policy_appserver_assume_roles" {
  policy_name = alicloud_ram_policy.policy_appserver_assume_roles.policy_name
  policy_type = alicloud_ram_policy.policy_appserver_assume_roles.type
  role_name   = alicloud_ram_role.role_appserver.role_name
}

resource "alicloud_ram_role" "role_photos" {
  role_name                   = "photos"
  max_session_duration        = 7200
  assume_role_policy_document = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Principal\":{\"RAM\":[\"acs:ram::11223344:role/appserver\"]}}]}"
  depends_on                  = [alicloud_ram_role.role_appserver]
}

resource "alicloud_ram_policy" "policy_photos_appserver" {
  policy_name     = "photos-appserver"
  description     = "AppServer: everything that the grants of the role can render"
  policy_document = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"oss:GetObject\",\"Resource\":\"acs:oss:*:*:sample-bucket/albums/*/*\"},{\"Effect\":\"Allow\",\"Action\":[\"oss:AbortMultipartUpload\",\"oss:ListParts\",\"oss:PutObject\"],\"Resource\":\"acs:oss:*:*:sample-bucket/uploads/*/*\"}]}"
  rotate_strategy = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
}

resource "alicloud_ram_role_policy_attachment" "policy_photos_appserver" {
  policy_name = alicloud_ram_policy.policy_photos_appserver.policy_name
  policy_type = alicloud_ram_policy.policy_photos_appserver.type
  role_name   = alicloud_ram_role.role_photos.role_name
}

# In account 55667788, by its administrator:
#
# resource "alicloud_ram_role" "role_partner_photos" {
#   role_name                   = "partner-photos"
#   max_session_duration        = 3600
#   assume_role_policy_document = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"sts:AssumeRole\",\"Principal\":{\"RAM\":[\"acs:ram::11223344:role/appserver\"]},\"Condition\":{\"StringEquals\":{\"sts:ExternalId\":\"appserver@11223344\"}}}]}"
# }
#
# resource "alicloud_ram_policy" "policy_partner_photos_appserver" {
#   policy_name     = "partner-photos-appserver"
#   description     = "AppServer: everything that the grants of the role can render"
#   policy_document = "{\"Version\":\"1\",\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"oss:GetObject\",\"Resource\":\"acs:oss:*:*:sample-bucket/2015/01/01/*.jpg\"}]}"
#   rotate_strategy = "DeleteOldestNonDefaultVersionWhenLimitExceeded"
# }
#
# resource "alicloud_ram_role_policy_attachment" "policy_partner_photos_appserver" {
#   policy_name = alicloud_ram_policy.policy_partner_photos_appserver.policy_name
#   policy_type = alicloud_ram_policy.policy_partner_photos_appserver.type
#   role_name   = alicloud_ram_role.role_partner_photos.role_name
# }
