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

# With a directory as its argument the script also creates an AccessKey, in two files there. It is never shown.
key_dir=${1:-}
for file in access-key-id access-key-secret; do
  if [ -n "$key_dir" ] && [ -e "$key_dir/$file" ]; then
    echo "$key_dir/$file exists and is not overwritten: name another directory" >&2
    exit 1
  fi
done

# The user whose AccessKey signs the calls to STS.
aliyun ram CreateUser --UserName appserver
aliyun ram CreatePolicy --PolicyName appserver-assume-roles --Description 'AppServer: assume the configured roles and no others' --PolicyDocument '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Resource":"acs:ram::11223344:role/oss-readonly"}]}'
aliyun ram AttachPolicyToUser --PolicyType Custom --PolicyName appserver-assume-roles --UserName appserver

# The role oss-readonly.
aliyun ram CreateRole --RoleName oss-readonly --MaxSessionDuration 3600 --AssumeRolePolicyDocument '{"Version":"1","Statement":[{"Effect":"Allow","Action":"sts:AssumeRole","Principal":{"RAM":["acs:ram::11223344:user/appserver"]}}]}'
aliyun ram CreatePolicy --PolicyName oss-readonly-appserver --Description 'AppServer: everything that the grants of the role can render' --PolicyDocument '{"Version":"1","Statement":[{"Effect":"Allow","Action":"oss:GetObject","Resource":"acs:oss:*:*:sample-bucket/albums/*/*"}]}'
aliyun ram AttachPolicyToRole --PolicyType Custom --PolicyName oss-readonly-appserver --RoleName oss-readonly

if [ -z "$key_dir" ]; then
  echo "No AccessKey was created: RAM shows its secret once, and this script is to write it to files and not to the terminal."
  echo "Name a directory as its argument, or create one in the RAM console."
else
  mkdir -p "$key_dir"
  key=$(aliyun ram CreateAccessKey --UserName appserver)
  printf '%s' "$key" | jq -r .AccessKey.AccessKeyId >"$key_dir/access-key-id"
  printf '%s' "$key" | jq -r .AccessKey.AccessKeySecret >"$key_dir/access-key-secret"
fi
