// The page of `appserver dev` as people use it, in Chromium, against the running command.

import assert from "node:assert/strict";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { join } from "node:path";
import { after, before, test } from "node:test";

import { ORIGIN, OSS, ask, choose, fill, launch, lit, overflow, reads, shot, token, visit } from "./stage.js";

const AXE = createRequire(import.meta.url).resolve("axe-core/axe.min.js");
let browser;
before(async () => (browser = await launch()));
after(() => browser?.close());

/** A file to be uploaded: a picture that is large enough for its upload to be seen. */
async function painting(page, name, side) {
  const base64 = await page.evaluate(async (side) => {
    const canvas = Object.assign(document.createElement("canvas"), { width: side, height: side });
    const paint = canvas.getContext("2d");
    const noise = paint.createImageData(side, side);
    // Data that PNG cannot compress.
    noise.data.forEach((_, at) => (noise.data[at] = at % 4 === 3 ? 255 : Math.random() * 256));
    paint.putImageData(noise, 0, 0);
    return canvas.toDataURL("image/png").split(",")[1];
  }, side);
  const path = join(process.env.PAGE_SHOTS, name);
  await writeFile(path, Buffer.from(base64, "base64"));
  return path;
}

test("a token is shown with its policy and its remaining lifetime", () =>
  visit(browser, {}, async (page) => {
    await token(page, "client-002");
    await reads(page, "#facts", /STS\.[^]*role\/oss-readonly\/client-002/);
    await reads(page, "#statements", /Statement\[0\]: Allow[^]*oss:GetObject[^]*2015\/01\/01\/\*\.jpg/);
    const first = await reads(page, "#ring-text", /^(1:00:00|59:\d\d)$/);
    await page.waitForFunction((first) => document.querySelector("#ring-text").textContent !== first, {}, first);
    const gone = await page.$eval("#ring .left", (ring) => Number(ring.getAttribute("stroke-dashoffset")));
    assert.ok(gone > 0 && gone < 5, `${gone} of 100 are gone`);
    await reads(page, "#life-text", /Good for another 59:\d\d\. A phone would come back for the next in \d\d:\d\d\./);
  }));

test("an image is uploaded with progress and shown as a thumbnail", () =>
  visit(browser, {}, async (page, seen) => {
    await choose(page, "client-004", "album-guest");
    await fill(page, "#parameter-album", "2016");
    await ask(page, "client-004");
    await page.waitForSelector('#thumbnails li[data-key="albums/2016/autumn.jpg"] img');
    await page.evaluate(() => {
      window.steps = [];
      const bar = document.querySelector("#progress");
      const { set, get } = Object.getOwnPropertyDescriptor(HTMLProgressElement.prototype, "value");
      Object.defineProperty(bar, "value", {
        get,
        set(value) {
          window.steps.push(value);
          set.call(this, value);
        },
      });
    });
    const file = await painting(page, "meadow (1)+é.png", 900);
    await (await page.$("#file")).uploadFile(file);
    // Slow enough for the progress bar to be visible.
    const network = { offline: false, latency: 5, downloadThroughput: -1, uploadThroughput: 2_000_000 };
    const session = await page.createCDPSession();
    await session.send("Network.enable");
    await session.send("Network.emulateNetworkConditions", network);
    await page.click("#upload button");
    await reads(page, "#upload-said", /meadow \(1\)\+é\.png` is in the bucket, [\d,]+ bytes/);
    const steps = await page.evaluate(() => window.steps);
    assert.ok(steps.some((step) => step > 0 && step < 100), `the bar went ${steps}`);
    assert.equal(steps.at(-1), 100);
    await reads(page, "#verdict-said", /200: done\.[^]*Allowed by Statement\[0\]/);
    assert.deepEqual(await lit(page), ["statement-0 allows"]);
    const key = "albums/2016/meadow (1)+é.png";
    await page.waitForFunction((key) => {
      const image = document.querySelector(`#thumbnails li[data-key="${key}"] img`);
      return image?.complete && image.naturalWidth === 900;
    }, {}, key);
    const puts = seen.asked.filter((url) => url.startsWith(`${OSS}/sample-bucket/albums/2016/meadow`));
    assert.ok(puts.length >= 2, "the browser itself asked OSS");
    assert.equal(seen.refused, 0);
  }));

