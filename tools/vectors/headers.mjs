// seeds.json: headers of real blocks, and headers that no honest chain makes.
import { hex, keccak, minimal, named, uint, unhex, utf8 } from './bytes.mjs';
import { Raw, decodeStrings, encode } from './rlp.mjs';

const FIELDS = [
  'parentHash', 'ommersHash', 'beneficiary', 'stateRoot', 'transactionsRoot', 'receiptsRoot', 'logsBloom', 'difficulty', 'number',
  'gasLimit', 'gasUsed', 'timestamp', 'extraData', 'mixHash', 'nonce', 'baseFeePerGas', 'withdrawalsRoot', 'blobGasUsed',
  'excessBlobGas', 'parentBeaconBlockRoot', 'requestsHash',
];

const NO_OMMERS = '0x1dcc4de8dec75d7aab85b567b6ccd41ad312451b948a7413f0a142fd40d49347';
const EMPTY_TRIE = '0x56e81f171bcc55a6ff8345e692c0f86e5b48e01b996cadc001622fb5e363b421';

// Blocks of Ethereum's main chain, by their fields. `hash` is the published block hash: with a wrong field the header
// would have another hash.
const mainnet = [
  {
    name: 'mainnet, proof of work',
    seeds: false,
    hash: '0x88e96d4537bea4d9c05d12549907b32561d3bf31f45aae734cdc119f13406cb6',
    fields: [
      unhex('0xd4e56740f876aef8c010b86a40d5f56745a118d0906a34e69aec8c0db1cb8fa3'),
      unhex(NO_OMMERS),
      unhex('0x05a56e2d52c817161883f50c441c3228cfe54d9f'),
      unhex('0xd67e4d450343046425ae4271474353857ab860dbc0a1dde64b41b5cd3a532bf3'),
      unhex(EMPTY_TRIE),
      unhex(EMPTY_TRIE),
      Buffer.alloc(256),
      ...[17171480576n, 1n, 5000n, 0n, 1438269988n].map(minimal),
      utf8('Geth/v1.0.0/linux/go1.4.2'),
      unhex('0x969b900de27b6ac6a67742365dd65f55a0526c41fd18e1b16f1a1215c2e66f59'),
      unhex('0x539bd4979fef1ec4'),
    ],
  },
  {
    name: 'mainnet, proof of stake, Cancun',
    seeds: true,
    hash: '0xb5f712d1c6eab970b927eac6e3f1704f297d4acfc860f2b243f61e1771aab3ff',
    fields: [
      unhex('0xb2b49c99cba41ed96ab53ff2b172cd867b7d6784fe8ca3c147d211529cde4482'),
      unhex(NO_OMMERS),
      unhex('0x4838b106fce9647bdf1e7877bf73ce8b0bad5f97'),
      unhex('0x62a02785cda0dc514aee2019d96eaefaee29d40428971940e21965805aa5136d'),
      unhex('0x6365226abe9c20b7754d2b71212edf4815dd6ae80f8e0086ce051f126cc5e478'),
      unhex('0x52b0138ad6cd29a7b8eab45da3fdbf3ac8ac19b9ea4b0fa85effff7c730b6c83'),
      unhex(
        '0x906bcea33100b8441a4a0c5de35d59013308c3016c15ce661e9b0a186622e4714485c58587058601d718be14d7ba0d80' +
          'be199318a800aefd47c7e06a0bad75262008cd48504b192bae365d0bce04e17e405c56db06fc3c988e020544d96c45d9' +
          '0e0f31684246873f3018d2178148ff757625f37115d0a724a81cee37c63b2210884dae5e07432398b1dc31431fea4246' +
          '44d36649e140ac5cea31e25d28b02ba8061e0d1c8bad6f320f7473ccaa12ceb844f9c63ac80fa005ecf30c4c01082278' +
          'e192b20b60230782070e0dc26769d13636b0c413cd250594531735e26010e54d89ff6048ca0002b019ecbda696d1eb06' +
          '0d7dde60f3b2f4cb4e4182f885d137b1',
      ),
      ...[0n, 20013090n, 30000000n, 13875029n, 1717439363n].map(minimal),
      utf8('Titan (titanbuilder.xyz)'),
      unhex('0x221ee008a8c5aafb557a4654110c3aeb8ae9c3af0f5ff7271edc7c91b2d95e07'),
      Buffer.alloc(8),
      minimal(13726822059n),
      unhex('0xb18681663754565d0a1b2ba18ee9519e184905f59dfc5edd846fa5909772e1df'),
      minimal(393216n),
      minimal(262144n),
      unhex('0x87c7c94ff2fdca52510b51b932364c1fae94cb20cc9657e6de84f19921745603'),
    ],
  },
];

