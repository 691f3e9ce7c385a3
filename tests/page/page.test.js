// The page of `appserver dev` as people use it, in Chromium, against the running command.

import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, writeFileSync } from "node:fs";
import { readFile, writeFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
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

test("the address of the server alone leads to the page", () =>
  visit(browser, {}, async (page) => {
    await page.goto(`${ORIGIN}/`, { waitUntil: "networkidle0" });
    assert.equal(page.url(), `${ORIGIN}/dev/`);
  }));

test("the page begins with Alice's token and her pictures, and upload, listing and refusal work at the first click", () =>
  visit(browser, {}, async (page, seen) => {
    await reads(page, "#ask-said", /A token for photo-app, used by alice/);
    await page.waitForSelector('#thumbnails li[data-key="users/alice/portrait.svg"] img');
    await page.click("#upload button");
    const said = await reads(page, "#upload-said", /meadow-\d+\.png is in the bucket: [\d,]+ bytes, \d+ ms, STS calls: 0\./);
    const key = `users/alice/${said.match(/meadow-\d+\.png/)[0]}`;
    await page.waitForSelector(`#thumbnails li[data-key="${key}"] img`);
    await reads(page, "#step-title", /3\. The app uses OSS directly: PutObject users\/alice\/meadow/);
    await page.click("#look button");
    await reads(page, "#step-title", /ListObjects users\/alice\//);
    await page.click("#forbidden");
    await reads(page, "#verdict", /403 AccessDenied[^]*Choose a key that its policy names/);
    await reads(page, "#hop-use", /403 · \d+ ms/);
    await shot(page, "refused.png");
    assert.equal(seen.refused, 1);
    await page.hover(`#thumbnails li[data-key="${key}"]`);
    await page.click(`#thumbnails li[data-key="${key}"] .remove`);
    await reads(page, "#look-said", /meadow-\d+\.png is deleted\./);
    assert.equal(await page.$(`#thumbnails li[data-key="${key}"]`), null);
    await page.click('#thumbnails li[data-key="users/alice/portrait.svg"] .open');
    await page.waitForSelector('#verdict.let img[aria-label="The picture at users/alice/portrait.svg"]');
  }));

test("each step shows its request, its answer, its audit line and its log, and whether STS was called", () =>
  visit(browser, {}, async (page) => {
    const album = `steps-${Date.now()}`;
    await choose(page, "client-003");
    await fill(page, "#parameter-album", album);
    await ask(page, "client-003, issued by STS for this request");
    await reads(page, "#hop-assume", /AssumeRole\s+200 · \d+ ms/);
    await page.click("#hop-ask");
    await reads(page, "#step-request", new RegExp(`^POST ${ORIGIN}/v1/token\\n[^]*authorization: Basic [^]*"album": "${album}"`));
    const answer = await reads(page, "#step-answer", /^200\n[^]*x-request-id: ([0-9A-F-]{36})[^]*"AccessKeyId": "STS\./);
    const id = answer.match(/x-request-id: (\S+)/)[1];
    await reads(page, "#step-audit", new RegExp(`"RequestId":"${id}","Event":"Token","Decision":"Vended"[^]*"Source":"Issued"`));
    await reads(page, "#step-log", new RegExp(`DEBUG issued a token[^]*sts.took_ms=\\d+[^]*DEBUG answered request.id=${id}`));
    await page.click("#hop-assume");
    await reads(page, "#step-request", new RegExp(`Action=AssumeRole[^]*RoleSessionName=client-003[^]*sample-bucket/albums/${album}/`));
    await reads(page, "#step-answer", /^Success\n[^]*"AccessKeyId": "STS\./);
    await ask(page, "client-003, from the cache");
    await reads(page, "#hop-assume", /from cache: no call/);
    await page.click("#hop-assume");
    await reads(page, "#step-about", /STS was not called[^]*This is the call that issued it/);
    await page.click("#hop-ask");
    await reads(page, "#step-audit", /"Source":"Cached"/);
  }));

test("a token is shown with its policy and its remaining lifetime", () =>
  visit(browser, {}, async (page) => {
    await token(page, "client-002");
    await reads(page, "#facts", /STS\.[^]*role\/oss-readonly\/client-002/);
    await reads(page, "#statements", /Statement\[0\]: Allow[^]*oss:GetObject[^]*2015\/01\/01\/\*\.jpg/);
    const first = await reads(page, "#ring-text", /^(1:00:00|59:\d\d)$/);
    await page.waitForFunction((first) => document.querySelector("#ring-text").textContent !== first, {}, first);
    const gone = await page.$eval("#ring .left", (ring) => Number(ring.getAttribute("stroke-dashoffset")));
    assert.ok(gone > 0 && gone < 5, `${gone} of 100 are gone`);
    await reads(page, "#life-text", /Valid for another 59:\d\d\. An app requests the next in \d\d:\d\d\./);
  }));

test("a chosen file is uploaded with progress and shown as a thumbnail", () =>
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
    await reads(page, "#file-said", /meadow \(1\)\+é\.png/);
    // Slow enough for the progress bar to be visible.
    const network = { offline: false, latency: 5, downloadThroughput: -1, uploadThroughput: 2_000_000 };
    const session = await page.createCDPSession();
    await session.send("Network.enable");
    await session.send("Network.emulateNetworkConditions", network);
    await page.click("#upload button");
    await reads(page, "#upload-said", /meadow \(1\)\+é\.png is in the bucket: [\d,]+ bytes/);
    const steps = await page.evaluate(() => window.steps);
    assert.ok(steps.some((step) => step > 0 && step < 100), `the bar went ${steps}`);
    assert.equal(steps.at(-1), 100);
    await reads(page, "#verdict", /200: done\.[^]*Allowed by Statement\[0\]/);
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

test("a picture is uploaded by a form and by a URL, each with a session that all users share", () =>
  visit(browser, {}, async (page, seen) => {
    await page.click("#way-form");
    await page.click("#upload button");
    await reads(page, "#upload-said", /meadow-\d+\.png is in the bucket/);
    await reads(page, "#step-title", /PostObject users\/alice\/meadow/);
    await reads(page, "#step-request", /"x-oss-signature-version": "OSS4-HMAC-SHA256"/);
    await reads(page, "#hop-ask", /asks for a form\s+200/);
    // The callback arrived: what the backend took, and what it answered to the upload.
    await reads(page, "#hop-report", /calls AppServer back[^]*verified, confirmed, forwarded/);
    await reads(page, "#step-answer", /^200[^]*"Saved": true/);
    await page.click("#hop-report");
    await reads(page, "#step-title", /OSS reports the upload/);
    await reads(page, "#step-request", /x-appserver-signature: t=\d+,v1=[^]*"Event": "Uploaded"[^]*"Subject": "alice"[^]*"user": "alice"/);
    await reads(page, "#step-answer", /^200[^]*"Saved": true/);
    await reads(page, "#step-audit", /"Event":"Uploaded","Decision":"Confirmed"/);
    await page.click("#hop-ask");
    await reads(page, "#step-request", /\/v1\/uploads[^]*"Grant": "photo-upload"/);
    await reads(page, "#step-audit", /"Event":"Upload"[^]*"Subject":"alice"[^]*"Key":"users\/alice\/meadow/);
    await page.click("#hop-assume");
    await reads(page, "#step-request", /RoleSessionName=grant@photo-upload[^]*sample-bucket\/users\/\*\/\*/);
    // The policy that counts is that of the grant that signs; the token has no part in it.
    await reads(page, "#policy-title", /The policy of the grant photo-upload/);
    assert.deepEqual(await lit(page), ["statement-0 allows"]);
    assert.equal(await page.$eval("#token", ({ hidden }) => hidden), true);
    // The second user needs no call: 10,000 would not either.
    await page.select("#user", "bob");
    await page.waitForSelector("#ask button:enabled");
    await ask(page, "photo-app, used by bob");
    await page.click("#upload button");
    await reads(page, "#upload-said", /meadow-\d+\.png is in the bucket: [\d,]+ bytes, \d+ ms, STS calls: 0\./);
    await reads(page, "#step-title", /PostObject users\/bob\/meadow/);
    await page.click("#way-url");
    await page.click("#upload button");
    await reads(page, "#step-title", /PutObject users\/bob\/meadow/);
    assert.ok(await page.$eval("#hop-report", ({ hidden }) => hidden), "nobody reports it");
    await reads(page, "#step-request", /^PUT [^]*x-oss-signature=/);
    await reads(page, "#hop-ask", /asks for a URL\s+200/);
    await reads(page, "#upload-said", /is in the bucket/);
    assert.equal(seen.refused, 0);
  }));

test("an upload that the backend did not confirm is shown as stored, and not as done", () =>
  visit(browser, {}, async (page) => {
    await page.click("#way-form");
    await page.setRequestInterception(true);
    page.on("request", (request) => {
      const isForm = request.url().startsWith(OSS) && request.method() === "POST";
      const body = "<Error><Code>CallbackFailed</Code><Message>The callback was answered with 502.</Message></Error>";
      isForm ? request.respond({ status: 203, headers: { "access-control-allow-origin": "*" }, body }) : request.continue();
    });
    await page.click("#upload button");
    await reads(page, "#upload-said", /is in the bucket, but the app’s backend did not confirm it\. Do not upload it again\./);
    await reads(page, "#verdict", /203 CallbackFailed: stored, but[^]*answered with 502/);
    assert.equal(await page.$eval("#verdict", ({ className }) => className), "unconfirmed");
    await reads(page, "#hop-report", /not forwarded/);
    await page.click("#hop-report");
    await reads(page, "#step-about", /The object is stored, but the backend has no report of it/);
  }));

test("a grant that gives no token says where its forms are, and the picture shows nothing of the token before", () =>
  visit(browser, {}, async (page, seen) => {
    await page.click("#upload button");
    await reads(page, "#verdict", /200: done/);
    await choose(page, "photo-app", "photo-upload");
    await page.click("#ask button");
    await reads(page, "#ask-said", /403 Forbidden\.Grant: [^]*This grant signs forms[^]*“form” below at “Upload by”/);
    await reads(page, "#step-title", /1\. The app asks AppServer for a token/);
    await reads(page, "#hop-use", /not yet/);
    assert.equal(await page.$eval("#verdict", ({ hidden }) => hidden), true);
    assert.equal(await page.$eval("#upload-said", ({ innerText }) => innerText), "");
    assert.deepEqual(await lit(page), []);
    assert.equal(seen.refused, 1);
  }));

test("the curl of a form and of a URL works in any shell", () =>
  visit(browser, {}, async (page) => {
    const cwd = mkdtempSync(join(tmpdir(), "appserver-page-"));
    writeFileSync(join(cwd, "cat.jpg"), "a picture");
    for (const way of ["form", "url"]) {
      await page.click(`#way-${way}`);
      await page.click("#code-curl");
      const code = await reads(page, "#code-text", way === "form" ? /v1\/uploads/ : /v1\/urls/);
      const answer = execFileSync("/bin/sh", ["-c", code], { cwd, encoding: "utf8" });
      assert.match(answer, /^HTTP\/1\.1 200 /m);
    }
    // Not for the pictures of other tests.
    await page.click("#look button");
    await page.waitForSelector('#thumbnails li[data-key="users/alice/cat.jpg"] .remove');
    await page.click('#thumbnails li[data-key="users/alice/cat.jpg"] .remove');
    await reads(page, "#look-said", /cat\.jpg is deleted/);
  }));

test("the result is in view on a phone, and Copy is not on the code", () =>
  visit(browser, { width: 390, height: 740, motion: "reduce" }, async (page, seen) => {
    await page.click("#forbidden");
    await reads(page, "#verdict", /403 AccessDenied/);
    const top = await page.$eval("#verdict", (verdict) => verdict.getBoundingClientRect().top);
    assert.ok(top > 0 && top < 740, `the verdict begins at ${top}`);
    const [copy, code] = await Promise.all(["#copy", "#code-text"].map((id) => page.$eval(id, (part) => part.getBoundingClientRect().toJSON())));
    assert.ok(copy.bottom <= code.top, `Copy ends at ${copy.bottom}, the code begins at ${code.top}`);
    assert.equal(seen.refused, 1);
  }));

test("a form with a changed field, and a file that breaks a rule, are refused with what to do", () =>
  visit(browser, {}, async (page, seen) => {
    await page.click("#way-form");
    await page.click("#change");
    await page.click("#upload button");
    await reads(page, "#ask-way", /An upload by form uses no token: AppServer signs it with the grant photo-upload\./);
    await reads(page, "#verdict", /403 AccessDenied: Invalid according to Policy[^]*the policy inside the form[^]*Send every field exactly as AppServer answered it/);
    assert.equal(await page.$eval("#progress", ({ value }) => value), 0);
    await page.click("#change");
    await (await page.$("#file")).uploadFile(await painting(page, "Not Allowed.png", 20));
    await page.click("#upload button");
    await reads(page, "#upload-said", /400 InvalidParameter\.Name: .*Change the field/);
    await reads(page, "#hop-ask", /400 · \d+ ms/);
    assert.equal(seen.refused, 2);
  }));

test("a key that no statement allows is refused by OSS and explained by the closest statement", () =>
  visit(browser, {}, async (page, seen) => {
    await token(page, "client-004", "album-guest");
    await page.waitForSelector("#thumbnails img");
    assert.equal(await page.$eval("#key", ({ value }) => value), "users/bob/lake.jpg");
    await page.click("#attempt");
    const said = await reads(page, "#verdict", /403 AccessDenied: Access denied by authorizer's policy\./);
    assert.match(said, /No statement allows it\. Closest: Statement\[0\]\./);
    assert.match(said, /oss:GetObject → acs:oss:\*:\*:sample-bucket\/users\/bob\/lake\.jpg/);
    assert.match(said, /Decided by\s+the token’s own policy/);
    assert.match(said, /OSS’s request id\s+[0-9A-F]{24}/);
    assert.deepEqual(await lit(page), ["statement-0 nearest"]);
    await reads(page, "#statement-0", /Came closest, but: it is about other resources\./);
    await reads(page, "#statement-1", /it is about other actions\./);
    assert.equal(seen.refused, 1);
  }));

test("a key that a statement denies is explained by that statement", () =>
  visit(browser, {}, async (page, seen) => {
    await token(page, "client-004", "album-guest");
    await fill(page, "#action", "PutObject");
    await fill(page, "#key", "albums/2015/originals/spring.jpg");
    await page.click("#attempt");
    await reads(page, "#verdict", /403 AccessDenied[^]*Denied by Statement\[2\], whatever others allow\./);
    assert.deepEqual(await lit(page), ["statement-2 denies"]);
    await reads(page, "#statement-2", /This one decides: it is about this request\./);
    await fill(page, "#action", "oss:GetObject");
    await fill(page, "#key", "albums/2015/summer.jpg");
    await page.click("#attempt");
    await page.waitForSelector('#verdict.let img[aria-label="The picture at albums/2015/summer.jpg"]');
    assert.deepEqual(await lit(page), ["statement-0 allows"]);
    assert.equal(seen.refused, 1);
  }));

test("any action on any key is explained without OSS", () =>
  visit(browser, {}, async (page, seen) => {
    const before = seen.asked.filter((url) => url.startsWith(OSS)).length;
    await fill(page, "#action", "oss:DeleteBucket");
    await fill(page, "#key", "users/alice/portrait.svg");
    await page.click("#explain");
    await reads(page, "#explained", /Denied\. No statement allows it, and none is about it\./);
    await fill(page, "#action", "oss:PutObject");
    await page.click("#explain");
    await reads(page, "#explained", /Allowed\. Allowed by Statement\[0\]\./);
    assert.equal(seen.asked.filter((url) => url.startsWith(OSS)).length, before);
    await fill(page, "#action", "oss:DeleteBucket");
    await page.click("#attempt");
    await reads(page, "#explained", /This page can try GetObject, PutObject, DeleteObject and ListObjects/);
  }));

test("a token that may not list shows the denial and its reason", () =>
  visit(browser, {}, async (page, seen) => {
    await token(page, "client-003");
    await reads(page, "#look-said", /This token may not list albums\/2015\//);
    await page.click("#hop-use");
    await reads(page, "#verdict", /403 AccessDenied[^]*No statement allows it, and none is about it\./);
    assert.equal(seen.refused, 1);
  }));

test("a refusal is shown with the service's code and message, what to do, and its records", () =>
  visit(browser, {}, async (page, seen) => {
    await choose(page, "client-003");
    await fill(page, "#parameter-album", "*");
    await page.click("#ask button");
    await reads(page, "#ask-said", /400 InvalidParameter\.Parameters\.album: .*one path segment.*Change the field/);
    await reads(page, "#hop-ask", /400 · \d+ ms/);
    await page.click("#hop-ask");
    await reads(page, "#step-audit", /"Decision":"Refused","Code":"InvalidParameter\.Parameters\.album"/);
    await reads(page, "#step-log", /refused: /);
    assert.equal(seen.refused, 1);
  }));

test("a server that does not answer is named, with what to do", () =>
  visit(browser, {}, async (page, seen) => {
    await page.setRequestInterception(true);
    page.on("request", (request) => (request.url().startsWith(OSS) ? request.abort() : request.continue()));
    await page.click("#look button");
    await reads(page, "#look-said", new RegExp(`${OSS} does not answer\\. Does .*dev. still run\\?`));
    await reads(page, "#hop-use", /no answer/);
    const ours = seen.errors.filter((error) => !error.includes("net::ERR_FAILED"));
    seen.errors.splice(0, Infinity, ...ours);
  }));

test("a policy narrower than the grant can be requested", () =>
  visit(browser, {}, async (page) => {
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
    await page.click("#attempt");
    await reads(page, "#verdict", /403 AccessDenied[^]*No statement allows it\. Closest: Statement\[0\]/);
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
      await page.waitForSelector("#ask button:enabled");
      await page.click("#ask button");
      await reads(page, "#count-Tokens", new RegExp(`^${tokens + more}$`));
    }
    assert.deepEqual(await counts(), [tokens + 3, hits + 2, misses + 1, saved + 2]);
  }));

test("users get only their own photos", () =>
  visit(browser, {}, async (page, seen) => {
    await page.select("#user", "bob");
    const [asked] = await Promise.all([
      page.waitForRequest(`${ORIGIN}/v1/token`),
      choose(page, "photo-app", "my-photos").then(() => ask(page, "photo-app, used by bob")),
    ]);
    assert.match(asked.headers().authorization, /^Bearer ey/);
    await reads(page, "#holder", /photo-app · bob/);
    await page.waitForSelector('#thumbnails li[data-key="users/bob/lake.jpg"] img');
    await page.click("#upload button");
    await reads(page, "#upload-said", /is in the bucket/);
    assert.equal(await page.$eval("#forbidden", ({ dataset }) => dataset.key), "users/alice/portrait.svg");
    await page.click("#forbidden");
    await reads(page, "#verdict", /403 AccessDenied[^]*sample-bucket\/users\/alice\/portrait\.svg/);
    assert.deepEqual(await lit(page), ["statement-0 nearest"]);
    assert.equal(seen.refused, 1);
  }));

test("users of a server without an identity provider get an explanation", () =>
  visit(browser, {}, async (page) => {
    await page.setRequestInterception(true);
    page.on("request", (request) => {
      const isJwt = new URL(request.url()).pathname === "/dev/jwt";
      isJwt ? request.respond({ status: 404, body: "{}" }) : request.continue();
    });
    await page.select("#user", "bob");
    await reads(page, "#ask-said", /photo-app is not available: it serves users, and this server has no identity provider/);
    assert.equal(await page.$eval("#ask button", ({ disabled }) => disabled), true);
  }));

test("the code of the chosen case is shown in five languages and copied", () =>
  visit(browser, {}, async (page) => {
    await page.browserContext().overridePermissions(ORIGIN, ["clipboard-read", "clipboard-sanitized-write"]);
    // Browsers let a page copy only while it has the focus.
    await page.bringToFront();
    const samples = {};
    for (const language of ["curl", "js", "python", "android", "ios"]) {
      await page.click(`#code-${language}`);
      samples[language] = await reads(page, "#code-text", /Grant=my-photos/);
    }
    assert.match(samples.curl, /dev\/jwt\?user=alice/);
    assert.match(samples.js, /authorizationV4: true[^]*client\.put\("users\/alice\/hello\.txt"/);
    assert.match(samples.python, /auth_version="v4"/);
    assert.match(samples.android, /adb reverse tcp:(\d+) tcp:\1 && adb reverse[^]*SignVersion\.V4/);
    assert.match(samples.ios, /OSSSignVersion\.V4/);
    await page.focus("#code-ios");
    await page.keyboard.press("ArrowRight");
    assert.equal(await page.evaluate(() => document.activeElement.id), "code-curl");
    await page.click("#way-form");
    assert.match(await reads(page, "#code-text", /v1\/uploads/), /form-string=[^]*-K - -F 'file=@cat\.jpg'/);
    await page.click("#code-mini");
    await reads(page, "#code-text", /wx\.uploadFile/);
    await page.click("#way-url");
    await reads(page, "#code-text", /curl -i -T cat\.jpg/);
    await page.click("#way-token");
    await page.click("#copy");
    await reads(page, "#copy", /Copied/);
    assert.equal(await page.evaluate(() => navigator.clipboard.readText()), samples.curl);
    await token(page, "client-002");
    assert.match(await reads(page, "#code-text", /Grant=daily-photos/), /-u 'client-002:client-002-demo-secret'/);
  }));

test("the page is written in Chinese or English, and the switch changes all of it", () =>
  visit(browser, { language: "zh-CN" }, async (page) => {
    await reads(page, "#ask-said", /已为 photo-app 的用户 alice 签发令牌/);
    const keys = await page.evaluate(async () => {
      const [{ EN }, { ZH }] = await Promise.all([import("/dev/texts-en.js"), import("/dev/texts-zh.js")]);
      const places = (texts) => Object.entries(texts).map(([key, text]) => [key, (text.match(/\{\w+\}/g) ?? []).sort()]);
      return [places(EN), places(ZH)];
    });
    assert.deepEqual(keys[0], keys[1]);
    await page.click("#forbidden");
    await reads(page, "#verdict", /没有语句允许它/);
    await reads(page, "#statement-0", /最接近，但：它针对其他资源。/);
    await shot(page, "chinese.png");
    const chinese = () =>
      page.evaluate(() => {
        const switches = document.querySelector("#language");
        return document.body.innerText.replace(switches.innerText, "").match(/[\u4e00-\u9fff]+/g) ?? [];
      });
    assert.ok((await chinese()).length > 50);
    await page.click("#language");
    await reads(page, "#verdict", /No statement allows it/);
    assert.deepEqual(await chinese(), []);
    assert.equal(await page.evaluate(() => document.documentElement.lang), "en");
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
    visit(browser, { scheme, motion: "reduce" }, async (page) => {
      assert.deepEqual(await violations(page), []);
      await used(page);
      assert.deepEqual(await violations(page), []);
      await shot(page, `${scheme}.png`);
    }));

  test(`the page fits the width of a phone, ${scheme}`, () =>
    visit(browser, { scheme, width: 360, height: 740, motion: "reduce" }, async (page) => {
      assert.equal(await overflow(page), 0);
      await used(page);
      assert.equal(await overflow(page), 0);
      assert.deepEqual(await violations(page), []);
      await shot(page, `phone-${scheme}.png`);
      await page.click("#language");
      assert.equal(await overflow(page), 0);
      await shot(page, `phone-${scheme}-chinese.png`);
    }));
}

for (const width of [360, 390, 414]) {
  test(`the page fits ${width} px after an upload by each of the three ways, in both languages`, () =>
    visit(browser, { width, height: 740, motion: "reduce" }, async (page) => {
      for (const way of ["token", "form", "url"]) {
        await page.click(`#way-${way}`);
        await page.click("#upload button");
        await reads(page, "#upload-said", /is in the bucket/);
        await page.waitForSelector("#upload button:enabled");
        assert.equal(await overflow(page), 0, way);
        await page.click("#language");
        assert.equal(await overflow(page), 0, `${way}, in Chinese`);
        await page.click("#language");
      }
    }));
}

test("the page works by keyboard with a visible focus", () =>
  visit(browser, { motion: "reduce" }, async (page) => {
    const focus = () => page.evaluate(() => document.activeElement.id || document.activeElement.textContent.trim());
    const order = [];
    for (let step = 0; step < 5; step += 1) {
      await page.keyboard.press("Tab");
      order.push(await focus());
    }
    assert.deepEqual(order, ["To the demo", "language", "client", "user", "grant"]);
    await page.keyboard.press("Tab");
    const outline = await page.evaluate(() => getComputedStyle(document.activeElement).outlineWidth);
    assert.deepEqual([await focus(), outline], ["Get a token", "3px"]);
    await page.$eval("#ask-said", (said) => said.replaceChildren());
    await page.keyboard.press("Enter");
    await reads(page, "#ask-said", /A token for photo-app/);
    // A picture can be opened and deleted without a pointer; its button shows itself.
    await page.waitForSelector("#thumbnails li[data-key] .remove");
    await page.focus("#thumbnails .open");
    await page.keyboard.press("Tab");
    const seen = await page.evaluate(() => [document.activeElement.className, getComputedStyle(document.activeElement).opacity]);
    assert.deepEqual(seen, ["remove", "1"]);
    await page.focus("#key");
    await page.keyboard.press("Enter");
    await reads(page, "#explained", /Denied/);
    const moves = await page.$eval("#ring .left", (ring) => getComputedStyle(ring).transitionProperty);
    assert.equal(moves, "none");
  }));

test("the screenshot of README.md is taken", () =>
  visit(browser, { width: 1240, height: 930, motion: "reduce" }, async (page) => {
    // Of the other tests; here everything is the first.
    await page.waitForSelector("#thumbnails img");
    const old = await page.$$eval("#thumbnails li", (items) => items.map(({ dataset: { key } }) => key).filter((key) => /meadow/.test(key)));
    for (const key of old) {
      await page.click(`#thumbnails li[data-key="${key}"] .remove`);
      await page.waitForSelector(`#thumbnails li[data-key="${key}"]`, { hidden: true });
    }
    for (const way of ["token", "form"]) {
      await page.click(`#way-${way}`);
      await page.click("#upload button");
      await reads(page, "#upload-said", /is in the bucket/);
      await page.waitForSelector("#upload button:enabled");
    }
    await page.waitForFunction(() => document.querySelectorAll("#thumbnails img").length >= 4);
    await page.click("#hop-ask");
    await reads(page, "#step-audit", /"Event":"Upload"/);
    await page.evaluate(() => document.activeElement.blur());
    await shot(page, "first-screen.webp", { quality: 80 });
  }));

test("the screenshot of docs/emulator.md is taken", () =>
  visit(browser, { width: 1240, height: 900, motion: "reduce" }, async (page) => {
    await used(page);
    await shot(page, "page.webp", { fullPage: true, quality: 80 });
  }));

/** The page with everything on it that there is. */
async function used(page) {
  await token(page, "client-004", "album-guest");
  await page.waitForSelector("#thumbnails img");
  await fill(page, "#action", "oss:PutObject");
  await fill(page, "#key", "albums/2015/originals/spring.jpg");
  await page.click("#explain");
  await reads(page, "#explained", /Denied by/);
  await page.click("#attempt");
  await reads(page, "#verdict", /Denied by/);
}

async function violations(page) {
  // As a script of the debugging protocol, because the page's policy allows none.
  await page.evaluate(await readFile(AXE, "utf8"));
  const { violations } = await page.evaluate(() => window.axe.run(document));
  return violations.map(({ id, impact, nodes }) => `${impact} ${id}: ${nodes.map(({ html }) => html).join(" ")}`);
}
