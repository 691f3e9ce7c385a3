'use strict';
// ali-oss, with signatures V1 and V4: everything that a grant allows, and nothing beyond it.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { describe, test } = require('node:test');

const OSS = require('ali-oss');

const stage = require('./stage');
const { DENIED, PART, owner, refused } = stage;

// The code of docs/callbacks.md.
const page = fs.readFileSync(path.join(__dirname, '../../../docs/callbacks.md'), 'utf8');
const putReported = new Function(`${page.match(/^```js\n(.*?)^```$/ms)[1]}; return putReported;`)();

// A client with a token, as in the SDK's documentation.
function clientWith(token, options) {
  return new OSS({
    region: stage.REGION,
    endpoint: stage.OSS,
    bucket: stage.BUCKET,
    accessKeyId: token.AccessKeyId,
    accessKeySecret: token.AccessKeySecret,
    stsToken: token.SecurityToken,
    // Without it the SDK prints a recommendation at each start.
    refreshSTSToken: async () => token,
    ...options,
  });
}

// A file that is deleted after the test.
function file(t, content) {
  const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'appserver-sdk-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const name = path.join(folder, 'film.mp4');
  fs.writeFileSync(name, content);
  return name;
}

for (const authorizationV4 of [false, true]) {
  describe(`ali-oss with signature ${authorizationV4 ? 'V4' : 'V1'}`, () => {
    const connect = (token, options) => clientWith(token, { authorizationV4, ...options });
    const own = async (user) => connect(await stage.token('my-photos', { user }));

    test('an object is put, read, listed and deleted', async () => {
      const user = stage.newUser();
      const client = await own(user);
      const key = `users/${user}/a picture+of 50% ~é中!'(*).jpg`;
      const content = crypto.randomBytes(5000);

      const put = await client.put(key, content, { meta: { place: 'hills' }, mime: 'image/jpeg' });
      assert.equal(put.res.status, 200);
      const got = await client.get(key);
      assert.deepEqual(got.content, content);
      assert.equal(got.res.headers['content-type'], 'image/jpeg');
      const head = await client.head(key);
      assert.deepEqual(head.meta, { place: 'hills' });
      const part = await client.get(key, { headers: { Range: 'bytes=10-19' } });
      assert.deepEqual(part.content, content.subarray(10, 20));
      const listed = await client.list({ prefix: `users/${user}/` });
      assert.deepEqual(listed.objects.map(({ name }) => name), [key]);
      assert.equal((await client.delete(key)).res.status, 204);
      const gone = { status: 404, code: 'NoSuchKey', message: 'The specified key does not exist.' };
      await refused(gone, () => client.get(key));
      await refused({ ...gone, message: 'Object not exists' }, () => client.head(key));
    });

    test('both listings return all pages', async () => {
      const user = stage.newUser();
      const client = await own(user);
      const prefix = `users/${user}/`;
      const keys = ['a/0 é+.jpg', 'a/1.jpg', 'b/0.jpg', 'b/1.jpg', 'c.jpg'].map((key) => prefix + key);
      for (const key of keys) await client.put(key, Buffer.from('x'));

      const pages = { marker: [], continuationToken: [] };
      // Not `undefined`, which V4 sends and does not sign.
      for (let marker = null; pages.marker.length === 0 || marker; ) {
        const page = await client.list({ prefix, 'max-keys': 2, marker });
        pages.marker.push(...page.objects.map(({ name }) => name));
        marker = page.nextMarker;
      }
      for (let next = null; pages.continuationToken.length === 0 || next; ) {
        const page = await client.listV2({ prefix, 'max-keys': 2, 'continuation-token': next });
        pages.continuationToken.push(...page.objects.map(({ name }) => name));
        next = page.nextContinuationToken;
      }
      assert.deepEqual(pages, { marker: keys, continuationToken: keys });
      const folders = await client.listV2({ prefix, delimiter: '/' });
      assert.deepEqual(folders.prefixes, [`${prefix}a/`, `${prefix}b/`]);
      const deleted = await client.deleteMulti(keys);
      assert.deepEqual(deleted.deleted.map(({ Key }) => Key).sort(), keys);
      assert.deepEqual((await client.list({ prefix })).objects ?? [], []);
    });

    test('a multipart upload is resumed with the next token', async (t) => {
      const user = stage.newUser();
      const key = `users/${user}/film.mp4`;
      const content = crypto.randomBytes(4 * PART + 77);
      const film = file(t, content);
      const first = connect(await stage.token('my-photos', { user, duration: 3600 }));
      let checkpoint;
      const broken = first.multipartUpload(key, film, {
        partSize: PART,
        parallel: 1,
        progress: (_, reached) => {
          checkpoint = reached;
          if (reached.doneParts.length === 2) first.cancel();
        },
      });
      await assert.rejects(broken, { name: 'cancel' });
      // As an app stores it between two starts.
      checkpoint = JSON.parse(JSON.stringify(checkpoint));
      const second = connect(await stage.token('my-photos', { user, duration: 3599 }));
      assert.notEqual(first.options.accessKeyId, second.options.accessKeyId);
      const parts = await second.listParts(key, checkpoint.uploadId);
      assert.deepEqual(parts.parts.map(({ PartNumber }) => PartNumber), ['1', '2']);

      const done = await second.multipartUpload(key, film, { checkpoint });

      assert.equal(done.res.status, 200);
      assert.deepEqual((await second.get(key)).content, content);
      const sent = (await stage.ossCalls(key)).filter(({ Action }) => Action === 'UploadPart');
      const numbers = sent.map(({ Parameters }) => Parameters.partNumber).sort();
      assert.deepEqual(numbers, ['1', '2', '3', '4', '5'], 'no part was sent twice');
    });

    test('an aborted upload is removed', async () => {
      const user = stage.newUser();
      const client = await own(user);
      const key = `users/${user}/film.mp4`;
      const { uploadId } = await client.initMultipartUpload(key);

      assert.equal((await client.abortMultipartUpload(key, uploadId)).res.status, 204);

      await assert.rejects(client.listParts(key, uploadId), { status: 404, code: 'NoSuchUpload' });
    });

    test('an object is copied inside the grant and not from outside', async () => {
      const user = stage.newUser();
      const client = await own(user);
      await client.put(`users/${user}/a é.jpg`, Buffer.from('grass'));

      await client.copy(`users/${user}/b.jpg`, `users/${user}/a é.jpg`);

      assert.equal((await client.get(`users/${user}/b.jpg`)).content.toString(), 'grass');
      await refused(DENIED, () => client.copy(`users/${user}/c.jpg`, 'users/bob/lake.jpg'));
    });

    test('a presigned URL carries the token', async () => {
      const user = stage.newUser();
      // The SDK signs no V1 URL for an address, only for a name.
      const endpoint = stage.OSS.replace('127.0.0.1', 'localhost');
      const client = connect(await stage.token('my-photos', { user }), { endpoint });
      const key = `users/${user}/a b.jpg`;
      await (await own(user)).put(key, Buffer.from('grass'));
      const sign = (name) =>
        authorizationV4
          ? client.signatureUrlV4('GET', 60, undefined, name)
          : client.asyncSignatureUrl(name, { expires: 60 });

      const mine = await sign(key);
      const foreign = await sign('users/bob/lake.jpg');

      assert.match(mine, /^http:\/\/sample-bucket\.localhost:/);
      assert.deepEqual(await stage.fetchUrl(mine), { status: 200, text: 'grass' });
      const refusal = await stage.fetchUrl(foreign);
      assert.equal(refusal.status, 403);
      assert.match(refusal.text, /<Code>AccessDenied<\/Code>/);
    });

    test('requests outside the grant are refused', async () => {
      const user = stage.newUser();
      const client = await own(user);
      const others = 'users/bob/lake.jpg';
      const acts = [
        () => client.get(others),
        () => client.get(`users/${user}0/a.jpg`),
        () => client.get('no/such/key'),
        () => client.head(others),
        () => client.put(others, Buffer.from('x')),
        () => client.initMultipartUpload(others),
        () => client.delete(others),
        () => client.deleteMulti([others]),
        () => client.list({}),
        () => client.list({ prefix: 'users/' }),
        () => client.listV2({ prefix: 'users/bob/' }),
        () => client.listUploads({ prefix: `users/${user}/` }),
        () => client.getACL(`users/${user}/a.jpg`),
        () => client.getBucketACL(stage.BUCKET),
        () => client.listBuckets({}),
      ];
      for (const act of acts) await refused(DENIED, act);
    });

    test('an expired token is refused, and refreshSTSToken fetches the next one', async () => {
      const user = stage.newUser();
      const key = `users/${user}/a.jpg`;
      let refreshed = 0;
      const client = connect(await stage.shortLivedToken('my-photos', 600, { user }), {
        refreshSTSTokenInterval: 300_000,
        // Our JSON unchanged: the SDK reads its own names from it.
        refreshSTSToken: () => {
          refreshed += 1;
          return stage.token('my-photos', { user });
        },
      });
      const expired = client.options.accessKeyId;

      await stage.later(700, async () => {
        const message = 'The security token you provided has expired.';
        await refused({ code: 'SecurityTokenExpired', message }, () => client.put(key, Buffer.from('grass')));
        assert.equal(refreshed, 0);

        // As if five minutes had passed; the SDK checks nothing else.
        client.options.refreshSTSTokenInterval = 0;
        assert.equal((await client.put(key, Buffer.from('grass'))).res.status, 200);
        client.options.refreshSTSTokenInterval = 300_000;
      });

      assert.equal(refreshed, 1);
      assert.notEqual(client.options.accessKeyId, expired);
      assert.equal((await client.get(key)).content.toString(), 'grass');
    });

    test('a wrong clock is refused with its own error', async () => {
      const user = stage.newUser();
      const client = await own(user);
      const message = 'The difference between the request time and the current time is too large.';
      await stage.later(1000, () =>
        refused({ code: 'RequestTimeTooSkewed', message }, () => client.get(`users/${user}/a.jpg`)));
    });

    test('a token needs its own key', async () => {
      const [user, other] = [stage.newUser(), stage.newUser()];
      const mine = await stage.token('my-photos', { user });
      const others = await stage.token('my-photos', { user: other });
      const get = (changed) => () => connect({ ...mine, ...changed }).get(`users/${user}/a.jpg`);

      const mismatch = {
        code: 'AccessKeyIdAndSecurityTokenNotMatch',
        message: 'The OSS access key id and security token you provided does not match.',
      };
      await refused(mismatch, get({ SecurityToken: others.SecurityToken }));
      const { AccessKeyId, AccessKeySecret } = others;
      await refused(mismatch, get({ AccessKeyId, AccessKeySecret }));
      const message =
        'The request signature we calculated does not match the signature you provided. ' +
        'Check your key and signing method.';
      await refused({ code: 'SignatureDoesNotMatch', message }, get({ AccessKeySecret }));
      const unknown = 'The OSS Access Key Id you provided does not exist in our records.';
      await refused({ code: 'InvalidAccessKeyId', message: unknown }, get({ SecurityToken: undefined }));
    });

    test('the ready policies allow what they name', async () => {
      const client = async (grant, parameters) => connect(await stage.token(grant, parameters));
      const names = async (from, prefix) => (await from.list({ prefix })).objects.map(({ name }) => name);
      const grass = '2015/01/01/grass.jpg';
      const album = ['albums/2015/spring.jpg', 'albums/2015/summer.jpg'];

      const daily = await client('daily-photos');
      assert.equal((await daily.get(grass)).res.status, 200);
      await refused(DENIED, () => daily.get('2015/01/02/morning.jpg'));
      await refused(DENIED, () => daily.list({ prefix: '2015/01/01/' }));

      const day = () => new Date().toISOString().slice(0, 10).replaceAll('-', '/');
      let [today, todays] = [day(), await client('todays-photos')];
      if (today !== day()) [today, todays] = [day(), await client('todays-photos')];
      await owner().put(`${today}/grass.jpg`, Buffer.from('grass'));
      assert.equal((await todays.get(`${today}/grass.jpg`)).content.toString(), 'grass');
      await refused(DENIED, () => todays.get(grass));

      const one = await client('one-album', { album: '2015' });
      assert.equal((await one.get(album[0])).res.status, 200);
      await refused(DENIED, () => one.list({ prefix: 'albums/2015/' }));
      await refused(DENIED, () => one.get('albums/2016/autumn.jpg'));

      const shared = await client('shared-album', { album: '2015' });
      assert.deepEqual(await names(shared, 'albums/2015/'), album);
      assert.equal((await shared.get(album[0])).res.status, 200);
      await refused(DENIED, () => shared.list({ prefix: 'albums/2016/' }));
      await refused(DENIED, () => shared.put(album[0], Buffer.from('x')));

      const mine = stage.newUser();
      const guest = await client('album-guest', { album: mine });
      await guest.put(`albums/${mine}/a.jpg`, Buffer.from('grass'));
      assert.deepEqual(await names(guest, `albums/${mine}/`), [`albums/${mine}/a.jpg`]);
      await refused(DENIED, () => guest.put(`albums/${mine}/originals/raw.jpg`, Buffer.from('x')));
      await refused(DENIED, () => guest.delete(`albums/${mine}/a.jpg`));

      const lists = await client('list-only', { album: '2015' });
      assert.deepEqual(await names(lists, 'albums/2015/'), album);
      await refused(DENIED, () => lists.get(album[0]));

      const uploads = await client('upload-only');
      const key = `uploads/sdk-tests/${stage.newUser()}.mp4`;
      const content = crypto.randomBytes(2 * PART);
      const done = await uploads.multipartUpload(key, content, { partSize: PART });
      assert.equal(done.res.status, 200);
      await refused(DENIED, () => uploads.get(key));
      await refused(DENIED, () => uploads.delete(key));
      const all = await client('read-all');
      assert.deepEqual((await all.get(key)).content, content);
      await refused(DENIED, () => all.put(key, content));
    });

    test('an upload calls the server of the app back', async (t) => {
      const user = stage.newUser();
      const client = await own(user);
      const key = `users/${user}/a b.jpg`;
      const app = await stage.callbackServer(t);
      const callback = { url: app.url, body: 'object=${object}&size=${size}&user=${x:user}', customValue: { user } };

      const put = await client.put(key, Buffer.from('hello'), { callback });
      assert.deepEqual([put.res.status, put.data], [200, { Status: 'OK' }]);
      const parts = await client.multipartUpload(key, crypto.randomBytes(2 * PART), { partSize: PART, callback });
      assert.deepEqual([parts.res.status, parts.data], [200, { Status: 'OK' }]);

      const body = (size) => `object=${encodeURIComponent(key)}&size=${size}&user=${user}`;
      assert.deepEqual(app.received, [body(5), body(2 * PART)].map((text) => ({
        url: '/a%20b?x=1', body: text, verified: true,
      })));
    });

    test('a failed callback is an error, and the object is stored', async (t) => {
      const user = stage.newUser();
      const client = await own(user);
      const key = `users/${user}/a.jpg`;
      const { url } = await stage.callbackServer(t, 500);
      const callback = { url, body: 'size=${size}' };
      const failed = { status: 203, code: 'CallbackFailed', message: 'Error status : 500.' };
      await refused(failed, () => client.put(key, Buffer.from('hello'), { callback }));
      assert.deepEqual((await client.get(key)).content, Buffer.from('hello'));
    });

    test('an upload with the callback of a form is confirmed by AppServer and forwarded', async () => {
      const user = stage.newUser();
      const client = await own(user);
      const form = await stage.form(user, 'cat.jpg');

      const put = await putReported(client, form, Buffer.from('hello'));

      const key = `users/${user}/cat.jpg`;
      assert.deepEqual([put.res.status, put.data], [200, { Key: key, Saved: true, UploadId: form.UploadId }]);
      const [report, ...others] = await stage.reports(form.UploadId);
      const { Key, Bytes, Subject, Confirmed, Vars } = report;
      assert.deepEqual({ Key, Bytes, Subject, Confirmed, Vars }, { Key: key, Bytes: 5, Subject: user, Confirmed: true, Vars: { user } });
      assert.deepEqual(others, []);
    });

    test('a report that AppServer refuses is an error, and the object is stored', async () => {
      const user = stage.newUser();
      const client = await own(user);
      const form = await stage.form(user, 'cat.jpg');
      const failed = { status: 203, code: 'CallbackFailed', message: 'Error status : 403.' };
      const put = (changed, content = 'hello') => () => putReported(client, { ...form, ...changed }, Buffer.from(content));
      const { 'x:upload': _, ...withoutUpload } = form.Fields;

      await refused(failed, put({ Fields: withoutUpload }));
      await refused(failed, put({ Key: `users/${user}/dog.jpg` }));
      await refused(failed, put({ Fields: { ...form.Fields, 'Content-Type': 'text/html' } }));
      await refused(failed, put({}, 'x'.repeat(1024 * 1024 + 1)));

      assert.equal((await client.get(form.Key)).content.length, 1024 * 1024 + 1);
      assert.deepEqual(await stage.reports(form.UploadId), []);
    });

    test('a callback to a private address is refused, and nothing is stored', async () => {
      const user = stage.newUser();
      const client = await own(user);
      const key = `users/${user}/a.jpg`;
      const callback = { url: 'http://10.0.0.1/', body: 'size=${size}' };
      const expected = { status: 400, code: 'InvalidArgument', message: 'Private address is forbidden to callback.' };
      await refused(expected, () => client.put(key, Buffer.from('hello'), { callback }));
      await refused({ status: 404, code: 'NoSuchKey', message: 'The specified key does not exist.' }, () => client.get(key));
    });
  });
}

