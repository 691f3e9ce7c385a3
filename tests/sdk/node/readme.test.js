'use strict';
// Runs the examples of README.md and docs/connect/javascript.md as printed, with the ports of this run.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

// The only block of a language on a page.
function block(page, language) {
  const text = fs.readFileSync(path.join(__dirname, '../../..', page), 'utf8');
  const found = [...text.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))];
  assert.equal(found.length, 1);
  return found[0][1];
}

for (const page of ['README.md', 'docs/connect/javascript.md']) {
  test(`the JavaScript of ${page} puts a file and finds it`, (t) => {
    const shown = block(page, 'js');
    const here = shown
      .replaceAll('http://127.0.0.1:8080', process.env.README_URL)
      .replaceAll('http://127.0.0.1:8091', process.env.README_OSS_URL);
    assert.notEqual(here, shown);
    // `import` resolves packages from the file's folder.
    const file = path.join(path.dirname(process.env.NODE_PATH), 'readme.mjs');
    fs.writeFileSync(file, here);
    t.after(() => fs.rmSync(file));

    const printed = execFileSync(process.execPath, [file], { encoding: 'utf8' });

    assert.equal(printed, "[ 'users/alice/from-node.txt' ]\n");
  });
}
