'use strict';
// The emulated RAM with Alibaba's own client, which sends everything in the query and signs with ACS3-HMAC-SHA256.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const { test } = require('node:test');

const { Config } = require('@alicloud/openapi-core').$OpenApiUtil;
const ram20150501 = require('@alicloud/ram20150501');
const sts20150401 = require('@alicloud/sts20150401');

const stage = require('./stage');

const ACCOUNT = '11223344';

function config(endpoint, accessKeyId, accessKeySecret) {
  return new Config({
    accessKeyId, accessKeySecret, regionId: 'cn-hangzhou', endpoint: endpoint.replace('http://', ''), protocol: 'http',
  });
}

function ram(accessKeyId = 'adminid', accessKeySecret = 'adminsecret') {
  return new ram20150501.default(config(stage.RAM, accessKeyId, accessKeySecret));
}

// 6144 bytes, with the characters that signers often encode wrongly.
function longestPolicy() {
  const policy = (padding) => JSON.stringify({
    Version: '1',
    Statement: [
      { Effect: 'Allow', Action: ['oss:GetObject'], Resource: [`acs:oss:*:*:sample-bucket/a b~é中+(!')/${padding}*`] },
    ],
  });
  return policy('/'.repeat(6144 - Buffer.byteLength(policy(''))));
}

test('a user, a role and a policy are created, and the key of the user assumes the role', async () => {
  const client = ram();
  const suffix = crypto.randomBytes(4).toString('hex');
  const [userName, roleName, policyName] = [`worker-${suffix}`, `photos-${suffix}`, `photos-${suffix}`];
  const trust = JSON.stringify({
    Version: '1',
    Statement: [
      { Effect: 'Allow', Action: 'sts:AssumeRole', Principal: { RAM: [`acs:ram::${ACCOUNT}:user/${userName}`] } },
    ],
  });
  const document = longestPolicy();

  await client.createUser(new ram20150501.CreateUserRequest({ userName }));
  await client.attachPolicyToUser(new ram20150501.AttachPolicyToUserRequest({
    userName, policyType: 'System', policyName: 'AliyunSTSAssumeRoleAccess',
  }));
  const { body: { role } } = await client.createRole(new ram20150501.CreateRoleRequest({
    roleName, assumeRolePolicyDocument: trust, maxSessionDuration: 3600,
  }));
  await client.createPolicy(new ram20150501.CreatePolicyRequest({ policyName, policyDocument: document }));
  await client.attachPolicyToRole(new ram20150501.AttachPolicyToRoleRequest({
    roleName, policyType: 'Custom', policyName,
  }));
  const version = await client.createPolicyVersion(new ram20150501.CreatePolicyVersionRequest({
    policyName, policyDocument: document, setAsDefault: true,
  }));
  const { body: { accessKey } } = await client.createAccessKey(new ram20150501.CreateAccessKeyRequest({ userName }));

  assert.equal(version.body.policyVersion.isDefaultVersion, true);
  const read = await client.getPolicy(new ram20150501.GetPolicyRequest({ policyName, policyType: 'Custom' }));
  assert.equal(read.body.defaultPolicyVersion.policyDocument, document);
  assert.equal(role.arn, `acs:ram::${ACCOUNT}:role/${roleName}`);
  const sts = new sts20150401.default(config(stage.STS, accessKey.accessKeyId, accessKey.accessKeySecret));
  const assumed = await sts.assumeRole(new sts20150401.AssumeRoleRequest({
    roleArn: role.arn, roleSessionName: 'sdk-tests',
  }));
  assert.equal(assumed.body.assumedRoleUser.arn, `${role.arn}/sdk-tests`);
});

test('errors arrive as from RAM', async () => {
  const refused = async (statusCode, code, act) => assert.rejects(act, (error) => {
    assert.deepEqual([error.statusCode, error.code], [statusCode, code]);
    return true;
  });
  const user = (userName) => new ram20150501.GetUserRequest({ userName });
  await refused(404, 'EntityNotExist.User', () => ram().getUser(user('no-such-user')));
  await refused(403, 'NoPermission', () => ram('internid', 'internsecret').getUser(user('appserver')));
  const existing = new ram20150501.CreateUserRequest({ userName: 'appserver' });
  await refused(409, 'EntityAlreadyExists.User', () => ram().createUser(existing));
});
