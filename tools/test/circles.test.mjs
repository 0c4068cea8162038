import assert from 'node:assert/strict';
import test from 'node:test';
import { check } from './tree.mjs';

// A crate in which `lib.rs` names the modules, and these are its files.
function crate(modules, lib = Object.keys(modules).map((name) => `mod ${name.split('/')[0]};\n`).join('')) {
  const files = Object.entries(modules).map(([name, text]) => [`bank/src/${name}.rs`, text]);
  return { 'bank/Cargo.toml': '', 'bank/src/lib.rs': lib, ...Object.fromEntries(files) };
}

// The files of each circle, and the names between them.
function circles(sources) {
  const { status, lines } = check('circles.mjs', sources);
  const ties = lines.filter((line) => line.startsWith('  ')).map((line) => line.trim().replaceAll('bank/src/', ''));
  assert.equal(status, ties.length ? 1 : 0, lines.join('\n'));
  return ties;
}

test('accepts imports in one direction', () => {
  const modules = { a: 'use crate::{b::B, c::C};\n', b: 'use super::c::C;\npub struct B;\n', c: 'pub struct C;\n' };
  assert.deepEqual(circles(crate(modules)), []);
});

test('finds a circle of `use` trees', () => {
  const sources = crate({
    a: 'use crate::{\n    c::{C as D, self},\n    b::{deep::{er::X}, B},\n};\npub struct A;\n',
    b: 'use super::a::A;\npub struct B;\n',
    c: 'pub struct C;\n',
  });
  assert.deepEqual(circles(sources), ['a.rs -> b.rs: B, X', 'b.rs -> a.rs: A']);
});

test('finds a circle over three files', () => {
  const next = { a: 'b', b: 'c', c: 'a' };
  const modules = Object.entries(next).map(([name, to]) => [name, `use crate::${to}::f as other;\npub fn f() {}\n`]);
  const ties = circles(crate(Object.fromEntries(modules)));
  assert.deepEqual(ties, ['a.rs -> b.rs: f', 'b.rs -> c.rs: f', 'c.rs -> a.rs: f']);
});

const waysToImport = {
  'a path in a signature': 'fn f(_: crate::a::A) {}',
  'a path from the parent': 'fn f() { super::a::A::new() }',
  'a `use` in a function': 'fn f() { use crate::a::A; }',
  'an imported module': 'use crate::a;\nfn f() { a::g() }',
  'a glob': 'use crate::a::*;',
  'a macro body': 'macro_rules! m { () => { $crate::a::A } }',
  'an attribute': '#[serde(with = "crate::a::hex")]\nstruct S;',
  'an inline module': 'mod inner { use super::super::a::A; }',
  'a re-export that the code uses': 'pub use crate::a::A;\nstruct S(A);',
};
for (const [way, code] of Object.entries(waysToImport)) {
  test(`finds a circle by ${way}`, () => {
    const a = 'use crate::b::B;\npub struct A;\npub fn g() {}\n';
    const ties = circles(crate({ a, b: `${code}\npub struct B;\n` }));
    assert.deepEqual(ties.map((tie) => tie.split(':')[0]), ['a.rs -> b.rs', 'b.rs -> a.rs']);
  });
}

const noImports = {
  'a re-export': 'pub use crate::a::A;',
  'a comment': '// use crate::a::A;\n/* crate::a::A */',
  'a string': 'const A: &str = "use crate::a::A;";',
  'a module of tests': '#[cfg(test)]\nmod tests {\n    use super::*;\n    use crate::a::A;\n}',
  'another crate': 'use ::a::A;\nuse metrics::metrics;\nuse std::{fmt, a::A};\nfn f() -> fmt::Result { x.a(); }',
};
for (const [what, code] of Object.entries(noImports)) {
  test(`takes ${what} for no import`, () => {
    assert.deepEqual(circles(crate({ a: 'use crate::b::B;\npub struct A;\n', b: `${code}\npub struct B;\n` })), []);
  });
}

test('sees through re-exports to the file that defines', () => {
  const sources = crate({
    'room/mod': 'mod a;\nmod b;\npub use a::A;\npub use b::*;\n',
    'room/a': 'use super::B;\npub struct A;\n',
    'room/b': 'use crate::A;\npub struct B;\n',
  }, 'mod room;\npub use room::A;\n');
  assert.deepEqual(circles(sources), ['room/a.rs -> room/b.rs: B', 'room/b.rs -> room/a.rs: A']);
});

test('counts a re-export as an import of the file in between', () => {
  const sources = crate({
    'room/mod': 'mod a;\nmod b;\npub use b::B;\nuse a::A;\nstruct S(A);\n',
    'room/a': 'use super::B;\npub struct A;\n',
    'room/b': 'pub struct B;\n',
  }, 'mod room;\n');
  assert.deepEqual(circles(sources), ['room/a.rs -> room/mod.rs: B', 'room/mod.rs -> room/a.rs: A']);
});

test('lets files of tests import their parent', () => {
  const sources = crate({
    'a': '#[cfg(test)]\nmod tests;\npub struct A;\n',
    'a/tests': 'use super::*;\nuse crate::b::B;\nfn f(_: A) {}\n',
    'b': 'use crate::a::A;\npub struct B;\n',
  }, 'mod a;\nmod b;\n');
  assert.deepEqual(circles(sources), []);
});

test('reads tests, examples and files with a path', () => {
  const sources = {
    ...crate({}),
    'bank/tests/all/main.rs': '#[path = "../common/x.rs"]\nmod x;\nmod y;\n',
    'bank/tests/all/y.rs': 'use crate::x::X;\npub struct Y;\n',
    'bank/tests/common/x.rs': 'use crate::y::Y;\npub struct X;\n',
  };
  assert.deepEqual(circles(sources).length, 2);
});

test('refuses a Rust file that no target contains', () => {
  const { status, lines } = check('circles.mjs', { ...crate({}), 'bank/src/lost.rs': '' });
  assert.equal(status, 1);
  assert.match(lines[0], /^bank\/src\/lost\.rs: no target/);
});

test('finds circles of Solidity', () => {
  const sources = { 'src/A.sol': 'import {B, C as D} from "./b/B.sol";\n', 'src/b/B.sol': 'import "../A.sol";\n' };
  assert.deepEqual(circles(sources), ['src/A.sol -> src/b/B.sol: B, C', 'src/b/B.sol -> src/A.sol: *']);
});

test('finds circles of JavaScript and TypeScript', () => {
  const sources = {
    'ts/a.ts': "import type { B } from './b.js';\nimport fs from 'node:fs';\n",
    'ts/b.ts': "export * from './c.ts';\n",
    'ts/c.ts': "const a = await import('./a');\n",
    'x.mjs': "import {\n  y,\n} from './y.mjs';\n",
    'y.mjs': "// import './x.mjs';\n",
  };
  assert.deepEqual(circles(sources), ['ts/a.ts -> ts/b.ts: B', 'ts/b.ts -> ts/c.ts: *', 'ts/c.ts -> ts/a.ts: *']);
});
