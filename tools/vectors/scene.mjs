// The keys, banks and deposits of the vectors.
import { MAX_U128, MAX_U64, addressNamed, named } from './bytes.mjs';
import { digest } from './eip712.mjs';
import { addressOf } from './secp256k1.mjs';

const ZERO_ADDRESS = Buffer.alloc(20);
export const ZERO_WORD = Buffer.alloc(32);

/** A published test key, with its address. */
export function account(name) {
  const key = named(`key of ${name}`);
  return { name, key, address: addressOf(key) };
}

export const payer = account('payer');
export const signer = account('signer');
export const stranger = account('stranger');

// 9223372036854775771 is the largest chain id that all tools accept (EIP-2294).
export const banks = [
  { chainId: 31337n, bank: addressNamed('bank') },
  { chainId: 1n, bank: addressNamed('bank') },
  { chainId: 31337n, bank: addressNamed('another bank') },
  { chainId: 9223372036854775771n, bank: Buffer.alloc(20, 0xff) },
];

export const token = addressNamed('token');

// The second of round 1000 of quicknet.
const DRAW_TIME = 1692806364n;

const ordinary = {
  payer: payer.address,
  signer: signer.address,
  token: ZERO_ADDRESS,
  lane: 1n,
  amount: 10n ** 18n,
  minPayout: 10n ** 16n,
  drawTime: DRAW_TIME,
  redeemUntil: DRAW_TIME + 24n * 3600n,
  root: named('root'),
};

const largest = {
  payer: Buffer.alloc(20, 0xff),
  signer: Buffer.alloc(20, 0xfe),
  token: Buffer.alloc(20, 0xfd),
  lane: MAX_U64,
  amount: MAX_U128,
  minPayout: MAX_U128,
  drawTime: MAX_U64 - 1n,
  redeemUntil: MAX_U64,
  root: Buffer.alloc(32, 0xff),
};

const smallest = {
  ...ordinary,
  payer: Buffer.concat([Buffer.alloc(19), Buffer.from([1])]),
  amount: 1n,
  minPayout: 0n,
  drawTime: 1n,
  redeemUntil: 2n,
  root: ZERO_WORD,
};

/** Every deposit of ids.json: one set of terms under every bank, and other terms under the first. */
export const deposits = [
  ...banks.map((bank, i) => ({ name: `ordinary terms, bank ${i}`, bank, deposit: ordinary })),
  { name: 'a token, another lane', bank: banks[0], deposit: { ...ordinary, token, lane: 2n } },
  { name: 'a larger smallest payout', bank: banks[0], deposit: { ...ordinary, minPayout: ordinary.amount } },
  { name: 'largest values', bank: banks[0], deposit: largest },
  { name: 'smallest values', bank: banks[0], deposit: smallest },
];

export const idOf = (bank, deposit) => digest(bank, 'Deposit', deposit);

export { ZERO_ADDRESS, ordinary };
