// Users of a real OpenID provider get credentials, also during its outages and while its keys change. The tests run in order.

import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";

import { SignJWT, decodeJwt, importJWK } from "jose";

import { Issuer, keysNamed } from "./issuer.js";

const need = (name) => process.env[name] ?? assert.fail(`${name} is not set: run tests/oidc/run.sh`);
const APPSERVER = need("APPSERVER_URL");
const ADMIN = need("ADMIN_URL");

const issuer = new Issuer(need("ISSUER_URL"));
let first, second;
before(async () => ([first, second] = [await keysNamed("first"), await keysNamed("second")]));
after(() => issuer.close());

async function ask(path, jwt, body) {
  const response = await fetch(APPSERVER + path, {
    method: body ? "POST" : "GET",
    headers: { authorization: `Bearer ${jwt}`, ...(body && { "content-type": "application/json" }) },
    body: body && JSON.stringify(body),
  });
  return { status: response.status, ...(await response.json()) };
}

/** The value of a metric of the provider's keys. */
async function metric(name) {
  const text = await (await fetch(`${ADMIN}/metrics`)).text();
  const line = text.split("\n").find((line) => line.startsWith(`appserver_jwks_${name}`));
  return line && Number(line.split(" ").at(-1));
}

/** The credentials are for the user's own prefix, and end before the login does. */
async function assertVended(jwt, user) {
  const answer = await ask("/v1/token", jwt);
  assert.equal(answer.status, 200, JSON.stringify(answer));
  assert.equal(answer.AssumedRoleUser.Arn, `acs:ram::11223344:role/oss-readwrite/photo-app.${user}`);
  assert.ok(Date.parse(answer.Expiration) <= decodeJwt(jwt).exp * 1000, "it outlives the login");
  for (const [owner, allowed] of [[user, true], ["somebody", false]]) {
    const Resource = `acs:oss:*:*:sample-bucket/users/${owner}/cat.jpg`;
    const explained = await ask("/v1/explain", jwt, { Action: "oss:PutObject", Resource });
    assert.equal(explained.Allowed, allowed, Resource);
  }
}

/** A token as the provider's, signed with another key. */
async function forged(jwt, key, kid) {
  const header = { alg: "ES256", typ: "at+jwt", kid };
  return new SignJWT(decodeJwt(jwt)).setProtectedHeader(header).sign(await importJWK(key, "ES256"));
}

const refused = async (jwt) => assert.equal((await ask("/v1/token", jwt)).Code, "Unauthenticated");

test("the server is ready while the provider is down, and fetches its keys when it is up", async () => {
  assert.equal((await fetch(`${ADMIN}/readyz`)).status, 200);
  assert.equal(await metric('keys{issuer="provider"}'), 0);
  issuer.use(first);
  await issuer.listen();
  // The longest wait between two attempts is a minute, after many attempts.
  for (let tries = 0; (await metric('keys{issuer="provider"}')) !== 2; tries += 1) {
    assert.ok(tries < 900, "its keys were not fetched");
    await sleep(100);
  }
  assert.deepEqual(issuer.asked.slice(0, 2), ["/.well-known/openid-configuration", "/jwks"]);
});

test("a program authenticates by its access token, and its credentials expire with the token", async () => {
  await assertVended(await issuer.accessToken(), "batch-7");
});

test("a signed-in user authenticates by the ID token", async () => {
  const [alice, bob] = [await issuer.idToken("alice"), await issuer.idToken("bob")];
  await assertVended(alice, "alice");
  await assertVended(bob, "bob");
});

test("a login that ends too soon gets an error that asks to renew it", async () => {
  const answer = await ask("/v1/token", await issuer.accessToken("urn:photos:short"));
  assert.equal(`${answer.status} ${answer.Code}`, "403 Forbidden.Grant");
  assert.match(answer.Message, /Renew the login first/);
});

test("the first app after a rotation is authenticated, without a restart", async () => {
  const before = issuer.asked.length;
  issuer.use(second);
  const jwt = await issuer.accessToken();
  const phones = await Promise.all(Array.from({ length: 20 }, () => ask("/v1/whoami", jwt)));
  assert.deepEqual(new Set(phones.map(({ status, Subject }) => `${status} ${Subject}`)), new Set(["200 batch-7"]));
  const asked = issuer.asked.slice(before).filter((path) => path === "/jwks");
  assert.equal(asked.length, 1, "one fetch for all of them");
});

test("tokens that are signed with unknown keys are refused", async () => {
  const good = await issuer.accessToken();
  const [old] = first;
  const before = issuer.asked.length;
  await refused(await forged(good, old, old.kid));
  await refused(await forged(good, old, second[0].kid));
  await refused(await forged(good, old, "made-up"));
  await refused(good.slice(0, -8) + "AAAAAAAA");
  assert.equal(issuer.asked.length, before, "the provider was asked again within a minute");
  await assertVended(good, "batch-7");
});

test("tokens are valid while the provider is down", async () => {
  const [seen, unseen] = [await issuer.accessToken(), await issuer.accessToken()];
  await assertVended(seen, "batch-7");
  await issuer.close();
  await assertVended(seen, "batch-7");
  await assertVended(unseen, "batch-7");
});
