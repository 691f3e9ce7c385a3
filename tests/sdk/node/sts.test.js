'use strict';
// The emulated STS with ali-oss (HMAC-SHA1) and with Alibaba's own client (ACS3-HMAC-SHA256).

const assert = require('node:assert/strict');
const { test } = require('node:test');

const OSS = require('ali-oss');
const { Config } = require('@alicloud/openapi-core').$OpenApiUtil;
const sts20150401 = require('@alicloud/sts20150401');

const stage = require('./stage');

const ROLE = 'acs:ram::11223344:role/oss-readonly';
// With all characters that signers often encode wrongly.
const POLICY = {
  Version: '1',
  Statement: [
    {
      Effect: 'Allow',
      Action: ['oss:GetObject'],
      Resource: ['acs:oss:*:*:sample-bucket/albums/2015/*', "acs:oss:*:*:sample-bucket/a b~é中+(!')/*"],
    },
  ],
};

async function opensTheAlbum(credentials) {
  const client = new OSS({
    endpoint: stage.OSS,
    bucket: stage.BUCKET,
    accessKeyId: credentials.accessKeyId,
    accessKeySecret: credentials.accessKeySecret,
    stsToken: credentials.securityToken,
    refreshSTSToken: async () => credentials,
  });
  assert.equal((await client.get('albums/2015/spring.jpg')).res.status, 200);
  await stage.refused(stage.DENIED, () => client.get('albums/2016/autumn.jpg'));
}

test("ali-oss's STS class assumes a role, and its token allows what the policy allows", async () => {
  const sts = new OSS.STS({ endpoint: stage.STS, accessKeyId: 'testid', accessKeySecret: 'testsecret' });

  const { credentials, res } = await sts.assumeRole(ROLE, POLICY, 1800, 'sdk-tests');

  assert.equal(res.status, 200);
  assert.match(credentials.Expiration, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/);
  const { AccessKeyId: accessKeyId, AccessKeySecret: accessKeySecret, SecurityToken: securityToken } = credentials;
  await opensTheAlbum({ accessKeyId, accessKeySecret, securityToken });
});

test("ali-oss's STS class gets STS's refusals", async () => {
  const assume = (accessKeyId, accessKeySecret, role = ROLE, policy = POLICY) => {
    const sts = new OSS.STS({ endpoint: stage.STS, accessKeyId, accessKeySecret });
    return sts.assumeRole(role, policy, 1800, 'sdk-tests');
  };
  const table = [
    [400, 'SignatureDoesNotMatch', () => assume('testid', 'wrong')],
    [404, 'InvalidAccessKeyId.NotFound', () => assume('nobody', 'testsecret')],
    [400, 'InvalidAccessKeyId.Inactive', () => assume('disabledid', 'disabledsecret')],
    [403, 'NoPermission', () => assume('internid', 'internsecret')],
    [403, 'NoPermission', () => assume('rootid', 'rootsecret')],
    [404, 'EntityNotExist.Role', () => assume('testid', 'testsecret', `${ROLE}-2`)],
    [400, 'InvalidParameter.PolicyGrammar', () => assume('testid', 'testsecret', ROLE, { Version: '2' })],
  ];
  for (const [status, code, act] of table) {
    await assert.rejects(act, (error) => {
      assert.deepEqual([error.status, error.code], [status, code]);
      assert.ok(error.message.startsWith(`${code}: `) && error.requestId, error.message);
      return true;
    });
  }
});

// Alibaba's client with a given key.
function client(accessKeyId, accessKeySecret, securityToken) {
  const config = { accessKeyId, accessKeySecret, securityToken, protocol: 'http' };
  return new sts20150401.default(new Config({ ...config, endpoint: stage.STS.replace('http://', '') }));
}

function assume(from, changed) {
  const asked = { roleArn: ROLE, roleSessionName: 'sdk-tests', policy: JSON.stringify(POLICY), durationSeconds: 1800 };
  return from.assumeRole(new sts20150401.AssumeRoleRequest({ ...asked, ...changed }));
}

test("Alibaba's STS client assumes a role, and its token allows what the policy allows", async () => {
  const answer = await assume(client('testid', 'testsecret'));

  assert.equal(answer.statusCode, 200);
  assert.equal(answer.body.assumedRoleUser.arn, `${ROLE}/sdk-tests`);
  await opensTheAlbum(answer.body.credentials);
});

test("Alibaba's STS client gets the caller's identity", async () => {
  const token = await stage.token('daily-photos');
  const user = await client('testid', 'testsecret').getCallerIdentity();
  const session = client(token.AccessKeyId, token.AccessKeySecret, token.SecurityToken);
  const role = await session.getCallerIdentity();

  assert.equal(user.body.arn, 'acs:ram::11223344:user/appserver');
  assert.equal(role.body.identityType, 'AssumedRoleUser');
  assert.equal(role.body.arn, 'acs:ram::11223344:assumed-role/oss-readonly/sdk-tests');
});

test("Alibaba's STS client gets STS's refusals", async () => {
  const table = [
    [400, 'SignatureDoesNotMatch', () => assume(client('testid', 'wrong'))],
    [404, 'InvalidAccessKeyId.NotFound', () => assume(client('nobody', 'testsecret'))],
    [403, 'NoPermission', () => assume(client('internid', 'internsecret'))],
    [404, 'EntityNotExist.Role', () => assume(client('testid', 'testsecret'), { roleArn: `${ROLE}-2` })],
    [400, 'InvalidParameter.PolicyGrammar', () => assume(client('testid', 'testsecret'), { policy: '{' })],
  ];
  for (const [status, code, act] of table) {
    await assert.rejects(act, (error) => {
      assert.deepEqual([error.statusCode, error.code], [status, code]);
      return true;
    });
  }
});
