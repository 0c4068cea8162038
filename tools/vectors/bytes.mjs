// Bytes, integers and keccak256. Byte strings are Buffers, integers BigInts.
import { createRequire } from 'node:module';

// js-sha3 comes with the pinned compiler; it shares no code with Solady, alloy or the sha3 crate.
const require = createRequire(import.meta.url);
const sha3 = createRequire(require.resolve('solc/package.json'))('js-sha3');

export const keccak = (...parts) => Buffer.from(sha3.keccak256.arrayBuffer(Buffer.concat(parts)));

export const hex = (bytes) => `0x${bytes.toString('hex')}`;

export function unhex(text) {
  if (!/^0x([0-9a-f]{2})*$/i.test(text)) throw new Error(`not hex: ${text}`);
  return Buffer.from(text.slice(2), 'hex');
}

export const utf8 = (text) => Buffer.from(text, 'utf8');

/** `value` in exactly `length` big-endian bytes. */
export function uint(value, length) {
  const digits = BigInt(value).toString(16).padStart(2 * length, '0');
  if (BigInt(value) < 0n || digits.length !== 2 * length) throw new Error(`${value} does not fit ${length} bytes`);
  return Buffer.from(digits, 'hex');
}

export const toInt = (bytes) => (bytes.length === 0 ? 0n : BigInt(hex(bytes)));

/** An unsigned integer in as few bytes as possible: none for zero. */
export function minimal(value) {
  const digits = BigInt(value).toString(16);
  return BigInt(value) === 0n ? Buffer.alloc(0) : Buffer.from(digits.padStart(digits.length + (digits.length % 2), '0'), 'hex');
}

export const base64url = (bytes) => bytes.toString('base64url');

export const MAX_U128 = (1n << 128n) - 1n;
export const MAX_U64 = (1n << 64n) - 1n;

/** 32 bytes that depend only on a name: keys, salts and other values that a wallet draws at random. */
export const named = (name) => keccak(utf8(`cheque vectors: ${name}`));

export const addressNamed = (name) => named(name).subarray(12);

/** EIP-55: the letters of an address, in the case given by the hash of the address. */
export function checksummed(address) {
  const plain = address.toString('hex');
  const hash = keccak(utf8(plain)).toString('hex');
  return `0x${[...plain].map((c, i) => (hash[i] >= '8' ? c.toUpperCase() : c)).join('')}`;
}
