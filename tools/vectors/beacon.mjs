// The beacon of SPEC.md, section 6: rounds, messages, signatures in G1, and the seeds that they prove. The arithmetic of
// the curve is a library's (@noble/curves); encodings and checks are written here.
import { createHash } from 'node:crypto';
import { bls12_381 } from '@noble/curves/bls12-381.js';
import { toInt, uint } from './bytes.mjs';

const { G1, G2, fields, pairingBatch } = bls12_381;
export const P = fields.Fp.ORDER;
export const GROUP_ORDER = fields.Fr.ORDER;
export const TAG = 'BLS_SIG_BLS12381G1_XMD:SHA-256_SSWU_RO_NUL_';
const FIELD = 48;

export const sha256 = (bytes) => createHash('sha256').update(bytes).digest();

/* ROUNDS */

/** The round of a time, or why there is none: `before_genesis` or `off_schedule`. */
export function roundAt({ genesis, period }, time) {
  if (time < genesis) return { refusal: 'before_genesis' };
  if ((time - genesis) % period !== 0n) return { refusal: 'off_schedule' };
  return { round: (time - genesis) / period + 1n };
}

export const timeOf = ({ genesis, period }, round) => genesis + (round - 1n) * period;

export const message = (round) => sha256(uint(round, 8));

/** A message as a point of G1, by RFC 9380. */
export const hashToG1 = (bytes, tag = TAG) => G1.hashToCurve(bytes, { DST: tag });

/* ENCODINGS */

// True for the larger one of y and p - y.
const isLarger = (y) => y > (P - 1n) / 2n;

/** x then y, 48 bytes each: the proof of a seed. */
export function uncompressed(point) {
  const { x, y } = point.toAffine();
  return Buffer.concat([uint(x, FIELD), uint(y, FIELD)]);
}

/** The point of a proof. Does not check that it is on the curve. */
export const pointOf = (proof) => G1.Point.fromAffine({ x: toInt(proof.subarray(0, FIELD)), y: toInt(proof.subarray(FIELD)) });

/** x in 48 bytes whose first three bits say: compressed, not the identity, the sign of y. */
export const compressXY = (x, y) => uint(x + (isLarger(y) ? 5n << 381n : 4n << 381n), FIELD);

export function compressed(point) {
  const { x, y } = point.toAffine();
  return compressXY(x, y);
}

/** A public key: x.c0, x.c1, y.c0, y.c1, 48 bytes each. */
export function uncompressedKey(point) {
  const { x, y } = point.toAffine();
  return Buffer.concat([x.c0, x.c1, y.c0, y.c1].map((part) => uint(part, FIELD)));
}

/** A public key compressed: x.c1 with the three bits, then x.c0. */
export function compressedKey(point) {
  const { x, y } = point.toAffine();
  const larger = isLarger(y.c1 === 0n ? y.c0 : y.c1);
  return Buffer.concat([uint(x.c1 + (larger ? 5n << 381n : 4n << 381n), FIELD), uint(x.c0, FIELD)]);
}

const keys = new Map();

/** The point of a public key. Throws unless it is one of the subgroup. */
export function keyPoint(bytes) {
  const index = bytes.toString('hex');
  if (!keys.has(index)) keys.set(index, readKey(bytes));
  return keys.get(index);
}

function readKey(bytes) {
  const [a, b, c, d] = [0, 1, 2, 3].map((i) => toInt(bytes.subarray(i * FIELD, (i + 1) * FIELD)));
  const point = G2.Point.fromAffine({ x: fields.Fp2.fromBigTuple([a, b]), y: fields.Fp2.fromBigTuple([c, d]) });
  point.assertValidity();
  return point;
}

/** y with y^2 = x^3 + 4, the smaller one, or null if there is none. */
export function yOf(x) {
  const square = (x * x * x + 4n) % P;
  let [y, base] = [1n, square];
  for (let exponent = (P + 1n) / 4n; exponent > 0n; exponent >>= 1n, base = (base * base) % P) {
    if (exponent & 1n) y = (y * base) % P;
  }
  if ((y * y) % P !== square) return null;
  return isLarger(y) ? P - y : y;
}

/* SIGNATURES */

export const publicKeyOf = (secret) => G2.Point.BASE.multiply(toInt(secret));

export const sign = (secret, bytes, tag = TAG) => hashToG1(bytes, tag).multiply(toInt(secret));

// Why a point of the curve is not the beacon's signature of a round, or null if it is.
function refusalOfPoint(beacon, round, x, y) {
  if (x >= P || y >= P) return 'not_canonical';
  if (x === 0n && y === 0n) return 'identity';
  if ((y * y - x * x * x - 4n) % P !== 0n) return 'off_curve';
  const point = G1.Point.fromAffine({ x, y });
  if (!point.isTorsionFree()) return 'outside_subgroup';
  const product = pairingBatch([
    { g1: point, g2: G2.Point.BASE.negate() },
    { g1: hashToG1(message(round)), g2: keyPoint(beacon.publicKey) },
  ]);
  return fields.Fp12.eql(product, fields.Fp12.ONE) ? null : 'wrong_signature';
}

/** Why bytes are not the proof of a round, or null if they are. */
export function refusalOfProof(beacon, round, proof) {
  if (proof.length !== 2 * FIELD) return 'length';
  return refusalOfPoint(beacon, round, toInt(proof.subarray(0, FIELD)), toInt(proof.subarray(FIELD)));
}

/** Why bytes are not the compressed signature of a round, or null if they are. */
export function refusalOfSignature(beacon, round, signature) {
  if (signature.length !== FIELD) return 'length';
  const flags = signature[0] >> 5;
  if (!(flags & 4)) return 'not_compressed';
  if (flags & 2) return 'identity';
  const x = toInt(signature) & ((1n << 381n) - 1n);
  if (x >= P) return 'not_canonical';
  const y = yOf(x);
  if (y === null) return 'off_curve';
  return refusalOfPoint(beacon, round, x, flags & 1 ? P - y : y);
}

/** The seed that a valid proof shows: SHA-256 of the compressed signature. */
export const seedOf = (proof) => sha256(compressXY(toInt(proof.subarray(0, FIELD)), toInt(proof.subarray(FIELD))));
