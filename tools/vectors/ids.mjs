// ids.json: EIP-712 types, domains, deposit ids and the digests of all signed messages.
// signatures.json: signatures by `cast` of these messages, and byte strings that are no signatures.
import { MAX_U128, addressNamed, named, toInt, uint } from './bytes.mjs';
import { TYPES, digest, separator, structHash, typeHash, typeString } from './eip712.mjs';
import { N, recover } from './secp256k1.mjs';
import { ZERO_ADDRESS, ZERO_WORD, account, banks, deposits, idOf, ordinary, payer, signer, stranger, token } from './scene.mjs';

const MAX_U256 = (1n << 256n) - 1n;
const payee = account('payee');
const id = idOf(banks[0], deposits[0].deposit);
const owner = payer.address;
const to = addressNamed('to');

const ones = (length) => Buffer.alloc(length, 0xff);
const largestCheque = { depositId: ones(32), payee: ones(20), spent: MAX_U128, anchor: ones(32), step: MAX_U128 };

// [name, message, signer, banks]
const messages = {
  Cheque: [
    ['plain', { depositId: id, payee: payee.address, spent: 123456789n, anchor: ZERO_WORD, step: 0n }, signer, banks],
    ['with a stream', { depositId: id, payee: payee.address, spent: 1n, anchor: named('anchor'), step: 1000n }, signer],
    ['a stream and nothing spent', { depositId: id, payee: payee.address, spent: 0n, anchor: named('anchor'), step: 1n }, signer],
    ['largest values', largestCheque, signer],
  ],
  Open: [
    ['', { depositId: id, deadline: ordinary.drawTime - 3600n }, payer, banks],
    ['for ever', { depositId: id, deadline: MAX_U256 }, payer],
  ],
  Consent: [
    ['to the balance', { depositId: id, payee: payee.address, spent: 123456789n, to: ZERO_ADDRESS }, payee, banks],
    ['straight out', { depositId: id, payee: payee.address, spent: MAX_U128, to }, payee],
  ],
  Withdraw: [
    ['from the balance', { account: owner, token: ZERO_ADDRESS, lane: 0n, amount: 5n, to, nonce: 0n, deadline: 1800000000n }, payer, banks],
    ['largest values', { account: owner, token, lane: (1n << 64n) - 1n, amount: MAX_U256, to, nonce: MAX_U256, deadline: MAX_U256 }, payer],
  ],
  Fund: [
    ['', { from: owner, token, account: payee.address, amount: 10n ** 18n, salt: ZERO_WORD }, payer, banks],
    ['another salt', { from: owner, token, account: payee.address, amount: 10n ** 18n, salt: named('salt') }, payer],
  ],
};

const each = Object.entries(messages).flatMap(([type, list]) =>
  list.flatMap(([name, message, by, under = [banks[0]]]) => under.map((bank) => ({ type, name, message, by, bank }))),
);

export function ids() {
  const ofType = (type) =>
    each
      .filter((entry) => entry.type === type)
      .map(({ name, message, bank }) => ({ name, ...bank, message, digest: digest(bank, type, message) }));
  return {
    about: 'EIP-712 types, domains, deposit ids, and digests of all messages signed for a bank.',
    types: Object.keys(TYPES).map((name) => ({ name, text: typeString(name), typeHash: typeHash(name) })),
    domains: banks.map((bank) => ({ ...bank, separator: separator(bank) })),
    deposits: deposits.map(({ name, bank, deposit }) => ({
      name,
      ...bank,
      deposit,
      structHash: structHash('Deposit', deposit),
      id: idOf(bank, deposit),
    })),
    cheques: ofType('Cheque'),
    opens: ofType('Open'),
    consents: ofType('Consent'),
    withdraws: ofType('Withdraw'),
    funds: ofType('Fund'),
  };
}

