#!/usr/bin/env bash
# What AppServer needs in account 11223344: printed by `appserver setup plan`, to be run by an administrator of the account.
# It is for an account that has none of this: it changes nothing that exists, and ends at the first name that is taken, so it
# cannot continue a run that was interrupted. `appserver setup apply` makes what is missing, and can be repeated.
set -euo pipefail
umask 077

found=$(aliyun sts GetCallerIdentity | jq -r .AccountId)
if [ "$found" != 11223344 ]; then
  echo "the administrator is of account $found, and the plan is for 11223344" >&2
  exit 1
fi

# The OIDC provider, unless it exists: ACK creates the one of a cluster when RRSA is switched on. OIDC_FINGERPRINTS is the
# SHA-1 fingerprint of the CA certificate of the issuer, or several separated by commas.
if ! aliyun ims GetOIDCProvider --OIDCProviderName ack-rrsa-c0ffee >/dev/null 2>&1; then
  aliyun ims CreateOIDCProvider --OIDCProviderName ack-rrsa-c0ffee --IssuerUrl https://oidc.example.com/c0ffee --ClientIds sts.aliyuncs.com --Fingerprints "${OIDC_FINGERPRINTS:?}"
fi

# The role that STS gives for a token.
aliyun ram CreateRole --RoleName appserver --MaxSessionDuration 3600 --AssumeRolePolicyDocument '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"Federated":["acs:ram::11223344:oidc-provider/ack-rrsa-c0ffee"]},"Condition":{"StringEquals":{"oidc:aud":"sts.aliyuncs.com","oidc:iss":"https://oidc.example.com/c0ffee","oidc:sub":"system:serviceaccount:default:appserver"}}}]}'
aliyun ram CreatePolicy --PolicyName appserver-assume-roles --Description 'AppServer: assume the configured roles and no others' --PolicyDocument '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":["acs:ram::11223344:role/photos","acs:ram::55667788:role/partner-photos"]}]}'
aliyun ram AttachPolicyToRole --PolicyType Custom --PolicyName appserver-assume-roles --RoleName appserver

# The role photos.
aliyun ram CreateRole --RoleName photos --MaxSessionDuration 7200 --AssumeRolePolicyDocument '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::11223344:role/appserver"]}}]}'
aliyun ram CreatePolicy --PolicyName photos-appserver --Description 'AppServer: everything that the grants of the role can render' --PolicyDocument '{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/albums/*/*"},{"Effect":"Allow","Action":["oss:AbortMultipartUpload","oss:ListParts","oss:PutObject"],"Resource":"acs:oss:*:*:sample-bucket/uploads/*/*"}]}'
aliyun ram AttachPolicyToRole --PolicyType Custom --PolicyName photos-appserver --RoleName photos

# In account 55667788, by its administrator:
# aliyun ram CreateRole --RoleName partner-photos --MaxSessionDuration 3600 --AssumeRolePolicyDocument '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::11223344:role/appserver"]},"Condition":{"StringEquals":{"sts:ExternalId":"appserver@11223344"}}}]}'
# aliyun ram CreatePolicy --PolicyName partner-photos-appserver --Description 'AppServer: everything that the grants of the role can render' --PolicyDocument '{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/2015/01/01/*.jpg"}]}'
# aliyun ram AttachPolicyToRole --PolicyType Custom --PolicyName partner-photos-appserver --RoleName partner-photos
