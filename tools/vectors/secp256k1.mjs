// Textbook secp256k1: slow and not constant in time, so for published test keys only.
import { createHmac } from 'node:crypto';
import { keccak, toInt, uint } from './bytes.mjs';

const P = 2n ** 256n - 2n ** 32n - 977n;
export const N = 0xfffffffffffffffffffffffffffffffebaaedce6af48a03bbfd25e8cd0364141n;
const G = [
  0x79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798n,
  0x483ada7726a3c4655da4fbfc0e1108a8fd17b448a68554199c47d08ffb10d4b8n,
];

const mod = (a, m) => ((a % m) + m) % m;

function power(base, exponent, m) {
  let result = 1n;
  for (base = mod(base, m); exponent > 0n; exponent >>= 1n, base = (base * base) % m) {
    if (exponent & 1n) result = (result * base) % m;
  }
  return result;
}

/** 1 / a modulo m, by Euclid. */
function inverse(a, m) {
  let [r, next, x, nextX] = [m, mod(a, m), 0n, 1n];
  while (next !== 0n) {
    const quotient = r / next;
    [r, next, x, nextX] = [next, r - quotient * next, nextX, x - quotient * nextX];
  }
  return mod(x, m);
}

// The point at infinity is null.
function add(a, b) {
  if (!a || !b) return a ?? b;
  const same = a[0] === b[0];
  if (same && mod(a[1] + b[1], P) === 0n) return null;
  const slope = same ? 3n * a[0] * a[0] * inverse(2n * a[1], P) : (b[1] - a[1]) * inverse(b[0] - a[0], P);
  const x = mod(slope * slope - a[0] - b[0], P);
  return [x, mod(slope * (a[0] - x) - a[1], P)];
}

function multiply(point, scalar) {
  let result = null;
  for (; scalar > 0n; scalar >>= 1n, point = add(point, point)) {
    if (scalar & 1n) result = add(result, point);
  }
  return result;
}

const addressOfPoint = ([x, y]) => keccak(uint(x, 32), uint(y, 32)).subarray(12);

export const addressOf = (key) => addressOfPoint(multiply(G, toInt(key)));

/** r, s, v of a digest, with the nonce of RFC 6979 and the lower s: the same for all careful signers. */
export function sign(digest, key) {
  const hmac = (k, ...parts) => createHmac('sha256', k).update(Buffer.concat(parts)).digest();
  const z = mod(toInt(digest), N);
  const seed = Buffer.concat([key, uint(z, 32)]);
  let v = Buffer.alloc(32, 1);
  let k = Buffer.alloc(32, 0);
  for (const tag of [0, 1]) {
    k = hmac(k, v, Buffer.from([tag]), seed);
    v = hmac(k, v);
  }
  v = hmac(k, v);
  const nonce = toInt(v);
  if (nonce === 0n || nonce >= N) throw new Error('one digest in 2^128 needs a second nonce; choose another');
  const [x, y] = multiply(G, nonce);
  const s = mod(inverse(nonce, N) * (z + x * toInt(key)), N);
  const high = s > N / 2n;
  return Buffer.concat([uint(x, 32), uint(high ? N - s : s, 32), Buffer.from([27 + Number((y & 1n) ^ (high ? 1n : 0n))])]);
}

/** The address whose key made a canonical 65-byte signature (low s, v 27 or 28), or null. */
export function recover(digest, signature) {
  if (signature.length !== 65) return null;
  const [r, s, v] = [toInt(signature.subarray(0, 32)), toInt(signature.subarray(32, 64)), signature[64]];
  if ((v !== 27 && v !== 28) || r === 0n || r >= N || s === 0n || s > N / 2n) return null;
  const square = mod(r * r * r + 7n, P);
  let y = power(square, (P + 1n) / 4n, P);
  if (mod(y * y, P) !== square) return null;
  if (Number(y & 1n) !== v - 27) y = P - y;
  const w = inverse(r, N);
  const key = add(multiply(G, mod(-toInt(digest) * w, N)), multiply([r, y], mod(s * w, N)));
  return key && addressOfPoint(key);
}