export function signatures(sign) {
  const signed = each.map(({ type, name, message, by, bank }) => ({
    name: `${type} ${name}`.trim(),
    chainId: bank.chainId,
    bank: bank.bank,
    digest: digest(bank, type, message),
    key: by.key,
    signer: by.address,
    signature: sign(bank, type, message, by),
  }));
  return {
    about: 'Signatures made by `cast wallet sign --data` of the messages in ids.json, and byte strings that sign nothing.',
    signed,
    refused: refused(signed[0], sign),
  };
}

// Refused signatures, each with the reason: `length`, `v`, `high_s`, `no_key`, or `other_signer` with its address.
function refused({ digest: hash, signature }, sign) {
  const [r, s, v] = [signature.subarray(0, 32), signature.subarray(32, 64), signature[64]];
  const make = (parts) => Buffer.concat([parts.r ?? r, parts.s ?? s, Buffer.from([parts.v ?? v])]);
  const highS = uint(N - toInt(s), 32);
  const compactS = Buffer.from(s);
  compactS[0] |= (v - 27) << 7;
  const plain = messages.Cheque[0][1];
  // Half of all numbers are the x of a point, so one of a few flipped bits gives a point.
  const otherPoint = [...Array(8).keys()]
    .map((bit) => Buffer.from(r).fill(r[31] ^ (1 << bit), 31))
    .find((x) => recover(hash, make({ r: x })));
  const list = [
    ['nothing', 'length', Buffer.alloc(0)],
    ['64 bytes, without v', 'length', Buffer.concat([r, s])],
    ['64 bytes, compact (ERC-2098)', 'length', Buffer.concat([r, compactS])],
    ['66 bytes', 'length', Buffer.concat([signature, Buffer.alloc(1)])],
    ['v 0', 'v', make({ v: 0 })],
    ['v 1', 'v', make({ v: 1 })],
    ['v counted from 0', 'v', make({ v: v - 27 })],
    ['v 26', 'v', make({ v: 26 })],
    ['v 29', 'v', make({ v: 29 })],
    ['v of EIP-155', 'v', make({ v: v - 27 + 37 })],
    ['all zero', 'v', Buffer.alloc(65)],
    ['the higher s, the other v', 'high_s', make({ s: highS, v: 55 - v })],
    ['the higher s, the same v', 'high_s', make({ s: highS })],
    ['the least high s', 'high_s', make({ s: uint(N / 2n + 1n, 32) })],
    ['s of all ones', 'high_s', make({ s: Buffer.alloc(32, 0xff) })],
    ['zero but for v', 'no_key', Buffer.concat([Buffer.alloc(64), Buffer.from([27])])],
    ['r zero', 'no_key', make({ r: Buffer.alloc(32) })],
    ['s zero', 'no_key', make({ s: Buffer.alloc(32) })],
    ['r the order of the group', 'no_key', make({ r: uint(N, 32) })],
    ['r of all ones', 'no_key', make({ r: Buffer.alloc(32, 0xff) })],
    ['r of no point', 'no_key', make({ r: uint(5, 32) })],
    ['the highest low s', 'other_signer', make({ s: uint(N / 2n, 32) })],
    ['the other v', 'other_signer', make({ v: 55 - v })],
    ['one bit of r', 'other_signer', make({ r: otherPoint })],
    ['by another key', 'other_signer', sign(banks[0], 'Cheque', plain, stranger)],
    ['for another chain', 'other_signer', sign(banks[1], 'Cheque', plain, signer)],
    ['for another bank', 'other_signer', sign(banks[2], 'Cheque', plain, signer)],
    ['of one unit more', 'other_signer', sign(banks[0], 'Cheque', { ...plain, spent: plain.spent + 1n }, signer)],
  ];
  return list.map(([name, reason, bytes]) => {
    const recovered = recover(hash, bytes);
    if ((recovered !== null) !== (reason === 'other_signer')) throw new Error(`${name}: expected ${reason}`);
    return { name, reason, digest: hash, signature: bytes, recovered: recovered ?? ZERO_ADDRESS };
  });
}
