// Byte strings and texts that are no proof of payment, each with the broken rule.
import { base64url, minimal, uint } from './bytes.mjs';
import { Raw, encode } from './rlp.mjs';
import { fieldsOfCheque, fieldsOfOpening, fieldsOfStep, proofBytes } from './proofs.mjs';

const raw = (...parts) => new Raw(Buffer.concat(parts.map((part) => (Buffer.isBuffer(part) ? part : Buffer.from([part])))));

// `fields` with the one at `at` (a list of positions if it is nested) replaced by the result of `change`.
function changed(fields, at, change) {
  const [first, ...rest] = [at].flat();
  return fields.map((field, i) => (i !== first ? field : rest.length ? changed(field, rest, change) : change(field)));
}

export function malformed({ opening, cheque, streamed, step }) {
  const openings = (at, change) => proofBytes(1, changed(fieldsOfOpening(opening), at, change));
  const cheques = (at, change) => proofBytes(2, changed(fieldsOfCheque(cheque), at, change));
  const streams = (at, change) => proofBytes(2, changed(fieldsOfCheque(streamed), at, change));
  const steps = (at, change) => proofBytes(3, changed(fieldsOfStep(step), at, change));
  const as = (value) => () => value;
  const cut = (bytes) => bytes.subarray(1);
  const longer = (bytes) => Buffer.concat([bytes, Buffer.from([1])]);

  const good = proofBytes(2, fieldsOfCheque(cheque));
  const content = good.subarray(3);
  const reheaded = (...head) => Buffer.concat([Buffer.from([2, ...head]), content]);
  const fields = fieldsOfCheque(cheque);

  const list = [
    ['empty', 'nothing', Buffer.alloc(0)],
    ['unknown_type', 'type 0', proofBytes(0, fields)],
    ['unknown_type', 'type 4', proofBytes(4, fields)],
    ['unknown_type', 'type 255', proofBytes(255, fields)],
    ['unknown_type', 'a list without a type', encode(fields)],
    ['trailing_bytes', 'a byte after the proof', Buffer.concat([good, Buffer.alloc(1)])],
    ['trailing_bytes', 'two proofs', Buffer.concat([good, good])],
    ['truncated', 'a type and nothing else', Buffer.from([2])],
    ['truncated', 'a type and a list prefix', good.subarray(0, 2)],
    ['truncated', 'the last byte missing', good.subarray(0, -1)],
    ['truncated', 'a list longer than the proof', reheaded(0xf8, content.length + 1)],
    ['fields', 'a field missing at the end', proofBytes(2, fields.slice(0, -1))],
    ['fields', 'a field too many', proofBytes(2, [...fields, Buffer.alloc(0)])],
    ['fields', 'a cheque as a step', proofBytes(3, fields)],
    ['fields', 'a step as a cheque', proofBytes(2, fieldsOfStep(step))],
    ['fields', 'an empty list', proofBytes(2, [])],
    ['fields', 'a deposit field missing', openings(2, (d) => d.slice(0, -1))],
    ['fields', 'a deposit field too many', openings(2, (d) => [...d, Buffer.alloc(0)])],
    ['fields', 'a sibling without a sum', openings([6, 0], (sibling) => sibling.slice(0, 1))],
    ['fields', 'a sibling with three fields', openings([6, 0], (sibling) => [...sibling, Buffer.alloc(0)])],
    ['kind', 'a string instead of the list', reheaded(0xb8, content.length)],
    ['kind', 'the deposit as a string', openings(2, (d) => encode(d))],
    ['kind', 'the siblings as a string', openings(6, as(Buffer.alloc(0)))],
    ['kind', 'a sibling as a string', openings([6, 0], ([hash]) => hash)],
    ['kind', 'a number as a list', cheques(1, as([]))],
    ['kind', 'a deposit id as a list', cheques(0, (id) => raw(0xc0 + 32, id))],
    ['leading_zero', 'a total with a leading zero', cheques(1, as(Buffer.from([0, 128])))],
    ['leading_zero', 'a total that is a zero byte', cheques(1, as(Buffer.from([0])))],
    ['leading_zero', 'a step size with a leading zero', streams(3, as(Buffer.from([0, 128])))],
    ['leading_zero', 'k with a leading zero', steps(1, as(Buffer.from([0, 128])))],
    ['leading_zero', 'a chain id with a leading zero', openings(0, as(Buffer.from([0, 128])))],
    ['leading_zero', 'a path that is a zero byte', openings(5, as(Buffer.from([0])))],
    ['leading_zero', 'a sum with a leading zero', openings([6, 0, 1], as(Buffer.from([0, 128])))],
    ['non_canonical_byte', 'a small total with a length', cheques(1, as(raw(0x81, 5)))],
    ['non_canonical_byte', 'a lane with a length', openings([2, 3], as(raw(0x81, 1)))],
    ['non_canonical_length', 'a list length with a leading zero', reheaded(0xf9, 0, content.length)],
    ['non_canonical_length', 'a deposit id with a long length', cheques(0, (id) => raw(0xb8, 32, id))],
    ['non_canonical_length', 'a signature length with a leading zero', cheques(4, (s) => raw(0xb9, 0, 65, s))],
    ['wrong_length', 'a deposit id of 31 bytes', cheques(0, cut)],
    ['wrong_length', 'a deposit id of 33 bytes', cheques(0, longer)],
    ['wrong_length', 'a signature of 64 bytes', cheques(4, cut)],
    ['wrong_length', 'a signature of 66 bytes', cheques(4, longer)],
    ['wrong_length', 'no signature', cheques(4, as(Buffer.alloc(0)))],
    ['wrong_length', 'an anchor of 31 bytes', streams(2, cut)],
    ['wrong_length', 'an anchor of 33 bytes', streams(2, longer)],
    ['wrong_length', 'an anchor of one byte', streams(2, as(Buffer.from([1])))],
    ['wrong_length', 'x of 31 bytes', steps(2, cut)],
    ['wrong_length', 'no x', steps(2, as(Buffer.alloc(0)))],
    ['wrong_length', 'a bank of 19 bytes', openings(1, cut)],
    ['wrong_length', 'no token', openings([2, 2], as(Buffer.alloc(0)))],
    ['wrong_length', 'a payee of 32 bytes', openings(7, as(uint(1n, 32)))],
    ['wrong_length', 'a salt of 15 bytes', openings(4, cut)],
    ['wrong_length', 'a root of 33 bytes', openings([2, 8], longer)],
    ['wrong_length', 'a sibling hash of 31 bytes', openings([6, 0, 0], cut)],
    ['zero_anchor', 'an anchor of 32 zero bytes', cheques(2, as(Buffer.alloc(32)))],
    ['zero_anchor', 'an anchor of 32 zero bytes in an opening', openings(9, as(Buffer.alloc(32)))],
    ['too_large', 'a total of 2^128', cheques(1, as(minimal(1n << 128n)))],
    ['too_large', 'a step size of 2^128', streams(3, as(minimal(1n << 128n)))],
    ['too_large', 'an amount of 2^128', openings([2, 4], as(minimal(1n << 128n)))],
    ['too_large', 'a sum of 2^128', openings([6, 0, 1], as(minimal(1n << 128n)))],
    ['too_large', 'a chain id of 2^64', openings(0, as(minimal(1n << 64n)))],
    ['too_large', 'a path of 2^64', openings(5, as(minimal(1n << 64n)))],
    ['too_large', 'a draw time of 2^64', openings([2, 6], as(minimal(1n << 64n)))],
    ['too_large', 'k of 2^64', steps(1, as(minimal(1n << 64n)))],
    ['steps', 'k of 0', steps(1, as(Buffer.alloc(0)))],
    ['steps', 'k of 4097', steps(1, as(minimal(4097n)))],
    ['steps', 'k of 2^32 + 1', steps(1, as(minimal((1n << 32n) + 1n)))],
    ['steps', 'k of 2^64 - 1', steps(1, as(minimal((1n << 64n) - 1n)))],
  ];
  return {
    malformed: list.map(([reason, name, bytes]) => ({ name, reason, hex: bytes })),
    malformedTexts: texts(good, proofBytes(3, fieldsOfStep(step))),
  };
}

