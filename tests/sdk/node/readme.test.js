'use strict';
// What README.md shows is run as it stands there; only the ports are this run's own.

const assert = require('node:assert/strict');
const { execFileSync } = require('node:child_process');
const fs = require('node:fs');
const path = require('node:path');
const { test } = require('node:test');

// The one block in a language below a heading.
function block(heading, language) {
  const text = fs.readFileSync(path.join(__dirname, '../../../README.md'), 'utf8');
  const section = text.split(`\n## ${heading}\n`)[1].split('\n## ')[0];
  const found = [...section.matchAll(new RegExp(`^\`\`\`${language}\n(.*?)^\`\`\`$`, 'gms'))];
  assert.equal(found.length, 1);
  return found[0][1];
}

test('the JavaScript of "Connect your app" puts a file and finds it', (t) => {
  const shown = block('Connect your app', 'js');
  const here = shown
    .replaceAll('http://127.0.0.1:8080', process.env.README_URL)
    .replaceAll('http://127.0.0.1:8091', process.env.README_OSS_URL);
  assert.notEqual(here, shown);
  // `import` looks for packages from where the file is.
  const file = path.join(path.dirname(process.env.NODE_PATH), 'readme.mjs');
  fs.writeFileSync(file, here);
  t.after(() => fs.rmSync(file));

  const printed = execFileSync(process.execPath, [file], { encoding: 'utf8' });

  assert.equal(printed, "[ 'users/alice/from-node.txt' ]\n");
});
