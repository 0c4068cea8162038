// What is no proof, and no compressed signature, of a round: each with the reason.
import { bls12_381 } from '@noble/curves/bls12-381.js';
import {
  P, compressXY, hashToG1, message, pointOf, refusalOfProof, refusalOfSignature, sha256, sign, timeOf, yOf,
} from './beacon.mjs';
import { uint } from './bytes.mjs';

const { Point } = bls12_381.G1;
const bytesOf = ({ x, y }) => Buffer.concat([uint(x, 48), uint(y, 48)]);
const longer = (bytes) => Buffer.concat([bytes, Buffer.alloc(1)]);

function flipped(bytes, bit) {
  const copy = Buffer.from(bytes);
  copy[copy.length - 1 - Math.floor(bit / 8)] ^= 1 << bit % 8;
  return copy;
}

// The first coordinate from x on that a point has, or that none has.
function from(x, isOfPoint) {
  while ((yOf(x) !== null) !== isOfPoint) x += 1n;
  return x;
}

// [name, reason, point, round]: points with the coordinates that a proof and a compressed signature share.
function points({ rounds }, own) {
  const [real, next] = rounds;
  const point = pointOf(real.proof);
  const { x, y } = point.toAffine();
  const third = Point.fromAffine({ x: 0n, y: 2n });
  const outside = from(x + 1n, true);
  const [quicknet, ofOwn] = [{ index: 0, round: real.round }, { index: 1, round: 1800000000n }];
  const byOwn = (bytes, tag) => sign(own.secret, bytes, tag).toAffine();
  // Signatures with y of either sign.
  const mirrored = rounds.map((signed) => {
    const negative = pointOf(signed.proof).negate().toAffine();
    return [`p - y of round ${signed.round}`, 'wrong_signature', negative, { index: 0, round: signed.round }];
  });
  const number = uint(ofOwn.round, 8);
  return [
    ...mirrored,
    ['the next point of the curve', 'outside_subgroup', { x: outside, y: yOf(outside) }, quicknet],
    ['a point of order 3', 'outside_subgroup', third.toAffine(), quicknet],
    // A pairing alone accepts these: the group's order and that of the added point have no common factor.
    ['the signature plus a point of order 3', 'outside_subgroup', point.add(third).toAffine(), quicknet],
    ['the signature minus a point of order 3', 'outside_subgroup', point.subtract(third).toAffine(), quicknet],
    ['the signature of the next round', 'wrong_signature', pointOf(next.proof).toAffine(), quicknet],
    ['the signature of the round before', 'wrong_signature', point.toAffine(), { index: 0, round: next.round }],
    ['the signature twice', 'wrong_signature', point.double().toAffine(), quicknet],
    ['the generator', 'wrong_signature', Point.BASE.toAffine(), quicknet],
    ['the hash of the message', 'wrong_signature', hashToG1(message(real.round)).toAffine(), quicknet],
    ['the signature by another key', 'wrong_signature', byOwn(message(real.round)), quicknet],
    ['the signature by quicknet', 'wrong_signature', { x, y }, { index: 1, round: real.round }],
    ['the signature of our round before', 'wrong_signature', byOwn(message(ofOwn.round - 1n)), ofOwn],
    ['the round in little-endian order', 'wrong_signature', byOwn(sha256(Buffer.from(number).reverse())), ofOwn],
    ['the round without SHA-256', 'wrong_signature', byOwn(number), ofOwn],
    ['the tag of another scheme', 'wrong_signature', byOwn(message(ofOwn.round), 'BLS_SIG_BLS12381G2_XMD:SHA-256_SSWU_RO_NUL_'), ofOwn],
  ];
}

