'use strict';
// The vendor of the load run as one would write it with Node's own server and Alibaba's client of STS: what
// benches/minimal.rs does, without a single call for all callers of a missing token.
//
//   node vendor.js STS KEY_ID KEY_SECRET ROLE CLIENT SECRET_SHA256 POLICY_FILE

const { createHash, randomUUID, timingSafeEqual } = require('node:crypto');
const { readFileSync } = require('node:fs');
const { createServer } = require('node:http');

const { Config } = require('@alicloud/openapi-core').$OpenApiUtil;
const { default: Client, AssumeRoleRequest } = require('@alicloud/sts20150401');

const MARGIN_MS = 1800 * 1000;
const [sts, accessKeyId, accessKeySecret, roleArn, client, secretHash, policyFile] = process.argv.slice(2);
const expectedHash = Buffer.from(secretHash, 'hex');
const template = JSON.stringify(JSON.parse(readFileSync(policyFile, 'utf8')));
const stsClient = new Client(new Config({ accessKeyId, accessKeySecret, endpoint: sts, protocol: 'http' }));
const tokens = new Map();

function isClient(header = '') {
  const [id, ...secret] = Buffer.from(header.replace('Basic ', ''), 'base64').toString().split(':');
  const hash = createHash('sha256').update(secret.join(':')).digest();
  return timingSafeEqual(hash, expectedHash) && id === client;
}

async function assumeRole(policy) {
  const request = new AssumeRoleRequest({ roleArn, roleSessionName: client, policy, durationSeconds: 3600 });
  const { credentials, assumedRoleUser } = (await stsClient.assumeRole(request)).body;
  const ends = Date.parse(credentials.expiration);
  return {
    AccessKeyId: credentials.accessKeyId,
    AccessKeySecret: credentials.accessKeySecret,
    SecurityToken: credentials.securityToken,
    Expiration: credentials.expiration,
    AssumedRoleUser: { Arn: assumedRoleUser.arn, AssumedRoleId: assumedRoleUser.assumedRoleId },
    LastUpdated: new Date().toISOString(),
    RefreshAfter: new Date(ends - MARGIN_MS).toISOString(),
  };
}

async function answer(request) {
  if (!isClient(request.headers.authorization)) return [401, {}];
  const album = new URL(request.url, 'http://localhost').searchParams.get('Parameters.album') ?? '';
  if (!/^[A-Za-z0-9]*$/.test(album)) return [400, {}];
  const policy = template.replace('${params.album}', album);
  let token = tokens.get(policy);
  if (!token || Date.parse(token.Expiration) - Date.now() < MARGIN_MS) {
    token = await assumeRole(policy);
    tokens.set(policy, token);
  }
  return [200, { StatusCode: 200, Code: 'Success', RequestId: randomUUID(), Grant: 'one-album', ...token }];
}

const server = createServer((request, response) => {
  answer(request)
    .catch((error) => [502, { Message: error.message }])
    .then(([status, body]) => {
      const text = Buffer.from(JSON.stringify(body));
      response.writeHead(status, {
        'Content-Type': 'application/json',
        'Content-Length': text.length,
        'Cache-Control': 'no-store',
      });
      response.end(text);
    });
});
server.listen(0, '127.0.0.1', () => console.log(`listening on 127.0.0.1:${server.address().port}`));
