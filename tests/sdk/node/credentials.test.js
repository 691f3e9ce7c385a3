'use strict';
// @alicloud/credentials, which fetches its credentials from a URL and renews them automatically.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const Credential = require('@alicloud/credentials');
const OSS = require('ali-oss');

const stage = require('./stage');

function credentialOf(url) {
  return new Credential.default(new Credential.Config({ type: 'credentials_uri', credentialsURI: url }));
}

test('a credentials URI is all that ali-oss needs', async () => {
  const user = stage.newUser();
  const before = await stage.vended();
  const credential = credentialOf(await stage.ticket('my-photos', { user }));
  const found = async () => {
    const { accessKeyId, accessKeySecret, securityToken } = await credential.getCredential();
    return { accessKeyId, accessKeySecret, stsToken: securityToken };
  };
  const client = new OSS({
    endpoint: stage.OSS, bucket: stage.BUCKET, ...(await found()), refreshSTSToken: found, refreshSTSTokenInterval: 0,
  });

  await client.put(`users/${user}/a.jpg`, Buffer.from('grass'));
  assert.equal((await client.get(`users/${user}/a.jpg`)).content.toString(), 'grass');
  await stage.refused(stage.DENIED, () => client.get('users/bob/lake.jpg'));

  assert.equal(await stage.vended(), before + 1, 'one token for all');
});

test('a token near its expiry is replaced, and a fresh one is reused', async () => {
  const user = stage.newUser();
  // The SDK discards tokens with a quarter of an hour left, so it discards these at once.
  const short = credentialOf(await stage.ticket('my-photos', { user, duration: 900 }));
  const fresh = credentialOf(await stage.ticket('my-photos', { user }));
  const before = await stage.vended();
  const ids = async (credential) => {
    const both = [await credential.getCredential(), await credential.getCredential()];
    assert.equal(both[1].providerName, 'credential_uri');
    return both.map(({ accessKeyId }) => accessKeyId);
  };

  const [one, again] = await ids(short);
  assert.equal(await stage.vended(), before + 2, 'fetched again, though AppServer had kept it');
  const [first, second] = await ids(fresh);

  assert.equal(await stage.vended(), before + 3);
  assert.equal(one, again);
  assert.equal(first, second);
});

test('an expired ticket is reported with its code', async () => {
  const url = await stage.ticket('my-photos', { user: stage.newUser() });
  // A changed token gets the same answer as an expired one, without the wait.
  const credential = credentialOf(`${url.slice(0, -4)}AAAA`);

  await assert.rejects(credential.getCredential(), (error) => {
    assert.match(error.message, /httpStatus: 401/);
    assert.match(error.message, /"Code":"Unauthenticated"/);
    return true;
  });
});
