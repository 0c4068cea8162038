// Proofs of payment as lists of fields and as bytes.
import { minimal } from './bytes.mjs';
import { encode } from './rlp.mjs';
import { ZERO_WORD } from './scene.mjs';

export const fieldsOfDeposit = (d) => [
  d.payer, d.signer, d.token, minimal(d.lane), minimal(d.amount), minimal(d.minPayout), minimal(d.drawTime),
  minimal(d.redeemUntil), d.root,
];

const anchorField = (anchor) => (anchor.equals(ZERO_WORD) ? Buffer.alloc(0) : anchor);

export const fieldsOfOpening = (o) => [
  minimal(o.chainId), o.bank, fieldsOfDeposit(o.deposit), minimal(o.allowance), o.salt, minimal(o.path),
  o.siblings.map(({ hash, sum }) => [hash, minimal(sum)]), o.payee, ...chequeFields(o),
];

const chequeFields = (c) => [minimal(c.spent), anchorField(c.anchor), minimal(c.step), c.signature];

export const fieldsOfCheque = (c) => [c.depositId, ...chequeFields(c)];

export const fieldsOfStep = (s) => [s.depositId, minimal(s.k), s.x];

export const proofBytes = (type, fields) => Buffer.concat([Buffer.from([type]), encode(fields)]);