export function refusedProofs(quicknet, own) {
  const [real] = quicknet.rounds;
  const { x, y } = pointOf(real.proof).toAffine();
  const list = [
    ...points(quicknet, own).map(([name, reason, point, at]) => [name, reason, bytesOf(point), at]),
    ['x + p', 'not_canonical', bytesOf({ x: x + P, y })],
    ['y + p', 'not_canonical', bytesOf({ x, y: y + P })],
    ['x of p', 'not_canonical', bytesOf({ x: P, y: yOf(0n) })],
    ['all ones', 'not_canonical', Buffer.alloc(96, 0xff)],
    ['the identity', 'identity', Buffer.alloc(96)],
    ['the identity with its flag', 'not_canonical', Buffer.concat([Buffer.from([0x40]), Buffer.alloc(95)])],
    ['x with the flag of compression', 'not_canonical', flipped(real.proof, 767)],
    ['y + 1', 'off_curve', bytesOf({ x, y: y + 1n })],
    ['y before x', 'off_curve', bytesOf({ x: y, y: x })],
    ...[0, 200, 380, 384, 600, 764].map((bit) => [`bit ${bit} flipped`, 'off_curve', flipped(real.proof, bit)]),
    ['95 bytes, the first missing', 'length', real.proof.subarray(1)],
    ['95 bytes, the last missing', 'length', real.proof.subarray(0, 95)],
    ['97 bytes, a zero before', 'length', Buffer.concat([Buffer.alloc(1), real.proof])],
    ['97 bytes, a zero behind', 'length', longer(real.proof)],
    ['nothing', 'length', Buffer.alloc(0)],
    ['x alone', 'length', real.proof.subarray(0, 48)],
    ['the compressed signature', 'length', real.signature],
    ['the form of EIP-2537', 'length', Buffer.concat([uint(x, 64), uint(y, 64)])],
    ['the proof twice', 'length', Buffer.concat([real.proof, real.proof])],
  ];
  return list.map((entry) => judged(quicknet, own, 'proof', refusalOfProof, entry));
}

export function refusedSignatures(quicknet, own) {
  const [real] = quicknet.rounds;
  const { x } = pointOf(real.proof).toAffine();
  const identity = (first) => Buffer.concat([Buffer.from([first]), Buffer.alloc(47)]);
  // x + p fits beside the flags only if x is small.
  const small = (() => {
    for (let round = 1800000000n; ; round += 300n) {
      const point = sign(own.secret, message(round)).toAffine();
      if (point.x + P < 1n << 381n) return { round, ...point };
    }
  })();
  const list = [
    ...points(quicknet, own).map(([name, reason, point, at]) => [name, reason, compressXY(point.x, point.y), at]),
    ['x + p', 'not_canonical', compressXY(small.x + P, small.y), { index: 1, round: small.round }],
    ['x of p', 'not_canonical', compressXY(P, yOf(0n))],
    ['the largest x', 'not_canonical', compressXY((1n << 381n) - 1n, 0n)],
    ['the identity', 'identity', identity(0xc0)],
    ['the identity with a sign', 'identity', identity(0xe0)],
    ['a signature with the flag of the identity', 'identity', flipped(real.signature, 382)],
    ['a signature without the flag of compression', 'not_compressed', flipped(real.signature, 383)],
    ['48 zeros', 'not_compressed', Buffer.alloc(48)],
    ['the next x of no point', 'off_curve', compressXY(from(x + 1n, false), 0n)],
    ['47 bytes', 'length', real.signature.subarray(0, 47)],
    ['49 bytes', 'length', longer(real.signature)],
    ['nothing', 'length', Buffer.alloc(0)],
    ['the proof', 'length', real.proof],
  ];
  return list.map((entry) => judged(quicknet, own, 'signature', refusalOfSignature, entry));
}

function judged({ beacon, rounds }, own, key, refusal, [name, reason, bytes, { index, round } = { index: 0, round: rounds[0].round }]) {
  const beacons = [beacon, own];
  const found = refusal(beacons[index], round, bytes);
  if (found !== reason) throw new Error(`${name}: ${found} instead of ${reason}`);
  return { name, beacon: BigInt(index), drawTime: timeOf(beacons[index], round), reason, [key]: bytes };
}
