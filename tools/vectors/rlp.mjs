// RLP as in the yellow paper, appendix B. Items are Buffers (byte strings) and arrays (lists).
import { minimal, toInt } from './bytes.mjs';

function prefix(offset, length) {
  if (length < 56) return Buffer.from([offset + length]);
  const size = minimal(length);
  return Buffer.concat([Buffer.from([offset + 55 + size.length]), size]);
}

/** Bytes that `encode` copies unchanged, to make broken encodings. */
export class Raw {
  constructor(bytes) {
    this.bytes = bytes;
  }
}

export function encode(item) {
  if (item instanceof Raw) return item.bytes;
  if (Array.isArray(item)) {
    const content = Buffer.concat(item.map(encode));
    return Buffer.concat([prefix(0xc0, content.length), content]);
  }
  if (item.length === 1 && item[0] < 0x80) return item;
  return Buffer.concat([prefix(0x80, item.length), item]);
}

/** The byte strings of a list of strings. Throws on any encoding other than that of `encode`. */
export function decodeStrings(bytes) {
  const start = bytes[0] < 0xf8 ? 1 : 1 + bytes[0] - 0xf7;
  const items = [];
  for (let at = start; at < bytes.length; ) {
    const first = bytes[at];
    if (first >= 0xc0) throw new Error('a list in a flat list');
    const sizeBytes = first > 0xb7 ? first - 0xb7 : 0;
    const head = first < 0x80 ? 0 : 1 + sizeBytes;
    const length = first < 0x80 ? 1 : sizeBytes ? Number(toInt(bytes.subarray(at + 1, at + head))) : first - 0x80;
    items.push(bytes.subarray(at + head, at + head + length));
    at += head + length;
  }
  if (!encode(items).equals(bytes)) throw new Error('not a canonical list of strings');
  return items;
}
