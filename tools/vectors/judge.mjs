// The checks of a redemption: SPEC.md, section 10. The first that fails is the outcome.
import { MAX_U128 } from './bytes.mjs';
import { hashChain, payoutAndRange, roll, wins } from './draw.mjs';
import { digest } from './eip712.mjs';
import { unpacked } from './packed.mjs';
import { ZERO_ADDRESS, ZERO_WORD, idOf } from './scene.mjs';
import { recover } from './secp256k1.mjs';
import { innerHash, leafHash } from './tree.mjs';

export const OUTCOMES = [
  'Payable', 'Malformed', 'BadProof', 'NotOpen', 'TooEarly', 'TooLate', 'BadStream', 'NothingSpent', 'OverAllowance',
  'BadSignature', 'SeedUnknown', 'Loses', 'ConsentMissing',
];

// Root, amount and start that a proof leads to, or null if it leads to none.
function walk({ payee, allowance, salt, path, siblings }) {
  const depth = BigInt(siblings.length);
  if (depth > 40n || path >> depth !== 0n) return null;
  let [root, amount, start] = [leafHash(payee, allowance, salt), allowance, 0n];
  for (const [level, { hash, sum }] of siblings.entries()) {
    const isRight = (path >> BigInt(level)) & 1n;
    root = isRight ? innerHash(hash, sum, root, amount) : innerHash(root, amount, hash, sum);
    if (isRight) start += sum;
    amount += sum;
    if (amount > MAX_U128) return null;
  }
  return { root, amount, start };
}

const isZero = (word) => word.equals(ZERO_WORD);

const signed = (bank, type, message, by, signature) => recover(digest(bank, type, message), signature)?.equals(by) ?? false;

function brokenPromise(bank, id, r) {
  if (r.k > 4096n || isZero(r.anchor) !== (r.step === 0n)) return 'BadStream';
  if (r.k === 0n ? !isZero(r.x) : isZero(r.anchor)) return 'BadStream';
  const total = r.spent + r.k * r.step;
  if (total === 0n) return 'NothingSpent';
  if (total > r.allowance) return 'OverAllowance';
  const cheque = { depositId: id, payee: r.payee, spent: r.spent, anchor: r.anchor, step: r.step };
  if (!signed(bank, 'Cheque', cheque, r.signer, r.signature)) return 'BadSignature';
  return r.k > 0n && !hashChain(r.x, Number(r.k)).equals(r.anchor) ? 'BadStream' : null;
}

/**
 * The outcome of packed bytes and the payout of a win (0 if the check ends before the draw), or the error with which the
 * call reverts. `open` says whether an id is open, `seed` is null if no proof comes with the call, and `isProven` false
 * if a wrong one does.
 */
export function judge(bytes, { bank, open, time, caller, seed, isProven, inBatch }) {
  const ends = (outcome, payout = 0n) => ({ outcome, payout });
  const r = unpacked(bytes);
  if (inBatch && !isProven) return ends('InvalidSeedProof');
  if (!r) return ends('Malformed');
  if (!inBatch && r.to.equals(bank.bank)) return ends('InvalidRecipient');
  const node = walk(r);
  if (!node) return ends('BadProof');
  const { root, amount, start } = node;
  const id = idOf(bank, { ...r, root, amount });
  if (!open(r, id)) return ends('NotOpen');
  if (time <= r.drawTime) return ends('TooEarly');
  if (time > r.redeemUntil) return ends('TooLate');
  const broken = brokenPromise(bank, id, r);
  if (broken) return ends(broken);
  if (!isProven) return ends('InvalidSeedProof');
  if (!seed) return ends('SeedUnknown');

  const total = r.spent + r.k * r.step;
  const { payout, range } = payoutAndRange({ amount, allowance: r.allowance, minPayout: r.minPayout, spent: total });
  if (!wins(start, range, roll(seed, id, amount))) return ends('Loses', payout);
  const toBalance = r.to.equals(ZERO_ADDRESS);
  const consents = () => signed(bank, 'Consent', { depositId: id, payee: r.payee, spent: total, to: r.to }, r.payee, r.consent);
  const agreed = caller.equals(r.payee) || (payout === amount && toBalance) || consents();
  return ends(agreed && !(inBatch && !toBalance) ? 'Payable' : 'ConsentMissing', payout);
}
