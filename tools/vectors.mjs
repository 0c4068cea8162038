#!/usr/bin/env node
// The test vectors that forge and cargo share: contracts/test/vectors/*.json.
//
//   node tools/vectors.mjs            write them, and the blocks of the example in SPEC.md; `cast` signs every message
//                                     too, and both signatures must agree
//   node tools/vectors.mjs --check    recompute all of it without `cast`, and fail on any difference
//
// A third implementation, from the text of SPEC.md: BigInt arithmetic, plain RLP, textbook secp256k1. It shares no
// code with the contract or the library, so a mistake in one of the three shows as a difference. Of others are the curve
// BLS12-381 (@noble/curves) and quicknet.json, which has rounds as a relay of drand gave them.
import fs from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { hex } from './vectors/bytes.mjs';
import { payouts, rolls, streams } from './vectors/draws.mjs';
import { digest } from './vectors/eip712.mjs';
import { exampleBlocks } from './vectors/example.mjs';
import { ids, signatures } from './vectors/ids.mjs';
import { castSign } from './vectors/outside.mjs';
import { redemptions } from './vectors/redemptions.mjs';
import { recover, sign as signOurselves } from './vectors/secp256k1.mjs';
import { quicknet, seeds } from './vectors/seeds.mjs';
import { trees } from './vectors/trees.mjs';
import { wire } from './vectors/wire.mjs';

const folder = fileURLToPath(new URL('../contracts/test/vectors/', import.meta.url));
const { values: options } = parseArgs({ options: { check: { type: 'boolean' } } });

// Nonces are deterministic (RFC 6979), so all correct signers make the same signature.
const signed = new Map();
function sign(bank, type, message, { key, address }) {
  const hash = digest(bank, type, message);
  const index = hex(hash) + hex(key);
  if (!signed.has(index)) {
    const signature = signOurselves(hash, key);
    if (!recover(hash, signature)?.equals(address)) throw new Error(`our signature of a ${type} does not verify`);
    if (!options.check && !castSign(bank, type, message, key, address).equals(signature)) {
      throw new Error(`cast signs a ${type} differently`);
    }
    signed.set(index, signature);
  }
  return signed.get(index);
}

// Integers become decimal strings: JSON numbers lose precision beyond 2^53.
function plain(value) {
  if (typeof value === 'bigint') return String(value);
  if (Buffer.isBuffer(value)) return hex(value);
  if (Array.isArray(value)) return value.map(plain);
  if (value && typeof value === 'object') return Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)]));
  return value;
}

// A value that fits a line stands on one line, so that a change shows as few lines.
function layout(value, indent = '') {
  const line = JSON.stringify(value, null, 1).replace(/\n */g, ' ');
  if (typeof value !== 'object' || line.length + indent.length <= 120) return line;
  const inner = `${indent}  `;
  const entries = Array.isArray(value)
    ? value.map((item) => inner + layout(item, inner))
    : Object.entries(value).map(([key, item]) => `${inner}${JSON.stringify(key)}: ${layout(item, inner)}`);
  const [open, close] = Array.isArray(value) ? '[]' : '{}';
  return `${open}\n${entries.join(',\n')}\n${indent}${close}`;
}

const real = quicknet(JSON.parse(fs.readFileSync(`${folder}quicknet.json`, 'utf8')));
const files = {
  ids: ids(),
  signatures: signatures(sign),
  trees: trees(),
  streams: streams(),
  seeds: seeds(real),
  rolls: rolls(),
  payouts: payouts(),
  redemptions: redemptions(sign, real),
  wire: wire(sign),
};

// The blocks of section 15 in place of those that stand there. The prose between them is left alone.
function withExample(specification, blocks) {
  const [start, end] = [specification.indexOf('## 15 Example\n'), specification.indexOf('## 16 ')];
  const section = specification.slice(start, end);
  const rest = [...blocks];
  const filled = section.replace(/```text\n(?:.*\n)*?```|(?:^\|.*\n)+/gm, () => rest.shift());
  if (start < 0 || end < start || rest.length > 0 || filled.includes('undefined')) throw new Error('section 15 has other blocks');
  return specification.slice(0, start) + filled + specification.slice(end);
}

const specification = fileURLToPath(new URL('../SPEC.md', import.meta.url));
const texts = Object.entries(files).map(([name, content]) => [`${folder}${name}.json`, `${layout(plain(content))}\n`]);
texts.push([specification, withExample(fs.readFileSync(specification, 'utf8'), exampleBlocks(sign, real))]);

for (const [file, text] of texts) {
  if (!options.check) {
    fs.writeFileSync(file, text);
  } else if (!fs.existsSync(file) || fs.readFileSync(file, 'utf8') !== text) {
    process.exitCode = 1;
    process.stderr.write(`${path.relative('.', file)} is stale; run node tools/vectors.mjs\n`);
  }
}