function texts(cheque, step) {
  const text = base64url(cheque);
  const padded = (bytes) => bytes.toString('base64').replaceAll('+', '-').replaceAll('/', '_');
  // One of the unused low bits of the last character set.
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const loose = (whole) => whole.slice(0, -1) + alphabet[alphabet.indexOf(whole.at(-1)) | 1];
  const lengths = [cheque, step].map((bytes) => Buffer.concat([bytes, Buffer.alloc((4 - (bytes.length % 3)) % 3)]));
  const standard = text.replaceAll('-', '+').replaceAll('_', '/');
  if (standard === text) throw new Error('this text is the same in both alphabets');
  return [
    { name: 'padded', text: padded(lengths[0]) },
    { name: 'trailing bits that are not zero', text: loose(base64url(lengths[0])) },
    { name: 'a line end', text: `${text}\n` },
    { name: 'a space before', text: ` ${text}` },
    { name: 'a space inside', text: `${text.slice(0, 8)} ${text.slice(8)}` },
    { name: 'one character too many', text: base64url(Buffer.alloc(3)) + 'A' },
    { name: 'the standard alphabet', text: standard },
    { name: 'hex with its prefix', text: `0x${cheque.toString('hex')}` },
    { name: 'not base64 at all', text: 'a cheque' },
  ];
}
