import assert from 'node:assert/strict';
import test from 'node:test';
import { check } from './tree.mjs';

for (const extension of ['rs', 'sol', 'ts', 'mjs', 'js']) {
  test(`refuses a .${extension} file of 401 lines`, () => {
    const { status, lines } = check('sizes.mjs', { [`src/long.${extension}`]: '\n'.repeat(401) });
    assert.equal(status, 1);
    assert.match(lines[0], /^src\/long\.\w+: 401 lines/);
  });
}

test('accepts 400 lines, with and without a last newline', () => {
  const { status } = check('sizes.mjs', { 'a.rs': '\n'.repeat(400), 'b.rs': `${'\n'.repeat(399)}x` });
  assert.equal(status, 0);
});

test('counts the last line without a newline', () => {
  assert.equal(check('sizes.mjs', { 'a.rs': `${'\n'.repeat(400)}x` }).status, 1);
});

test('leaves other and ignored files alone', () => {
  const long = '\n'.repeat(900);
  const { status } = check('sizes.mjs', { 'README.md': long, 'target/made.rs': long, '.gitignore': 'target/\n' });
  assert.equal(status, 0);
});
