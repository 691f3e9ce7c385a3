'use strict';
// @alicloud/credentials, which fetches its credentials from a URL and renews them by itself.

const assert = require('node:assert/strict');
const { test } = require('node:test');

const Credential = require('@alicloud/credentials');
const OSS = require('ali-oss');

const stage = require('./stage');

function credentialOf(url) {
  return new Credential.default(new Credential.Config({ type: 'credentials_uri', credentialsURI: url }));
}

test('a credentials URI is all that ali-oss needs', () =>
  stage.hop(async (hop) => {
    const user = stage.newUser();
    const credential = credentialOf(hop.url('own-prefix', { user }));
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

    assert.deepEqual(hop.queries, [`Grant=own-prefix&Parameters.user=${user}`], 'one token for all');
  }));

test('a token near its end is fetched again, and a fresh one is kept', () =>
  stage.hop(async (hop) => {
    const user = stage.newUser();
    const credential = credentialOf(hop.url('own-prefix', { user }));
    // The SDK drops what has a quarter of an hour left: this one from the beginning.
    hop.instead.push(stage.query('own-prefix', { user, duration: 900 }));

    const first = await credential.getCredential();
    const second = await credential.getCredential();
    const third = await credential.getCredential();

    assert.equal(hop.queries.length, 2);
    assert.notEqual(first.accessKeyId, second.accessKeyId);
    assert.equal(second.accessKeyId, third.accessKeyId);
    assert.equal(second.providerName, 'credential_uri');
  }));

test('a refusal of AppServer is shown with its code', () =>
  stage.hop(async (hop) => {
    const credential = credentialOf(hop.url('one-album', { album: '*' }));

    await assert.rejects(credential.getCredential(), (error) => {
      assert.match(error.message, /httpStatus: 400/);
      assert.match(error.message, /"Code":"InvalidParameter\.Parameters\.album"/);
      return true;
    });
  }));
