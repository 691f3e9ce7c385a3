'use strict';
// Runs the functions of docs/ that upload by a form, with the platforms' APIs as their documentation describes them.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const fs = require('node:fs');
const os = require('node:os');
const path = require('node:path');
const { test } = require('node:test');

const stage = require('./stage');

const GONE = { statusCode: 0, errMsg: 'request:fail' };

// The JavaScript of a page, in the order of its headings.
function blocks(page) {
  const text = fs.readFileSync(path.join(__dirname, '../../../docs/connect', page), 'utf8');
  return [...text.matchAll(/^```js\n(.*?)^```$/gms)].map(([, code]) => code);
}

// `wx` and `uni`: success whatever the status is, and JSON is parsed. Each function refuses options that it does not have.
const weChat = {
  request({ url, method, header, data, success, fail, ...unknown }) {
    assert.deepEqual(unknown, {});
    const headers = { 'Content-Type': 'application/json', ...header };
    fetch(url, { method, headers, body: JSON.stringify(data) }).then(
      async (answer) => success({ statusCode: answer.status, header: Object.fromEntries(answer.headers), data: await answer.json() }),
      () => fail(GONE),
    );
  },
  uploadFile({ url, filePath, name, formData, success, fail, ...unknown }) {
    assert.deepEqual(unknown, {});
    send(url, filePath, name, formData).then(success, () => fail(GONE));
  },
};

// `my`: the same with names of its own.
const alipay = {
  request({ headers, success, ...options }) {
    weChat.request({ header: headers, success: ({ header, data }) => success({ headers: header, data }), ...options });
  },
  uploadFile({ fileName, fileType, ...options }) {
    assert.ok(['image', 'video', 'audio'].includes(fileType));
    weChat.uploadFile({ name: fileName, ...options });
  },
};

async function send(url, filePath, name, fields) {
  const form = new FormData();
  for (const [field, value] of Object.entries(fields)) form.append(field, value);
  form.append(name, new Blob([fs.readFileSync(filePath)], { type: 'application/octet-stream' }), path.basename(filePath));
  const answer = await fetch(url, { method: 'POST', body: form });
  return { statusCode: answer.status, data: await answer.text() };
}

const [forWeChat, forAlipay] = blocks('mini-programs.md');
const [forUniApp] = blocks('flutter-uniapp.md');
const [forWebPages] = blocks('../uploads.md');
// What OSS answers to an upload that it stored, with what the backend answered and with none.
const ANSWERS_WITH_CALLBACK = [
  [200, '{"Saved":true}'],
  [203, '<Error><Code>CallbackFailed</Code></Error>'],
];
const PLATFORMS = { WeChat: ['wx', weChat, forWeChat], Alipay: ['my', alipay, forAlipay], 'uni-app': ['uni', weChat, forUniApp] };

for (const [platform, [name, api, shown]] of Object.entries(PLATFORMS)) {
  test(`the code for ${platform} uploads a file by a form, and reports refusals`, async (t) => {
    const here = shown.replaceAll('http://127.0.0.1:8080', process.env.APPSERVER_URL);
    assert.notEqual(here, shown);
    const upload = new Function(name, `${here}; return upload;`)(api);
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'appserver-sdk-'));
    t.after(() => fs.rmSync(folder, { recursive: true }));
    const [small, large] = [5000, 1024 * 1024 + 1].map((bytes, index) => {
      const file = path.join(folder, `${index}.jpg`);
      fs.writeFileSync(file, crypto.randomBytes(bytes));
      return file;
    });
    const user = stage.newUser();
    const jwt = stage.jwt(user);

    const { key, statusCode, data } = await upload(small, 'cat.jpg', 'image/jpeg', jwt);

    assert.deepEqual([key, statusCode, JSON.parse(data).Saved], [`users/${user}/cat.jpg`, 200, true]);
    const stored = await stage.owner().get(key);
    assert.deepEqual(stored.content, fs.readFileSync(small));
    assert.equal(stored.res.headers['content-type'], 'image/jpeg');
    const refused = (status, code, message) => ({ status, code, message, retryAfter: undefined });
    await assert.rejects(upload(small, 'cat.jpg', 'image/jpeg', jwt), refused(409, 'FileAlreadyExists', /^OSS 409: /));
    await assert.rejects(upload(large, 'film.jpg', 'image/jpeg', jwt), refused(400, 'EntityTooLarge', /^OSS 400: /));
    for (const name of ['IMG_1.JPG', '猫.jpg']) {
      await assert.rejects(upload(small, name, 'image/jpeg', jwt), refused(400, 'InvalidParameter.Name', /^InvalidParameter\.Name: .*\[a-z/));
    }
    await assert.rejects(upload(small, 'cat.jpg', 'image/jpeg', 'none'), refused(401, 'Unauthenticated', /^Unauthenticated: /));
  });

  for (const header of ['Retry-After', 'retry-after']) {
    test(`the code for ${platform} says how long to wait, with the header ${header}`, async () => {
      const headers = { 'Content-Type': 'application/json', [header]: '7' };
      const data = { StatusCode: 429, Code: 'Throttled.Client', Message: 'Slowly.' };
      const answering = { request: ({ success }) => success({ statusCode: 429, header: headers, headers, data }) };
      const upload = new Function(name, `${shown}; return upload;`)(answering);

      const refused = { status: 429, code: 'Throttled.Client', retryAfter: 7, message: 'Throttled.Client: Slowly.' };
      await assert.rejects(upload('cat.jpg', 'cat.jpg', 'image/jpeg', 'jwt'), refused);
    });
  }

  for (const [statusCode, data] of ANSWERS_WITH_CALLBACK) {
    test(`the code for ${platform} takes ${statusCode} for a stored object, with the answer`, async () => {
      const here = shown.replaceAll('http://127.0.0.1:8080', process.env.APPSERVER_URL);
      const answering = { ...api, uploadFile: ({ success }) => success({ statusCode, data }) };
      const upload = new Function(name, `${here}; return upload;`)(answering);
      const user = stage.newUser();

      const uploaded = await upload('cat.jpg', 'cat.jpg', 'image/jpeg', stage.jwt(user));

      assert.deepEqual(uploaded, { key: `users/${user}/cat.jpg`, statusCode, data });
    });
  }
}

test('the code for web pages uploads a file by a form, and reports refusals', async () => {
  const here = forWebPages.replaceAll('http://127.0.0.1:8080', process.env.APPSERVER_URL);
  assert.notEqual(here, forWebPages);
  const upload = new Function(`${here}; return upload;`)();
  const [small, large] = [5000, 1024 * 1024 + 1].map((bytes) => new Blob([crypto.randomBytes(bytes)], { type: 'image/jpeg' }));
  const user = stage.newUser();
  const jwt = stage.jwt(user);

  const { key, status, body } = await upload(small, 'cat.jpg', jwt);

  assert.deepEqual([key, status, JSON.parse(body).Saved], [`users/${user}/cat.jpg`, 200, true]);
  const stored = await stage.owner().get(key);
  assert.deepEqual(stored.content, Buffer.from(await small.arrayBuffer()));
  await assert.rejects(upload(small, 'cat.jpg', jwt), { status: 409, message: /^OSS 409: .*FileAlreadyExists/s });
  await assert.rejects(upload(large, 'film.jpg', jwt), { status: 413, retryAfter: null, message: /^PayloadTooLarge: / });
});
