// RLP as in the yellow paper, appendix B. Items are Buffers (byte strings) and arrays (lists).
import { minimal } from './bytes.mjs';

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
