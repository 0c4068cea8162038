import assert from 'node:assert/strict';
import test from 'node:test';
import { check } from './tree.mjs';

const crate = (text, more = {}) => ({ 'bank/Cargo.toml': '', 'bank/src/lib.rs': text, ...more });
const figures = ({ lines }) => lines.find((line) => line.startsWith('bank:'));

test('accepts plain prose', () => {
  const { status, lines } = check('prose.mjs', crate('/// Returns the total of all cheques.\nfn total() {}\n'));
  assert.equal(status, 0, lines.join('\n'));
  assert.match(lines[0], /^bank: 1 sentences, 0\.0 % .* 0\.0 pronouns/);
});

test('counts openings, and lists them by file and line', () => {
  const source = '//! Reads a chain.\n\n/// A first sentence here. What a payee\n/// has won so far: how much is paid.';
  const run = check('prose.mjs', crate(source), '--list');
  assert.equal(run.status, 1);
  assert.match(figures(run), /4 sentences, 50\.0 % open.*too many/);
  assert.ok(run.lines.includes('bank/src/lib.rs:3: opens with What: What a payee has won so far'));
  assert.ok(run.lines.includes('bank/src/lib.rs:4: opens with how: how much is paid.'));
});

test('counts pronouns per 100 words', () => {
  const run = check('prose.mjs', crate('// The caller keeps it and hands this to that one.\n'), '--list');
  assert.equal(run.status, 1);
  assert.match(figures(run), /0\.0 % open.*40\.0 pronouns/);
  assert.ok(run.lines[0].startsWith('bank/src/lib.rs:1: it, this, that, one in 10 words'));
});

test('counts neither code nor strings nor comments after code', () => {
  const source = [
    'let a = "// what it is, and that";',
    'let b = r#"\n// what it is, and that"#;',
    "let c = '\"'; // what it is, and that",
    '*a = what(it, that, this);',
    '/// Calls `what(it)` with one_thing.',
    '/// ```',
    '/// // ` what it is, and that it is',
    '/// ```',
  ].join('\n');
  const run = check('prose.mjs', crate(source));
  assert.equal(run.status, 0);
  assert.match(figures(run), /^bank: 1 sentences/);
});

test('judges each crate and the contracts on their own', () => {
  const bad = '/// What the bank pays, and whether it does.\n';
  const { status, lines } = check('prose.mjs', crate('', { 'contracts/src/Bank.sol': bad, 'gateway/Cargo.toml': '' }));
  assert.equal(status, 1);
  assert.deepEqual(lines.map((line) => line.split(':')[0]), ['bank', 'gateway', 'contracts/src', 'prose']);
  assert.match(lines[2], /^contracts\/src: 1 sentences, 100\.0 %.*too many/);
});

const banned = {
  'a comment': ['bank/src/lib.rs', 'fn f() {} // Sends anew.\n', 1],
  'a comment, across lines': ['bank/src/lib.rs', '\n// The sender goes\n// on with the next.\n', 2],
  'a block comment': ['contracts/src/Bank.sol', '/**\n * Whoever calls.\n */\n', 2],
  'a document': ['README.md', '# Title\n\nThe draw is under\nway.\n', 3],
  'an error message': ['bank/src/lib.rs', '#[error("nobody knows")]\nstruct E;\n', 1],
  'a message of several lines': ['bank/src/lib.rs', 'const A: &str = "not \\\n    any \\\n    more";\n', 2],
};
for (const [place, [file, text, line]] of Object.entries(banned)) {
  test(`refuses a banned phrase in ${place}`, () => {
    const { status, lines } = check('prose.mjs', crate('', { [file]: text }));
    assert.equal(status, 1);
    assert.ok(lines[0].startsWith(`${file}:${line}: banned: `), lines[0]);
  });
}

test('accepts banned phrases in code and in data of tests', () => {
  const sources = {
    'README.md': 'Use `anew`.\n\n```sh\necho dearer\n```\n',
    'bank/tests/data.rs': 'const A: &str = "anew";\n',
    'bank/src/lib.rs': 'fn anew() {}\n#[cfg(test)]\nmod tests {\n    const A: &str = "dearer";\n}\n',
  };
  assert.equal(check('prose.mjs', crate('', sources)).status, 0);
});

test('refuses names of tests with more than 60 characters', () => {
  const long = 'a'.repeat(61);
  const sources = {
    'bank/src/lib.rs':
      `#[test]\n#[ignore = "slow"]\nfn ${long}() {}\n` + `\n#[tokio::test(flavor = "x")]\nasync fn b${long}() {}\n`,
    'bank/tests/p.rs': `proptest! {\n    #[test]\n    fn c${long}(x in 0..9u8) {}\n}\nfn no_test_${long}() {}\n`,
    'contracts/test/T.t.sol': ['test_', 'invariant_', '_help'].map((name) => `function ${name}${long}() {}\n`).join(''),
  };
  const { status, lines } = check('prose.mjs', crate('', sources));
  assert.equal(status, 1);
  const places = lines.filter((line) => line.includes('test name')).map((line) => line.match(/^[^:]+:\d+/)[0]);
  assert.deepEqual(places, [
    ...['bank/src/lib.rs:3', 'bank/src/lib.rs:6', 'bank/tests/p.rs:3'],
    ...['contracts/test/T.t.sol:1', 'contracts/test/T.t.sol:2'],
  ]);
});

test('accepts names of tests with 60 characters', () => {
  assert.equal(check('prose.mjs', crate(`#[test]\nfn ${'a'.repeat(60)}() {}\n`)).status, 0);
});

test('judges only the folders given', () => {
  const bad = { 'README.md': 'Sent anew.\n', 'bank/src/a/b.rs': '// What the bank pays.\n' };
  assert.equal(check('prose.mjs', crate('', bad), 'bank/src/c').status, 0);
  assert.equal(check('prose.mjs', crate('', bad), 'bank/src/a/').status, 1);
});
