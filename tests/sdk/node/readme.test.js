'use strict';
// Runs the examples of README.md and docs/connect/javascript.md as printed, with the ports of this run.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const crypto = require('node:crypto');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

const OSS = require('ali-oss');
const puppeteer = require('puppeteer-core');

const PAGE = 'docs/connect/javascript.md';
const { README_URL, README_OSS_URL, NODE_PATH } = process.env;

// The only block of a language on a page, with the address of this run.
function block(page, language) {
  const text = fs.readFileSync(path.join(__dirname, '../../..', page), 'utf8');
  const found = [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))];
  assert.equal(found.length, 1);
  const shown = found[0][1];
  const here = shown.replaceAll('http://127.0.0.1:8080', README_URL);
  assert.notEqual(here, shown);
  return here;
}

for (const page of ['README.md', PAGE]) {
  test(`the JavaScript of ${page} puts a file and finds it`, (t) => {
    // `import` resolves packages from the file's folder.
    const file = path.join(path.dirname(NODE_PATH), 'readme.mjs');
    fs.writeFileSync(file, block(page, 'js'));
    t.after(() => fs.rmSync(file));

    const printed = execFileSync(process.execPath, [file], { encoding: 'utf8' });

    assert.equal(printed, "[ 'users/alice/from-node.txt' ]\n");
  });
}

test(`the web page of ${PAGE} uploads a chosen file in parts`, async (t) => {
  const files = {
    '/page.html': ['text/html', block(PAGE, 'html')],
    '/aliyun-oss-sdk.min.js': ['text/javascript', fs.readFileSync(require.resolve('ali-oss/dist/aliyun-oss-sdk.min.js'))],
  };
  const folder = fs.mkdtempSync(path.join(require('node:os').tmpdir(), 'appserver-sdk-'));
  t.after(() => fs.rmSync(folder, { recursive: true }));
  const film = crypto.randomBytes(2_500_000);
  fs.writeFileSync(path.join(folder, 'from-browser.mp4'), film);
  const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(fs.existsSync);
  const browser = await puppeteer.launch({
    executablePath,
    // Containers run as root and have a small /dev/shm; neither suits Chromium's sandbox. All content is ours.
    // The page does not come from loopback, so Chromium would ask whether it may reach loopback.
    args: ['--no-sandbox', '--disable-dev-shm-usage', '--disable-gpu', '--disable-features=LocalNetworkAccessChecks'],
  });
  t.after(() => browser.close());
  const page = await browser.newPage();
  const errors = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  await page.setRequestInterception(true);
  page.on('request', (request) => {
    const { origin, pathname } = new URL(request.url());
    const file = origin === README_URL && files[pathname];
    if (!file) return request.continue();
    return request.respond({ contentType: file[0], body: file[1] });
  });

  await page.goto(`${README_URL}/page.html`, { waitUntil: 'networkidle0' });
  await (await page.$('#file')).uploadFile(path.join(folder, 'from-browser.mp4'));
  await page.waitForFunction("document.querySelector('#output').value === 'stored'", { timeout: 30_000 });

  assert.deepEqual(errors, []);
  assert.equal(await page.$eval('#progress', ({ value }) => value), 1);
  const owner = new OSS({
    endpoint: README_OSS_URL, bucket: 'sample-bucket', accessKeyId: 'rootid', accessKeySecret: 'rootsecret',
  });
  assert.deepEqual((await owner.get('users/alice/from-browser.mp4')).content, film);
});