test("a key that no statement allows is refused by OSS and explained by the closest statement", () =>
  visit(browser, {}, async (page, seen) => {
    await token(page, "client-004", "album-guest");
    await page.waitForSelector("#thumbnails img");
    assert.equal(await page.$eval("#key", ({ value }) => value), "users/bob/lake.jpg");
    await page.click("#try button");
    const said = await reads(page, "#verdict-said", /403 AccessDenied: Access denied by authorizer's policy\./);
    assert.match(said, /No statement allows it\. Closest: Statement\[0\]\./);
    assert.match(said, /oss:GetObject on acs:oss:\*:\*:sample-bucket\/users\/bob\/lake\.jpg/);
    assert.match(said, /Last word\s+the token’s own policy/);
    assert.match(said, /OSS’s request id\s+[0-9A-F]{24}/);
    assert.deepEqual(await lit(page), ["statement-0 nearest"]);
    await reads(page, "#statement-0", /Came closest, but: it is about other resources\./);
    await reads(page, "#statement-1", /it is about other actions\./);
    assert.equal(seen.refused, 1);
    await shot(page, "refused.png");
  }));

test("a key that a statement denies is explained by that statement", () =>
  visit(browser, {}, async (page, seen) => {
    await token(page, "client-004", "album-guest");
    await page.select("#operation", "PutObject");
    await fill(page, "#key", "albums/2015/originals/spring.jpg");
    await page.click("#try button");
    await reads(page, "#verdict-said", /403 AccessDenied[^]*Denied by Statement\[2\], whatever others allow\./);
    assert.deepEqual(await lit(page), ["statement-2 denies"]);
    await reads(page, "#statement-2", /This one decides: it is about this request\./);
    await page.select("#operation", "GetObject");
    await fill(page, "#key", "albums/2015/summer.jpg");
    await page.click("#try button");
    await page.waitForSelector('#verdict.let img[alt="What lies at albums/2015/summer.jpg"]');
    assert.deepEqual(await lit(page), ["statement-0 allows"]);
    assert.equal(seen.refused, 1);
  }));

test("a token that may not list shows the denial and its reason", () =>
  visit(browser, {}, async (page, seen) => {
    await token(page, "client-003");
    await reads(page, "#look-said", /The token may not list `albums\/2015\/`: Access denied/);
    await reads(page, "#verdict-said", /No statement allows it, nor is any about it\./);
    assert.equal(seen.refused, 1);
  }));

test("a refusal is shown with the service's code and message", () =>
  visit(browser, {}, async (page, seen) => {
    await choose(page, "client-003");
    await fill(page, "#parameter-album", "*");
    await page.click("#ask button");
    await reads(page, "#ask-said", /400 InvalidParameter\.Parameters\.album: .*one path segment/);
    assert.equal(await page.$eval("#token", ({ hidden }) => hidden), true);
    assert.equal(seen.refused, 1);
  }));

test("a policy narrower than the grant can be requested", () =>
  visit(browser, {}, async (page) => {
    await page.waitForSelector("#ask button:enabled");
    await page.click("summary");
    await page.type("#own-policy", JSON.stringify({
      Version: "1",
      Statement: [{
        Effect: "Allow", Action: "oss:GetObject", Resource: "acs:oss:*:*:sample-bucket/2015/01/01/grass.jpg",
      }],
    }));
    await token(page, "client-001");
    await reads(page, "#statements", /Statement\[0\]: Allow[^]*2015\/01\/01\/grass\.jpg/);
    // Not only in the page: OSS enforces it, although the grant would allow the read.
    await fill(page, "#key", "2015/01/01/hills.jpg");
    await page.click("#try button");
    await reads(page, "#verdict-said", /403 AccessDenied[^]*No statement allows it\. Closest: Statement\[0\]/);
  }));

test("the counters show hits, misses and saved calls", () =>
  visit(browser, {}, async (page) => {
    const count = async (name) => Number(await reads(page, `#count-${name}`, /^\d+$/));
    const counts = async () => [await count("Tokens"), await count("Hits"), await count("Misses"), await count("Saved")];
    // A parameter that this run has not used yet.
    const album = `fresh-${Date.now()}`;
    await choose(page, "client-003");
    await fill(page, "#parameter-album", album);
    const [tokens, hits, misses, saved] = await counts();
    for (const more of [1, 2, 3]) {
      await page.click("#ask button");
      await reads(page, "#count-Tokens", new RegExp(`^${tokens + more}$`));
    }
    assert.deepEqual(await counts(), [tokens + 3, hits + 2, misses + 1, saved + 2]);
  }));

test("users get only their own photos", () =>
  visit(browser, {}, async (page, seen) => {
    await choose(page, "photo-app");
    await page.select("#user", "bob");
    const [asked] = await Promise.all([
      page.waitForRequest(`${ORIGIN}/v1/token`),
      choose(page, "photo-app", "my-photos").then(() => ask(page, "photo-app, as bob uses it")),
    ]);
    assert.match(asked.headers().authorization, /^Bearer ey/);
    await page.waitForSelector('#thumbnails li[data-key="users/bob/lake.jpg"] img');
    await (await page.$("#file")).uploadFile(await painting(page, "mine.png", 40));
    await page.click("#upload button");
    await page.waitForSelector('#thumbnails li[data-key="users/bob/mine.png"] img');
    await fill(page, "#key", "users/alice/portrait.svg");
    await page.click("#try button");
    await reads(page, "#verdict-said", /403 AccessDenied[^]*sample-bucket\/users\/alice\/portrait\.svg/);
    assert.deepEqual(await lit(page), ["statement-0 nearest"]);
    assert.equal(seen.refused, 1);
  }));

test("users of a server without an identity provider get an explanation", () =>
  visit(browser, {}, async (page) => {
    await page.waitForSelector("#ask button:enabled");
    await page.setRequestInterception(true);
    page.on("request", (request) => {
      const isJwt = new URL(request.url()).pathname === "/dev/jwt";
      isJwt ? request.respond({ status: 404, body: "{}" }) : request.continue();
    });
    await page.select("#client", "photo-app");
    await reads(page, "#ask-said", /photo-app is not available: it serves users, and this server has nobody/);
    assert.equal(await page.$eval("#ask button", ({ disabled }) => disabled), true);
  }));

test("the browser's signature matches the published vector", () =>
  visit(browser, {}, async (page) => {
    const vector = JSON.parse(await readFile(process.env.PAGE_VECTOR, "utf8"));
    const { Authorization: expected, "x-oss-head1": head, "content-type": type } = vector.headers;
    const request = {
      method: vector.method,
      path: `/${vector.bucket}/${vector.key}`,
      query: Object.fromEntries(vector.query),
      headers: { "x-oss-head1": head, "content-type": type },
      region: "cn-hangzhou",
      token: { AccessKeyId: "ak", AccessKeySecret: vector.secret, SecurityToken: vector.headers["x-oss-security-token"] },
    };
    const time = vector.headers["x-oss-date"].replace(/(....)(..)(..)T(..)(..)(..)Z/, "$1-$2-$3T$4:$5:$6Z");
    const signed = await page.evaluate(async (request, time) => {
      const { signed } = await import("/dev/signature.js");
      return signed({ ...request, now: new Date(time) });
    }, request, time);
    assert.equal(signed.authorization, expected);
  }));

for (const scheme of ["light", "dark"]) {
  test(`the page has no accessibility violations, ${scheme}`, () =>
    visit(browser, { scheme }, async (page) => {
      await used(page);
      assert.deepEqual(await violations(page), []);
      await shot(page, `${scheme}.png`);
    }));

  test(`the page fits the width of a phone, ${scheme}`, () =>
    visit(browser, { scheme, width: 360, height: 740 }, async (page) => {
      assert.equal(await overflow(page), 0);
      await used(page);
      assert.equal(await overflow(page), 0);
      assert.deepEqual(await violations(page), []);
      await shot(page, `phone-${scheme}.png`);
    }));
}

test("the page works by keyboard with a visible focus", () =>
  visit(browser, { motion: "reduce" }, async (page) => {
    await page.waitForSelector("#ask button:enabled");
    const focus = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
    const order = [];
    for (let step = 0; step < 4; step += 1) {
      await page.keyboard.press("Tab");
      order.push(await focus());
    }
    assert.deepEqual(order, ["To the token", "client", "grant", "Ask for less than the grant gives"]);
    await page.keyboard.press("Tab");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineWidth);
    assert.deepEqual([await focus(), outline], ["Get a token", "3px"]);
    await page.keyboard.press("Enter");
    await reads(page, "#ask-said", /A token for client-001/);
    await page.focus("#key");
    await page.keyboard.press("Enter");
    await reads(page, "#verdict-said", /200: done/);
    const moves = await page.$eval("#ring .left", (ring) => getComputedStyle(ring).transitionProperty);
    assert.equal(moves, "none");
  }));

test("the screenshot of docs/emulator.md is taken", () =>
  visit(browser, { width: 1240, height: 900 }, async (page) => {
    await used(page);
    await shot(page, "page.webp", { fullPage: true, quality: 80 });
  }));

/** The page with everything on it that there is. */
async function used(page) {
  await token(page, "client-004", "album-guest");
  await page.waitForSelector("#thumbnails img");
  await page.select("#operation", "PutObject");
  await fill(page, "#key", "albums/2015/originals/spring.jpg");
  await page.click("#try button");
  await reads(page, "#verdict-said", /Denied by/);
}

async function violations(page) {
  // As a script of the debugging protocol, because the page's policy allows none.
  await page.evaluate(await readFile(AXE, "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run(document));
  return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}
