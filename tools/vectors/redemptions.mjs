// redemptions.json: redemptions of drawn deposits, and the outcome of each.
import { seedOf } from './beacon.mjs';
import { uint } from './bytes.mjs';
import { casesOf } from './cases.mjs';
import { drawnDeposits, payeeOf } from './deposits.mjs';
import { OUTCOMES, judge } from './judge.mjs';
import { packed } from './packed.mjs';
import { ZERO_ADDRESS, ZERO_WORD, banks, ordinary, signer } from './scene.mjs';
import { pack } from './tree.mjs';

const [bank] = banks;
const REVERTED = 255n;

/** `draw` and `other` are two rounds of the beacon; the first draws all deposits. */
export function redemptions(sign, { beacon, rounds: [draw, other] }) {
  const seed = seedOf(draw.proof);
  const scenes = drawnDeposits(seed);
  const purses = new Map(scenes.map(({ deposit, id }) => [purse(deposit), id]));
  const open = (r, id) => purses.get(purse(r))?.equals(id) ?? false;
  const cases = casesOf(scenes, (index) => maker(scenes[index], index, { sign, open, seed }));
  const missing = OUTCOMES.filter((name) => !cases.some(({ outcome }) => outcome === name));
  if (missing.length > 0) throw new Error(`no redemption is ${missing}`);
  return {
    about:
      'Deposits opened under one bank, and redemptions sent to the bank, each at its `time` and as the only one. `proof` of a ' +
      'redemption: `draw`, `other` (of another round) or `none`. `payout` is the payout of a win with the consent of the payee, ' +
      '0 if the check ends before the draw. `inBatch` is the outcome of a batch of this redemption. An outcome that begins with ' +
      '`Invalid` is an error with which the call reverts; its code is 255. `packed` are the bytes sent to the bank: if ' +
      '`canonical`, the packed fields in the shortest form; if not, bytes of which the fields tell a part.',
    ...bank,
    minLead: 2400n,
    beacon: { publicKey: beacon.publicKey, genesis: beacon.genesis, period: beacon.period },
    drawTime: ordinary.drawTime,
    seed,
    proofs: { draw: draw.proof, other: other.proof },
    deposits: scenes.map(({ name, deposit, id, roll: point }) => ({ name, deposit, id, roll: point })),
    redemptions: cases,
  };
}

const purse = ({ payer, token, lane }) => Buffer.concat([payer, token, uint(lane, 8)]).toString('hex');

const keyOf = (payee) => [...Array(7).keys()].map(payeeOf).find(({ address }) => address.equals(payee));

// Makes the redemptions of one deposit. Fields that a case does not name are those of an honest payee. `terms` changes the
// packed terms, `form` the form, `change` the packed bytes.
function maker(scene, index, { sign, open, seed }) {
  return (name, outcome, { terms, form, change, ...given }) => {
    const leaf = given.leaf ?? scene.winner;
    const r = {
      caller: leaf.payee, k: 0n, x: ZERO_WORD, anchor: ZERO_WORD, step: 0n, to: ZERO_ADDRESS, proof: 'draw', by: signer, under: bank,
      time: scene.deposit.drawTime + 1n, allowance: leaf.allowance, salt: leaf.salt, path: leaf.path, siblings: leaf.siblings,
      afterConsent: Buffer.alloc(0),
      ...given,
    };
    const cheque = { depositId: scene.id, payee: leaf.payee, spent: r.spent, anchor: r.anchor, step: r.step };
    const agreement = { depositId: scene.id, payee: leaf.payee, ...r.consentTo };
    const consent = r.consentTo ? sign(bank, 'Consent', agreement, keyOf(leaf.payee)) : Buffer.alloc(0);
    const fields = {
      payee: leaf.payee,
      allowance: r.allowance,
      salt: r.salt,
      path: r.path,
      siblings: r.siblings,
      spent: r.spent,
      anchor: r.anchor,
      step: r.step,
      signature: r.signature ?? sign(r.under, 'Cheque', cheque, r.by),
      k: r.k,
      x: r.x,
      to: r.to,
      consent: Buffer.concat([consent, r.afterConsent]),
    };
    const plain = packed({ ...scene.deposit, ...terms }, fields, form);
    const bytes = change ? change(plain) : plain;
    const state = { bank, open, time: r.time, caller: r.caller, seed: r.proof === 'draw' ? seed : null, isProven: r.proof !== 'other' };
    const found = judge(bytes, state);
    if (found.outcome !== outcome) throw new Error(`${name}: ${found.outcome} instead of ${outcome}`);
    const inBatch = judge(bytes, { ...state, inBatch: true }).outcome;
    const code = (of) => (OUTCOMES.includes(of) ? BigInt(OUTCOMES.indexOf(of)) : REVERTED);
    return {
      name,
      deposit: BigInt(index),
      time: r.time,
      proof: r.proof,
      caller: r.caller,
      outcome,
      outcomeCode: code(outcome),
      payout: found.payout,
      inBatch,
      inBatchCode: code(inBatch),
      ...fields,
      siblings: pack(r.siblings),
      canonical: !terms && !form && !change,
      packed: bytes,
    };
  };
}
