// node tools/bytecode.js ARTIFACT [--check]
//
// Copies the creation bytecode of a forge artifact into the file that the Rust bindings embed, or with --check fails
// if that file is not what the sources compile to. The file is one line: 0x and the hex digits.
'use strict';

const fs = require('node:fs');
const path = require('node:path');

const TARGET = path.join(__dirname, '..', 'bindings', 'bytecode', 'DrandBank.hex');
const RUNTIME_LIMIT = 24576; // EIP-170

function fail(message) {
  process.stderr.write(`bytecode: ${message}\n`);
  process.exit(1);
}

function read(file, hint) {
  try {
    return fs.readFileSync(file, 'utf8');
  } catch (error) {
    return fail(`${error.message}; ${hint}`);
  }
}

const [artifact, mode] = process.argv.slice(2);
if (!artifact || (mode && mode !== '--check')) fail('usage: node tools/bytecode.js ARTIFACT [--check]');

const { bytecode, deployedBytecode } = JSON.parse(read(artifact, 'did forge build it?'));
if (!/^0x([0-9a-f]{2})+$/.test(bytecode.object)) fail(`${artifact} holds no linked bytecode`);
const bytes = deployedBytecode.object.length / 2 - 1;
if (bytes > RUNTIME_LIMIT) fail(`the deployed code has ${bytes} bytes, ${RUNTIME_LIMIT} are allowed (EIP-170)`);

const line = `${bytecode.object}\n`;
if (mode === '--check') {
  const committed = read(TARGET, 'run `make bytecode`');
  if (committed !== line) fail('bindings/bytecode is not what contracts/src compiles to; run `make bytecode` and commit it');
} else {
  fs.mkdirSync(path.dirname(TARGET), { recursive: true });
  fs.writeFileSync(TARGET, line);
}
process.stderr.write(`bytecode: ${bytes} bytes of runtime code, ${RUNTIME_LIMIT - bytes} below the limit\n`);