/** `recorded`: headers read from a node, `{name, hash, mixHash, header}`. */
export function seeds(recorded) {
  const real = recorded.map(({ name, hash, mixHash, header }) => {
    const fields = decodeStrings(unhex(header));
    if (hex(keccak(unhex(header))) !== hash) throw new Error(`${name}: the node's hash is not the header's`);
    if (hex(fields[13]) !== mixHash) throw new Error(`${name}: the node's mixHash is not the header's`);
    return { name, hash, seed: mixHash, header };
  });
  const known = mainnet.map(({ name, seeds: usable, hash, fields }) => {
    const header = encode(fields);
    if (hex(keccak(header)) !== hash) throw new Error(`${name}: not the block of that hash`);
    return { name, hash, seed: usable ? fields[13] : Buffer.alloc(32), header };
  });
  return {
    about:
      'Headers of real blocks: recorded from anvil, and of the main chain. Crafted headers, each with the hash of a chain ' +
      'that has the block. A seed of zero means that the header yields none; `verdict` says why: `malformed`, `difficulty`, ' +
      '`no_randomness`.',
    recorded: real,
    mainnet: known,
    crafted: crafted(decodeStrings(unhex(recorded[0].header))),
  };
}

function crafted(original) {
  const mixed = (value) => ({ mixHash: uint(value, 32) });
  const replace = (changes) => original.map((value, i) => changes[FIELDS[i]] ?? value);
  const header = (changes) => encode(replace(changes));
  const plain = header({});
  const raw = (...bytes) => new Raw(Buffer.concat(bytes.map((b) => (Buffer.isBuffer(b) ? b : Buffer.from([b])))));
  const content = plain.subarray(3);
  const prefixed = (...prefix) => Buffer.concat([Buffer.from(prefix), content]);
  const [high, low] = [content.length >> 8, content.length & 0xff];
  const without = (name) => encode(original.filter((_, i) => FIELDS[i] !== name));
  const hash = named('a field of a later fork');
  const parent = original[0];

  const ok = [
    ['no extra data', header({ extraData: Buffer.alloc(0) })],
    ['one byte of extra data', header({ extraData: Buffer.from([7]) })],
    ['55 bytes of extra data', header({ extraData: Buffer.alloc(55, 1) })],
    ['56 bytes of extra data', header({ extraData: Buffer.alloc(56, 1) })],
    ['97 bytes of extra data', header({ extraData: Buffer.alloc(97, 2) })],
    ['300 bytes of extra data', header({ extraData: Buffer.alloc(300, 3) })],
    ['no field after mixHash', encode(original.slice(0, 14))],
    ['the fields of Paris', encode(original.slice(0, 16))],
    ['five more fields', encode([...original, hash, minimal(0n), minimal(300n), hash, Buffer.alloc(100, 9)])],
    ['mixHash 2^64 + 1', header(mixed((1n << 64n) + 1n))],
    ['mixHash 2^256 - 1', header(mixed((1n << 256n) - 1n))],
    ['the largest integers', header(Object.fromEntries(FIELDS.slice(8, 12).map((name) => [name, Buffer.alloc(32, 0xff)])))],
  ];
  const refused = [
    ['difficulty', 'difficulty 1', header({ difficulty: minimal(1n) })],
    ['difficulty', 'difficulty 2^64', header({ difficulty: minimal(1n << 64n) })],
    ['difficulty', 'difficulty a zero byte', header({ difficulty: Buffer.from([0]) })],
    ['malformed', 'difficulty a zero byte with a length', header({ difficulty: raw(0x81, 0) })],
    ['no_randomness', 'mixHash 0', header(mixed(0n))],
    ['no_randomness', 'mixHash 1', header(mixed(1n))],
    ['no_randomness', 'mixHash 2^64 - 1', header(mixed((1n << 64n) - 1n))],
    ['no_randomness', 'mixHash 2^64', header(mixed(1n << 64n))],
    ['malformed', 'mixHash of 31 bytes', header({ mixHash: named('mix').subarray(1) })],
    ['malformed', 'mixHash of 33 bytes', header({ mixHash: Buffer.concat([named('mix'), Buffer.alloc(1)]) })],
    ['malformed', 'a byte after the list', Buffer.concat([plain, Buffer.alloc(1)])],
    ['malformed', 'a list after the list', Buffer.concat([plain, Buffer.from([0xc0])])],
    ['malformed', 'the last byte missing', plain.subarray(0, -1)],
    ['malformed', 'the prefix only', plain.subarray(0, 3)],
    ['malformed', 'an empty list', Buffer.from([0xc0])],
    ['malformed', 'a short list', encode(original.slice(0, 1))],
    ['malformed', 'one byte', Buffer.from([0])],
    ['malformed', 'a length one too long', prefixed(0xf9, high, low + 1)],
    ['malformed', 'a length one too short', prefixed(0xf9, high, low - 1)],
    ['malformed', 'a length with a leading zero', prefixed(0xfa, 0, high, low)],
    ['malformed', 'a length of eight bytes', prefixed(0xff, 0, 0, 0, 0, 0, 0, high, low)],
    ['malformed', 'a string instead of a list', prefixed(0xb9, high, low)],
    ['malformed', 'a list around the list', encode([raw(plain)])],
    ['malformed', 'a string around the list', encode(plain)],
    ['malformed', 'parentHash with a long length', header({ parentHash: raw(0xb8, 32, parent) })],
    ['malformed', 'parentHash as a list', header({ parentHash: raw(0xc0 + 32, parent) })],
    ['malformed', 'parentHash of 31 bytes', header({ parentHash: parent.subarray(1) })],
    ['malformed', 'beneficiary of 32 bytes', header({ beneficiary: parent })],
    ['malformed', 'logsBloom of 255 bytes', header({ logsBloom: Buffer.alloc(255) })],
    ['malformed', 'logsBloom with a leading zero in its length', header({ logsBloom: raw(0xba, 0, 1, 0, Buffer.alloc(256)) })],
    ['malformed', 'number with a leading zero', header({ number: Buffer.from([0, 1]) })],
    ['malformed', 'number a zero byte', header({ number: Buffer.from([0]) })],
    ['malformed', 'number a small byte with a length', header({ number: raw(0x81, 5) })],
    ['malformed', 'number of 33 bytes', header({ number: Buffer.alloc(33, 1) })],
    ['malformed', 'timestamp as a list', header({ timestamp: raw(0xc1, 5) })],
    ['malformed', 'extraData longer than the header', header({ extraData: raw(0xb9, 0xff, 0xff) })],
    ['malformed', 'extraData of 2^64 - 1 bytes', header({ extraData: raw(0xbf, Buffer.alloc(8, 0xff)) })],
    ['malformed', 'extraData as a list', header({ extraData: raw(0xc2, 1, 2) })],
    ['malformed', 'no parentHash', without('parentHash')],
    ['malformed', 'no extraData', without('extraData')],
    ['malformed', 'no mixHash', without('mixHash')],
    ['malformed', 'a nonce that is a small byte with a length', header({ nonce: raw(0x81, 5) })],
    ['malformed', 'a last field longer than the header', header({ requestsHash: raw(0xa0, 1, 2, 3) })],
    ['malformed', 'a prefix as the last field', header({ requestsHash: raw(0xb8) })],
  ];
  const entry = (verdict, name, bytes, seed) => ({ name, verdict, hash: keccak(bytes), seed, header: bytes });
  return [
    ...ok.map(([name, bytes]) => entry('ok', name, bytes, decodeStrings(bytes)[13])),
    ...refused.map(([verdict, name, bytes]) => entry(verdict, name, bytes, Buffer.alloc(32))),
  ];
}
