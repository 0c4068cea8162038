// Values from outside this generator: signatures by `cast wallet sign`.
import { execFileSync } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
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
