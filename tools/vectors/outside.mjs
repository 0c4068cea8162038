// Values from outside this generator: signatures by `cast wallet sign`, headers of a running anvil.
import { execFile, execFileSync, spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { checksummed, hex, unhex } from './bytes.mjs';
import { TYPES } from './eip712.mjs';

const bin = fileURLToPath(new URL('../../node_modules/.bin/', import.meta.url));
const cast = (...args) => execFileSync(path.join(bin, 'cast'), args, { encoding: 'utf8' }).trim();

const plain = (type, value) => (type === 'address' ? checksummed(value) : Buffer.isBuffer(value) ? hex(value) : String(value));

/** The signature by `cast` of a struct as EIP-712 JSON, verified by `cast`. */
export function castSign({ chainId, bank }, name, message, key, signer) {
  const fields = (type) => TYPES[type].map(([fieldType, field]) => ({ type: fieldType, name: field }));
  const typed = JSON.stringify({
    types: { EIP712Domain: fields('EIP712Domain'), [name]: fields(name) },
    primaryType: name,
    domain: { name: 'ChequeBank', version: '1', chainId: String(chainId), verifyingContract: checksummed(bank) },
    message: Object.fromEntries(TYPES[name].map(([type, field]) => [field, plain(type, message[field])])),
  });
  const signature = cast('wallet', 'sign', '--data', typed, '--private-key', hex(key));
  cast('wallet', 'verify', '--address', checksummed(signer), '--data', typed, signature);
  return unhex(signature);
}

/** The raw header of block `number` of a fresh chain, with the node's hash and mixHash. */
export async function anvilHeader(hardfork, number) {
  const node = spawn(path.join(bin, 'anvil'), ['--hardfork', hardfork, '--port', '0'], { stdio: ['ignore', 'pipe', 'inherit'] });
  try {
    const rpc = await new Promise((resolve, reject) => {
      let output = '';
      node.on('error', reject);
      node.on('exit', () => reject(new Error('anvil ended')));
      node.stdout.on('data', (chunk) => {
        output += chunk;
        const listening = /Listening on ([0-9.:]+)/.exec(output);
        if (listening) resolve(['--rpc-url', `http://${listening[1]}`]);
      });
    });
    // Not synchronously: anvil prints every block, and blocks if its output is not read.
    const ask = async (...args) => (await promisify(execFile)(path.join(bin, 'cast'), [...args, ...rpc])).stdout.trim();
    await ask('rpc', 'anvil_mine', `0x${number.toString(16)}`);
    const [hash, mixHash] = [await ask('block', String(number), '-f', 'hash'), await ask('block', String(number), '-f', 'mixHash')];
    return { hash, mixHash, header: await ask('block', String(number), '--raw') };
  } finally {
    node.kill();
  }
}
