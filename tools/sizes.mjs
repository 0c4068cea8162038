#!/usr/bin/env node
// node tools/sizes.mjs: fails if a source or test file has more than 400 lines.
import fs from 'node:fs';
import { files } from './source.mjs';

const MAX_LINES = 400;

const sources = files('rs', 'sol', 'ts', 'mjs', 'js');
const lines = (file) => fs.readFileSync(file, 'utf8').replace(/\n$/, '').split('\n').length;
const long = sources.map((file) => [lines(file), file]).filter(([count]) => count > MAX_LINES);
for (const [count, file] of long.sort(([a], [b]) => b - a)) {
  console.log(`${file}: ${count} lines, at most ${MAX_LINES}; split it by meaning`);
}
console.log(`sizes: ${long.length} of ${sources.length} files are too long`);
process.exitCode = long.length ? 1 : 0;
