#!/usr/bin/env node
// node tools/circles.mjs: fails if files import each other in a circle; prints each circle with the names that tie it.
//
// In Rust, an import is a `use`, or a path or name in the code, but not a `mod` or `pub use` alone. An import counts for
// the file that defines the name, and for each file that re-exports it on the way. In Solidity, JavaScript and
// TypeScript, imports are the import statements.
import fs from 'node:fs';
import path from 'node:path';
import { rustImports } from './rust-imports.mjs';
import { files } from './source.mjs';

const imports = new Map(); // from -> to -> names
function add(from, to, name) {
  if (!imports.has(from)) imports.set(from, new Map());
  if (!imports.get(from).has(to)) imports.get(from).set(to, new Set());
  imports.get(from).get(to).add(name);
}

// Libraries, binaries, tests, benches and examples, where cargo looks for them.
const ROOT = /^(?:build|src\/(?:lib|main)|(?:src\/bin|tests|benches|examples)\/[^/]+(?:\/main)?)\.rs$/;

// Reads the Rust of all packages. Returns the files that belong to no target: nothing is known of their imports.
function readRust() {
  const rust = files('rs');
  const reached = new Set();
  for (const manifest of files('toml').filter((file) => path.basename(file) === 'Cargo.toml')) {
    const roots = rust.filter((file) => ROOT.test(path.relative(path.dirname(manifest), file)));
    roots.flatMap((root) => rustImports(root, add)).forEach((file) => reached.add(file));
  }
  return rust.filter((file) => !reached.has(file));
}

const STATEMENT = new RegExp(
  String.raw`^[ \t]*(?:(?:import|export)\b([^;'"]*?)\bfrom\s*|import\s*)['"](\.[^'"]+)['"]` +
    String.raw`|\b(?:import|require)\(\s*['"](\.[^'"]+)['"]`,
  'gm',
);

// Reads the languages whose statements name the imported file.
function readOthers() {
  for (const file of files('sol', 'mjs', 'js', 'ts')) {
    for (const [, clause, named, loaded] of fs.readFileSync(file, 'utf8').matchAll(STATEMENT)) {
      const target = path.join(path.dirname(file), named ?? loaded);
      const places = [target, target.replace(/js$/, 'ts'), `${target}.ts`, path.join(target, 'index.ts')];
      const found = places.find((place) => fs.statSync(place, { throwIfNoEntry: false })?.isFile());
      if (!found || found === file) continue;
      const names = clause?.replace(/[{}*]|\btype\b|\bas\s+\w+/g, ' ').split(/[\s,]+/).filter(Boolean) ?? [];
      (names.length ? names : ['*']).forEach((name) => add(file, found, name));
    }
  }
}

// The sets of files that import each other, directly or through others: Tarjan's strongly connected components.
function circles() {
  const found = [];
  const stack = [];
  const number = new Map();
  const low = new Map();
  function visit(file) {
    number.set(file, number.size);
    low.set(file, number.get(file));
    stack.push(file);
    for (const next of imports.get(file)?.keys() ?? []) {
      if (!number.has(next)) visit(next);
      if (stack.includes(next)) low.set(file, Math.min(low.get(file), low.get(next)));
    }
    if (low.get(file) !== number.get(file)) return;
    const circle = stack.splice(stack.indexOf(file));
    if (circle.length > 1) found.push(circle.sort());
  }
  for (const file of [...imports.keys()].sort()) if (!number.has(file)) visit(file);
  return found;
}

const unread = readRust();
readOthers();
const found = circles();
for (const [index, circle] of found.entries()) {
  console.log(`circle ${index + 1}: ${circle.length} files`);
  for (const from of circle) {
    for (const [to, names] of imports.get(from)) {
      if (circle.includes(to)) console.log(`  ${from} -> ${to}: ${[...names].sort().join(', ')}`);
    }
  }
}
for (const file of unread) console.log(`${file}: no target of a package contains this file`);
const ties = [...imports.values()].reduce((sum, to) => sum + to.size, 0);
console.log(`circles: ${found.length} among ${imports.size} files with ${ties} imports`);
process.exitCode = found.length || unread.length ? 1 : 0;
