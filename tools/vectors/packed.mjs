// Packed redemptions: SPEC.md, section 10.
import { toInt, uint } from './bytes.mjs';
import { ZERO_ADDRESS, ZERO_WORD } from './scene.mjs';

const LEAST = 220;
export const [HAS_TOKEN, HAS_TO, HAS_STREAM, RESERVED] = [16, 32, 64, 128];

const sumsOf = (siblings) => siblings.map(({ sum }) => sum);

/** The least number of bytes that every sum fits, at least 1. */
export const widthOf = (siblings) => Math.max(1, ...sumsOf(siblings).map((sum) => Math.ceil(sum.toString(16).length / 2)));

/** Packs a redemption of deposit `d`. Without `form`, in the shortest form. */
export function packed(d, r, given = {}) {
  const width = given.width ?? widthOf(r.siblings);
  const stream = Buffer.concat([r.anchor, uint(r.step, 16), uint(r.k, 2), r.x]);
  const isUsed = (bytes) => bytes.some((byte) => byte !== 0);
  const parts = [[HAS_TOKEN, d.token], [HAS_TO, r.to], [HAS_STREAM, stream]].filter(
    ([bit, bytes]) => isUsed(bytes) || (given.parts ?? 0) & bit,
  );
  const form = parts.reduce((bits, [bit]) => bits | bit, width - 1);
  return Buffer.concat([
    d.payer, d.signer, uint(d.lane, 8), uint(d.minPayout, 16), uint(d.drawTime, 8), uint(d.redeemUntil, 8),
    r.payee, uint(r.allowance, 16), r.salt, uint(r.path, 5), uint(r.spent, 16), r.signature,
    uint(r.siblings.length, 1), uint(form, 1),
    ...r.siblings.flatMap(({ hash, sum }) => [hash, uint(sum, width)]),
    ...parts.map(([, bytes]) => bytes),
    r.consent,
  ]);
}

/** Reads packed bytes, or gives null if they are malformed. */
export function unpacked(bytes) {
  if (bytes.length < LEAST) return null;
  let at = 0;
  const take = (length) => bytes.subarray(at, (at += length));
  const number = (length) => toInt(take(length));
  const r = {
    payer: take(20), signer: take(20), lane: number(8), minPayout: number(16), drawTime: number(8), redeemUntil: number(8),
    payee: take(20), allowance: number(16), salt: take(16), path: number(5), spent: number(16), signature: take(65),
  };
  const [depth, form] = [Number(number(1)), Number(number(1))];
  const width = (form & 15) + 1;
  const lengthIf = (bit, length) => (form & bit ? length : 0);
  const parts = depth * (32 + width) + lengthIf(HAS_TOKEN, 20) + lengthIf(HAS_TO, 20) + lengthIf(HAS_STREAM, 82);
  if (form & RESERVED || bytes.length < LEAST + parts) return null;
  r.siblings = Array.from({ length: depth }, () => ({ hash: take(32), sum: number(width) }));
  r.token = form & HAS_TOKEN ? take(20) : ZERO_ADDRESS;
  r.to = form & HAS_TO ? take(20) : ZERO_ADDRESS;
  const stream = form & HAS_STREAM ? [take(32), number(16), number(2), take(32)] : [ZERO_WORD, 0n, 0n, ZERO_WORD];
  [r.anchor, r.step, r.k, r.x] = stream;
  return { ...r, consent: bytes.subarray(at) };
}
