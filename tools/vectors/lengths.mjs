// Packed bytes of every length and form around the shortest form of a redemption.
import { addressNamed } from './bytes.mjs';
import { HAS_STREAM, HAS_TO, HAS_TOKEN, RESERVED, widthOf } from './packed.mjs';

const [DEPTH_AT, FORM_AT] = [218, 219];
const to = addressNamed('to');
const cut = (length) => (bytes) => bytes.subarray(0, length);
const zeros = (number) => (bytes) => Buffer.concat([bytes, Buffer.alloc(number)]);

const at = (position, change) => (bytes) => {
  const copy = Buffer.from(bytes);
  copy[position] = change(copy[position]);
  return copy;
};

// As many bytes as the parts before the consent have, one less, one more. A payee needs no consent to its own redemption.
const around = (make, name, fields) => [
  make(`${name}, to the last byte`, 'Payable', fields),
  make(`${name}, a byte less`, 'Malformed', { ...fields, change: (bytes) => bytes.subarray(0, -1) }),
  make(`${name}, a byte more`, 'Payable', { ...fields, afterConsent: Buffer.from([7]) }),
];

/** `makeOne`, `makeSeven` and `makeToken` make redemptions of a proof without levels, with levels, and in a token. */
export function lengthCases(makeOne, makeSeven, makeToken, { one, seven, inToken }) {
  const plain = { spent: one.deposit.amount };
  const { spent } = seven;
  const stream = { ...plain, anchor: seven.stream.anchor, step: 1n };
  return [
    ...around(makeOne, 'no part but the fixed', plain),
    ...around(makeOne, 'to', { ...plain, to }),
    ...around(makeOne, 'a stream', stream),
    ...around(makeOne, 'to and a stream', { ...stream, to }),
    ...around(makeSeven, 'levels', { spent }),
    ...around(makeSeven, 'levels and to', { spent, to }),
    ...around(makeSeven, 'levels and a stream', seven.shown(9)),
    ...around(makeToken, 'a token', { spent: inToken.spent }),
    ...around(makeToken, 'a token and to', { spent: inToken.spent, to }),
    ...around(makeToken, 'a token and a stream', inToken.shown(9)),
    ...around(makeToken, 'every part', { ...inToken.shown(9), to }),

    ...[0, 1, 79, 152, 217, 218, 219].map((length) => makeOne(`${length} bytes`, 'Malformed', { ...plain, change: cut(length) })),
    makeOne('bit 7 of form', 'Malformed', { ...plain, change: at(FORM_AT, (form) => form | RESERVED) }),
    makeOne('every bit of form and bytes for each', 'Malformed', { ...plain, change: (bytes) => zeros(200)(at(FORM_AT, () => 255)(bytes)) }),
    makeOne('every bit of form but the last', 'Payable', { ...plain, form: { width: 16, parts: HAS_TO | HAS_STREAM | HAS_TOKEN } }),
    makeOne('a token of zeros', 'Payable', { ...plain, form: { parts: HAS_TOKEN } }),
    makeOne('a recipient of zeros', 'Payable', { ...plain, form: { parts: HAS_TO } }),
    makeOne('a stream of zeros', 'Payable', { ...plain, form: { parts: HAS_STREAM } }),
    makeOne('a token and no bytes of it', 'Malformed', { ...plain, change: at(FORM_AT, (form) => form | HAS_TOKEN) }),
    makeOne('the sums of no level in 16 bytes', 'Payable', { ...plain, form: { width: 16 } }),
    makeOne('a level and no bytes of it', 'Malformed', { ...plain, change: at(DEPTH_AT, () => 1) }),
    makeOne('a level of 32 bytes', 'Malformed', { ...plain, change: (bytes) => zeros(32)(at(DEPTH_AT, () => 1)(bytes)) }),
    makeOne('a level of zeros', 'NotOpen', { ...plain, change: (bytes) => zeros(33)(at(DEPTH_AT, () => 1)(bytes)) }),
    makeOne('40 levels of zeros', 'NotOpen', { ...plain, change: (bytes) => zeros(40 * 33)(at(DEPTH_AT, () => 40)(bytes)) }),
    makeOne('41 levels of zeros', 'BadProof', { ...plain, change: (bytes) => zeros(41 * 33)(at(DEPTH_AT, () => 41)(bytes)) }),
    makeOne('255 levels of zeros, a byte less', 'Malformed', { ...plain, change: (bytes) => zeros(255 * 33 - 1)(at(DEPTH_AT, () => 255)(bytes)) }),
    makeOne('255 levels of zeros', 'BadProof', { ...plain, change: (bytes) => zeros(255 * 33)(at(DEPTH_AT, () => 255)(bytes)) }),

    makeSeven('sums in 16 bytes', 'Payable', { spent, form: { width: 16 } }),
    makeSeven('sums in a byte more', 'Payable', { spent, form: { width: widthOf(seven.siblings) + 1 } }),
    makeSeven('sums announced a byte longer', 'Malformed', { spent, change: at(FORM_AT, (form) => form + 1) }),
    makeSeven('sums announced a byte shorter', 'NotOpen', { spent, change: at(FORM_AT, (form) => form - 1) }),
    makeSeven('a level more than sent', 'Malformed', { spent, change: at(DEPTH_AT, (depth) => depth + 1) }),
  ];
}
