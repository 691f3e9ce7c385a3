'use strict';
// ali-oss against OSS as accounts and buckets get it that are new since 2025: no signature V1, and in the Chinese mainland
// no data at the public endpoint.

const assert = require('node:assert/strict');
const fs = require('node:fs');
const http = require('node:http');
const { test } = require('node:test');
const { setTimeout } = require('node:timers/promises');

const OSS = require('ali-oss');

const stage = require('./stage');

const WITHOUT_V1 = process.env.OSS_WITHOUT_V1_URL;
const WITHOUT_PUBLIC_ENDPOINT = process.env.OSS_WITHOUT_PUBLIC_ENDPOINT_URL;
// A domain of the bucket in config/emulator.toml.
const DOMAIN = 'photos.example.test';

async function connect(t, options) {
  const user = stage.newUser();
  const token = await stage.token('my-photos', { user });
  // Domains of `.test` have no address.
  const agent = new http.Agent({ lookup: (_host, { all }, found) => {
    const here = { address: '127.0.0.1', family: 4 };
    return all ? found(null, [here]) : found(null, here.address, here.family);
  } });
  t.after(() => agent.destroy());
  const client = new OSS({
    region: stage.REGION, bucket: stage.BUCKET, agent, accessKeyId: token.AccessKeyId,
    accessKeySecret: token.AccessKeySecret, stsToken: token.SecurityToken, refreshSTSToken: async () => token, ...options,
  });
  return { client, key: `users/${user}/a b.jpg` };
}

// What an app sees, and what the emulator's log says that it must change.
async function refused(act, log, setting, expected) {
  const from = fs.statSync(log).size;
  await assert.rejects(act, ({ status, code, ecCode }) => {
    assert.deepEqual({ status, code, ecCode }, expected);
    return true;
  });
  // A thread of its own writes the log.
  const logged = () => fs.readFileSync(log).subarray(from).includes(setting);
  for (let tries = 0; !logged() && tries < 100; tries += 1) await setTimeout(100);
  assert.ok(logged(), `the log does not say '${setting}'`);
}

async function works({ client, key }) {
  await client.put(key, Buffer.from('grass'));
  assert.equal((await client.get(key)).content.toString(), 'grass');
  assert.deepEqual((await client.list({ prefix: key })).objects.map(({ name }) => name), [key]);
  await client.delete(key);
}

test('signature V1 is refused in headers and URLs, and V4 works', async (t) => {
  const setting = 'set `authorizationV4: true` and `region` of the client';
  const expected = { status: 403, code: 'AccessDenied', ecCode: '0002-00000080' };
  const endpoint = WITHOUT_V1.replace('127.0.0.1', 'localhost');
  const v1 = await connect(t, { endpoint });

  await refused(() => v1.client.put(v1.key, Buffer.from('grass')), process.env.WITHOUT_V1_LOG, setting, expected);
  const url = await stage.fetchUrl(await v1.client.asyncSignatureUrl(v1.key, { expires: 60 }));
  assert.equal(url.status, 403);
  assert.match(url.text, /<EC>0002-00000080<\/EC>/);

  await works(await connect(t, { endpoint, authorizationV4: true }));
});

test('the public endpoint is refused, and a domain of the bucket works with cname', async (t) => {
  const log = process.env.WITHOUT_PUBLIC_ENDPOINT_LOG;
  const setting = `set it to \`${DOMAIN}\``;
  const expected = { status: 400, code: 'PublicEndpointForbidden', ecCode: '0048-00000401' };
  const open = await connect(t, { endpoint: WITHOUT_PUBLIC_ENDPOINT, authorizationV4: true });

  await refused(() => open.client.put(open.key, Buffer.from('grass')), log, setting, expected);

  const endpoint = WITHOUT_PUBLIC_ENDPOINT.replace('127.0.0.1', DOMAIN);
  const bound = await connect(t, { endpoint, cname: true, authorizationV4: true });
  await works(bound);
  const url = await bound.client.signatureUrlV4('GET', 60, undefined, bound.key);
  assert.equal(new URL(url).host, new URL(endpoint).host);
});
