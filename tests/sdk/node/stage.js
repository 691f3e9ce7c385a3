'use strict';
// AppServer and its emulator as started by tests/sdk/run.sh.

const assert = require('node:assert/strict');
const crypto = require('node:crypto');
const http = require('node:http');

const AliOss = require('ali-oss');

const APPSERVER = process.env.APPSERVER_URL;
const ADMIN = process.env.ADMIN_URL;
const STS = process.env.STS_URL;
const OSS = process.env.OSS_URL;
const METADATA = process.env.METADATA_URL;
const RAM = process.env.RAM_URL;

const BUCKET = 'sample-bucket';
const REGION = 'oss-cn-hangzhou';

const CREDENTIAL = `Basic ${Buffer.from('sdk-tests:sdk-tests-demo-secret').toString('base64')}`;

// The minimum size of a part other than the last.
const PART = 100 * 1024;

// A user that no other test uses; their objects are under `users/<user>/`.
function newUser() {
  return `u-${crypto.randomBytes(6).toString('hex')}`;
}

// A token as the user's identity provider issues it.
function jwt(user) {
  const claims = {
    iss: 'https://login.sdk-tests.invalid/', aud: 'photo-app', sub: user, exp: Math.floor(Date.now() / 1000) + 600,
  };
  const encoded = [{ alg: 'HS256' }, claims].map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'));
  const signed = encoded.join('.');
  return `${signed}.${crypto.createHmac('sha256', process.env.ISSUER_SECRET).update(signed).digest('base64url')}`;
}

// An app's credential: a user's, or the client's own.
function authorization(user) {
  return user ? `Bearer ${jwt(user)}` : CREDENTIAL;
}

// A token of AppServer, as an app fetches it: for a user, or for the client itself.
async function token(grant, { duration, user, ...parameters } = {}) {
  const asked = new URLSearchParams({ Grant: grant });
  if (duration) asked.set('DurationSeconds', duration);
  for (const [name, value] of Object.entries(parameters)) asked.set(`Parameters.${name}`, value);
  const answer = await fetch(`${APPSERVER}/v1/token?${asked}`, { headers: { Authorization: authorization(user) } });
  assert.equal(answer.status, 200);
  return answer.json();
}

// The URL for an SDK, which sends a plain GET to it.
async function ticket(grant, { duration, user, ...parameters } = {}) {
  const answer = await fetch(`${APPSERVER}/v1/tickets`, {
    method: 'POST',
    headers: { Authorization: authorization(user), 'Content-Type': 'application/json' },
    body: JSON.stringify({ Grant: grant, DurationSeconds: duration, Parameters: parameters }),
  });
  assert.equal(answer.status, 200);
  return (await answer.json()).Url;
}

// The answer of `POST /v1/uploads`: a form for a user's file.
async function form(user, name) {
  const answer = await fetch(`${APPSERVER}/v1/uploads`, {
    method: 'POST',
    headers: { Authorization: authorization(user), 'Content-Type': 'application/json' },
    body: JSON.stringify({ Grant: 'photo-upload', Name: name, ContentType: 'image/jpeg' }),
  });
  assert.equal(answer.status, 200);
  return answer.json();
}

// What the backend inside `dev` took of an upload.
async function reports(uploadId) {
  const { Reports } = await (await fetch(`${APPSERVER}/dev/uploads`)).json();
  return Reports.map(({ Report }) => Report).filter(({ UploadId }) => UploadId === uploadId);
}

// The number of tokens that AppServer has vended to users.
async function vended() {
  const metrics = await (await fetch(`${ADMIN}/metrics`)).text();
  const found = metrics.match(/^appserver_tokens_vended_total\{client="photo-app",.*\} (\d+)$/m);
  return found ? Number(found[1]) : 0;
}

// One of the emulator's control routes.
async function control(method, path, body) {
  const answer = await fetch(`${STS}/_emulator/${path}`, { method, body: body && JSON.stringify(body) });
  assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
  return answer.status === 204 ? undefined : answer.json();
}

// A token with a shorter lifetime than requested.
async function shortLivedToken(grant, seconds, parameters) {
  const fault = { Fault: { ShortLived: { Seconds: seconds } }, Times: 1, Action: 'AssumeRole' };
  await control('POST', 'faults', fault);
  try {
    // A duration that no other test requests, so that no other test shares this token.
    return await token(grant, { ...parameters, duration: 962 });
  } finally {
    await control('DELETE', 'faults');
  }
}

// Moves the emulator's clock forward for a while, by at most the 15 minutes that requests may differ.
async function later(seconds, act) {
  await control('POST', 'clock', { AdvanceSeconds: seconds });
  try {
    return await act();
  } finally {
    await control('DELETE', 'clock');
  }
}

// The requests to the emulated OSS about an object.
async function ossCalls(key) {
  const { Calls: calls } = await control('GET', 'oss/calls');
  return calls.filter((call) => call.Parameters.Key === key);
}

// Gets a URL of any name, from this machine: not every resolver knows names that end in `.localhost`.
function fetchUrl(url) {
  const { host, port, pathname, search } = new URL(url);
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: pathname + search, headers: { Host: host } };
    const request = http.get(options, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (chunk) => (text += chunk));
      answer.on('end', () => resolve({ status: answer.statusCode, text }));
    });
    request.on('error', reject);
  });
}

// The server of an app on this machine: keeps what it is called back with, and answers with this status. The signature of each
// call is verified with the key that its header names, by Node's OpenSSL. The URL has a space, which ali-oss encodes.
async function callbackServer(t, status = 200) {
  const received = [];
  const server = http.createServer(async (request, answer) => {
    const chunks = [];
    for await (const chunk of request) chunks.push(chunk);
    const body = Buffer.concat(chunks).toString();
    const [path, query] = request.url.split('?');
    const keyUrl = Buffer.from(request.headers['x-oss-pub-key-url'], 'base64').toString();
    assert.ok(keyUrl.startsWith(`${OSS}/`), keyUrl);
    const key = await (await fetch(keyUrl)).text();
    const signed = `${decodeURIComponent(path)}${query === undefined ? '' : `?${query}`}\n${body}`;
    const verified = crypto.verify('RSA-MD5', Buffer.from(signed), key, Buffer.from(request.headers.authorization, 'base64'));
    received.push({ url: request.url, body, verified });
    const text = '{"Status":"OK"}';
    answer.writeHead(status, { 'Content-Type': 'application/json', 'Content-Length': text.length }).end(text);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  t.after(() => server.close());
  return { url: `http://127.0.0.1:${server.address().port}/a b?x=1`, received };
}

// Checks that a call is refused with exactly this error.
async function refused(expected, act) {
  await assert.rejects(act, (error) => {
    const { status, code, name, message } = error;
    assert.deepEqual({ status, code, name, message }, { status: 403, name: `${expected.code}Error`, ...expected });
    return true;
  });
}

// The bucket with the account's own key, to prepare and check objects.
function owner() {
  return new AliOss({ endpoint: OSS, bucket: BUCKET, accessKeyId: 'rootid', accessKeySecret: 'rootsecret' });
}

const DENIED = { code: 'AccessDenied', message: "Access denied by authorizer's policy." };

module.exports = {
  callbackServer,
  BUCKET, DENIED, METADATA, OSS, PART, RAM, REGION, STS, control, fetchUrl, form, jwt, later, newUser, ossCalls, owner, refused,
  reports, shortLivedToken, ticket, token, vended,
};