test('a form that signPostObjectPolicyV4 signs is taken, with a callback', async (t) => {
  const user = stage.newUser();
  const token = await stage.token('my-photos', { user });
  const key = `users/${user}/a.jpg`;
  const app = await stage.callbackServer(t);
  const date = new Date();
  const time = date.toISOString().replace(/[-:]|\.\d+/g, '');
  const callback = { callbackUrl: encodeURI(app.url), callbackBody: 'size=${size}&user=${x:user}' };
  const fields = {
    key,
    'Content-Type': 'image/jpeg',
    'x-oss-security-token': token.SecurityToken,
    'x-oss-signature-version': 'OSS4-HMAC-SHA256',
    'x-oss-credential': `${token.AccessKeyId}/${time.slice(0, 8)}/cn-hangzhou/oss/aliyun_v4_request`,
    'x-oss-date': time,
    callback: Buffer.from(JSON.stringify(callback)).toString('base64'),
    'x:user': user,
  };
  const bound = Object.entries(fields).map(([name, value]) => ['eq', `$${name}`, value]);
  const policy = {
    expiration: new Date(date.getTime() + 60_000).toISOString(),
    conditions: [{ bucket: stage.BUCKET }, ['content-length-range', 1, 10], ...bound],
  };
  const signature = clientWith(token).signPostObjectPolicyV4(policy, date);
  const post = async (changed) => {
    const form = new FormData();
    const sent = {
      ...fields, policy: Buffer.from(JSON.stringify(policy)).toString('base64'), 'x-oss-signature': signature, ...changed,
    };
    for (const [name, value] of Object.entries(sent)) form.append(name, value);
    form.append('file', new Blob(['hello']), 'a.jpg');
    return fetch(`${stage.OSS}/${stage.BUCKET}`, { method: 'POST', body: form });
  };

  const answer = await post({});
  assert.deepEqual([answer.status, await answer.json()], [200, { Status: 'OK' }]);
  assert.deepEqual(app.received, [{ url: '/a%20b?x=1', body: `size=5&user=${user}`, verified: true }]);
  for (const name of [...Object.keys(fields), 'policy', 'x-oss-signature']) {
    const refusal = await post({ [name]: 'changed' });
    assert.ok([400, 403].includes(refusal.status), `${name}: ${refusal.status}`);
  }
  assert.equal(app.received.length, 1);
});
