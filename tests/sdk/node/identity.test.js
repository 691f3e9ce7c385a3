'use strict';
// @alicloud/credentials against the emulated metadata server and AssumeRoleWithOIDC: who AppServer itself can be.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { afterEach, beforeEach, test } = require('node:test');

const { ECSRAMRoleCredentialsProvider, OIDCRoleArnCredentialsProvider } = require('@alicloud/credentials');
const { Config } = require('@alicloud/openapi-core').$OpenApiUtil;
const sts20150401 = require('@alicloud/sts20150401');

const stage = require('./stage');

const POD = 'acs:ram::11223344:role/appserver-pod';
const PROVIDER = 'acs:ram::11223344:oidc-provider/ack-rrsa-demo';

beforeEach(() => stage.control('DELETE', 'metadata/calls'));
afterEach(() => stage.control('DELETE', 'metadata/faults'));

// The provider with its requests sent to `base`: the library has the metadata server's address and the scheme `https` as constants.
function sentTo(base, provider) {
  const { protocol, host } = new URL(base);
  const send = provider.doRequest;
  provider.doRequest = (request) => send(Object.assign(request, { protocol: protocol.slice(0, -1), host }));
  return provider;
}

function onEcs({ disableIMDSv1 = false } = {}) {
  return sentTo(stage.METADATA, ECSRAMRoleCredentialsProvider.builder().withDisableIMDSv1(disableIMDSv1).build());
}

function onAck(token) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'appserver-sdk-'));
  const file = path.join(folder, 'token');
  fs.writeFileSync(file, token);
  const provider = OIDCRoleArnCredentialsProvider.builder()
    .withRoleArn(POD).withOIDCProviderArn(PROVIDER).withOIDCTokenFilePath(file).withRoleSessionName('appserver').build();
  return sentTo(stage.STS, provider);
}

async function jwt(sub = 'system:serviceaccount:default:appserver', aud = 'sts.aliyuncs.com') {
  return (await fetch(`${stage.STS}/_emulator/jwt?${new URLSearchParams({ sub, aud })}`)).text();
}

async function identityOf({ accessKeyId, accessKeySecret, securityToken }) {
  const client = new sts20150401.default(new Config({
    accessKeyId, accessKeySecret, securityToken, endpoint: stage.STS.replace('http://', ''), protocol: 'http',
  }));
  return (await client.getCallerIdentity()).body.arn;
}

async function requests() {
  const { Calls } = await stage.control('GET', 'metadata/calls');
  return Calls.map(({ Action, Parameters }) => `${Action}${Parameters.HasToken ? ' with a token' : ''}`);
}

test('the credentials of an instance are those of its role', async () => {
  const found = await onEcs().getCredentials();
  assert.equal(found.providerName, 'ecs_ram_role');
  assert.equal(await identityOf(found), 'acs:ram::11223344:assumed-role/appserver-instance/vm-ram-i-emulated');
  assert.deepEqual(await requests(), [
    'CreateToken', 'GetRoleName with a token', 'CreateToken', 'GetCredentials with a token',
  ]);
});

test('without metadata tokens the library falls back to version 1 unless that is disabled', async () => {
  await stage.control('POST', 'metadata/faults', { Fault: { Html: { Status: 404 } }, Action: 'CreateToken' });
  assert.ok((await onEcs().getCredentials()).securityToken);
  assert.deepEqual(await requests(), ['CreateToken', 'GetRoleName', 'CreateToken', 'GetCredentials']);
  await assert.rejects(onEcs({ disableIMDSv1: true }).getCredentials(), /get metadata token failed with 404/);
});

test('a document whose Code is not Success is refused', async () => {
  const fault = { OtherText: { Field: 'Code', Text: 'Failed' } };
  await stage.control('POST', 'metadata/faults', { Fault: fault, Action: 'GetCredentials' });
  await assert.rejects(onEcs({ disableIMDSv1: true }).getCredentials(), /Code is not Success/);
});

test("a service account's token gets credentials of the role that trusts it", async () => {
  const found = await onAck(await jwt()).getCredentials();
  assert.equal(found.providerName, 'oidc_role_arn');
  assert.equal(await identityOf(found), 'acs:ram::11223344:assumed-role/appserver-pod/appserver');
});

test('the library reports the refusals of STS', async () => {
  const table = [
    ['AuthenticationFail.OIDCToken.AudienceNotMatch', await jwt(undefined, 'other')],
    ['AuthenticationFail.NoPermission', await jwt('system:serviceaccount:default:other')],
    ['AuthenticationFail.OIDCToken.Invalid', 'no.token'],
  ];
  for (const [code, token] of table) {
    await assert.rejects(onAck(token).getCredentials(), ({ message }) => message.includes(`"Code":"${code}"`));
  }
});
