// The redemptions of redemptions.json, deposit by deposit: [name, expected outcome, what differs from an honest payee's].
import { MAX_U128, addressNamed, named } from './bytes.mjs';
import { hashChain, leastWinning } from './draw.mjs';
import { lengthCases } from './lengths.mjs';
import { RESERVED } from './packed.mjs';
import { ZERO_ADDRESS, banks, stranger, token } from './scene.mjs';

const [bank] = banks;
const to = addressNamed('to');
const byStranger = { caller: stranger.address };
const agreed = (total, target = ZERO_ADDRESS) => ({ ...byStranger, consentTo: { spent: total, to: target } });
const agreedAs = (payee, total) => ({ ...byStranger, consentTo: { payee, spent: total, to: ZERO_ADDRESS } });

/** All cases of all deposits; `makerOf(i)` makes those of deposit i. */
export function casesOf(scenes, makerOf) {
  const [seven, one, two, inToken, forty, fortyOne, wrapping, ...points] = scenes;
  return [
    ...sevenPayees(seven, makerOf(0)),
    ...inOrder(seven, makerOf(0)),
    ...onePayee(one, makerOf(1)),
    ...twoPayees(two, makerOf(2)),
    ...lengthCases(makerOf(1), makerOf(0), makerOf(3), { one, seven: winning(seven), inToken: winning(inToken) }),
    ...planted([makerOf(4), makerOf(5), makerOf(6)], [forty, fortyOne, wrapping]),
    ...points.map((scene, i) => pointAt(scene, makerOf(scenes.indexOf(scene)), i)),
  ];
}

/** The least total that wins, and a stream whose ninth step reaches it exactly. */
function winning({ winner, roll: point, deposit }) {
  const spent = leastWinning({ ...deposit, allowance: winner.allowance }, winner.start, point);
  const step = spent / 10n;
  const x0 = named('x_0 of a redemption');
  const stream = { anchor: hashChain(x0, 16), step, spent: spent - 9n * step };
  return { spent, x0, stream, siblings: winner.siblings, shown: (k) => ({ ...stream, k: BigInt(k), x: hashChain(x0, 16 - k) }) };
}

function sevenPayees(scene, make) {
  const { winner, leaves, deposit } = scene;
  const { spent, x0, stream, shown } = winning(scene);
  const { step } = stream;
  const other = leaves.find((leaf) => leaf !== winner);
  const { drawTime, redeemUntil } = deposit;
  const changedSibling = (change) => winner.siblings.map((sibling, i) => (i === 0 ? { ...sibling, ...change(sibling) } : sibling));
  const broken = Buffer.from(winner.siblings[0].hash);
  broken[0] ^= 1;
  return [
    make('the least total that wins', 'Payable', { spent }),
    make('one unit less', 'Loses', { spent: spent - 1n }),
    make('the whole allowance', 'Payable', { spent: winner.allowance }),
    make('another payee, its whole allowance', 'Loses', { leaf: other, spent: other.allowance }),
    make('straight out to another address', 'Payable', { spent, to }),
    make('by a stranger, without consent', 'ConsentMissing', { ...byStranger, spent }),
    make('by a stranger, with consent', 'Payable', { ...agreed(spent), spent }),
    make('by a stranger, with consent, straight out', 'Payable', { ...agreed(spent, to), spent, to }),
    make('by a stranger, consent to a larger total', 'ConsentMissing', { ...agreed(spent + 1n), spent }),
    make('by a stranger, consent to another address', 'ConsentMissing', { ...agreed(spent, to), spent, to: stranger.address }),
    make('by a stranger, consent to the balance', 'ConsentMissing', { ...agreed(spent), spent, to }),
    make('by a stranger, consent in the name of another payee', 'ConsentMissing', { ...agreedAs(other.payee, spent), spent }),
    make('by a stranger, the whole allowance without consent', 'Payable', { ...byStranger, spent: winner.allowance }),
    make('by a stranger, the whole allowance straight out', 'ConsentMissing', { ...byStranger, spent: winner.allowance, to }),
    make('a byte after the consent', 'ConsentMissing', { ...agreed(spent), spent, afterConsent: Buffer.alloc(1) }),

    make('a stream, as far as it has to go', 'Payable', shown(9)),
    make('a stream, a step less', 'Loses', shown(8)),
    make('a stream, to its end', 'Payable', shown(16)),
    make('a stream, none of it shown', 'Loses', stream),
    make('a stream, consent to the total shown', 'Payable', { ...agreed(spent), ...shown(9) }),
    make('a stream, consent to the total without it', 'ConsentMissing', { ...agreed(stream.spent), ...shown(9) }),
    make('a stream, one step too many for its value', 'BadStream', { ...shown(9), k: 10n }),
    make('a stream, a value but no step', 'BadStream', { ...shown(9), k: 0n }),
    make('a stream, 4097 steps', 'BadStream', { ...stream, step: 1n, k: 4097n, x: x0 }),
    make('a step without an anchor', 'BadStream', { spent, step: 1n }),
    make('an anchor without a step', 'BadStream', { spent, anchor: stream.anchor }),
    make('steps without a stream', 'BadStream', { spent, k: 1n, x: x0 }),
    make('a value without a stream', 'BadStream', { spent, x: x0 }),
    make('nothing spent', 'NothingSpent', { spent: 0n }),
    make('a stream, nothing spent or shown', 'NothingSpent', { ...stream, spent: 0n }),
    make('one unit over the allowance', 'OverAllowance', { spent: winner.allowance + 1n }),
    make('a stream over the allowance', 'OverAllowance', { ...shown(9), spent: winner.allowance - 9n * step + 1n }),
    make('largest values', 'OverAllowance', { spent: MAX_U128, anchor: x0, step: MAX_U128, k: 4096n, x: x0 }),

    make('a path bit beyond the levels', 'BadProof', { spent, path: winner.path | (1n << BigInt(winner.siblings.length)) }),
    make('the highest path bit', 'BadProof', { spent, path: winner.path | (1n << 39n) }),
    make('a sum of 2^128', 'BadProof', { spent, siblings: changedSibling(({ sum }) => ({ sum: sum + (1n << 128n) - deposit.amount })) }),
    make('a sum of 2^128 - 1', 'NotOpen', { spent, siblings: changedSibling(({ sum }) => ({ sum: sum + MAX_U128 - deposit.amount })) }),
    make('sums of 2^128 - 1 each', 'BadProof', { spent, siblings: winner.siblings.map((sibling) => ({ ...sibling, sum: MAX_U128 })) }),
    make('the largest allowance', 'BadProof', { spent, allowance: MAX_U128 }),
    make('a larger allowance', 'NotOpen', { spent, allowance: winner.allowance + 1n }),
    make('another salt', 'NotOpen', { spent, salt: other.salt }),
    make('one bit of a sibling', 'NotOpen', { spent, siblings: changedSibling(() => ({ hash: broken })) }),
    make('a unit more in a sum', 'NotOpen', { spent, siblings: changedSibling(({ sum }) => ({ sum: sum + 1n })) }),
    make('left and right exchanged', 'NotOpen', { spent, path: winner.path ^ 1n }),
    make('another lane', 'NotOpen', { spent, terms: { lane: 50n } }),
    make('another payer', 'NotOpen', { spent, terms: { payer: stranger.address } }),
    make('another signer', 'NotOpen', { spent, terms: { signer: stranger.address } }),
    make('another token', 'NotOpen', { spent, terms: { token } }),
    make('another smallest payout', 'NotOpen', { spent, terms: { minPayout: deposit.minPayout - 1n } }),
    make('an earlier draw', 'NotOpen', { spent, terms: { drawTime: drawTime - 3n } }),
    make('a longer window', 'NotOpen', { spent, terms: { redeemUntil: redeemUntil + 1n } }),
    make('the byte 27 throughout as the signature', 'BadSignature', { spent, signature: Buffer.alloc(65, 0x1b) }),
    make('signed by another key', 'BadSignature', { spent, by: stranger }),
    make('signed for another chain', 'BadSignature', { spent, under: banks[1] }),
    make('signed for another bank', 'BadSignature', { spent, under: banks[2] }),
    make('not signed', 'BadSignature', { spent, signature: Buffer.alloc(65) }),

    make('at the second of the draw', 'TooEarly', { spent, time: drawTime }),
    make('a second after the draw', 'Payable', { spent, time: drawTime + 1n }),
    make('at the last second', 'Payable', { spent, time: redeemUntil }),
    make('a second too late', 'TooLate', { spent, time: redeemUntil + 1n }),
    make('no proof of the seed', 'SeedUnknown', { spent, proof: 'none' }),
    make('the proof of another round', 'InvalidSeedProof', { spent, proof: 'other' }),
    make('straight out to the bank', 'InvalidRecipient', { spent, to: bank.bank }),
  ];
}

// Each has two faults, next to each other in the order of the checks.
function inOrder(scene, make) {
  const { winner, leaves, deposit } = scene;
  const { spent, x0, shown } = winning(scene);
  const other = leaves.find((leaf) => leaf !== winner);
  const stray = { path: winner.path | (1n << 39n) };
  const [early, late] = [{ time: deposit.drawTime }, { time: deposit.redeemUntil + 1n }];
  const badly = { by: stranger };
  const reserved = (bytes) => bytes.fill(bytes[219] | RESERVED, 219, 220);
  return [
    make('malformed and straight out to the bank', 'Malformed', { spent, to: bank.bank, change: reserved }),
    make('straight out to the bank and a bad proof', 'InvalidRecipient', { spent, to: bank.bank, ...stray }),
    make('malformed and a bad proof', 'Malformed', { spent, ...stray, change: reserved }),
    make('a bad proof and not open', 'BadProof', { spent, ...stray, terms: { lane: 50n } }),
    make('not open and too early', 'NotOpen', { spent, ...early, terms: { lane: 50n } }),
    make('too early and a bad stream', 'TooEarly', { spent, step: 1n, ...early }),
    make('too late and a bad stream', 'TooLate', { spent, step: 1n, ...late }),
    make('a bad stream and nothing spent', 'BadStream', { spent: 0n, k: 1n, x: x0 }),
    make('nothing spent and badly signed', 'NothingSpent', { spent: 0n, ...badly }),
    make('over the allowance and badly signed', 'OverAllowance', { spent: winner.allowance + 1n, ...badly }),
    make('badly signed and a wrong step', 'BadSignature', { ...shown(9), k: 10n, ...badly }),
    make('badly signed and no proof of the seed', 'BadSignature', { spent, ...badly, proof: 'none' }),
    make('badly signed and the proof of another round', 'BadSignature', { spent, ...badly, proof: 'other' }),
    make('a wrong step and no proof of the seed', 'BadStream', { ...shown(9), k: 10n, proof: 'none' }),
    make('no proof of the seed and a roll of another', 'SeedUnknown', { leaf: other, spent: 1n, proof: 'none' }),
    make('a roll of another and no consent', 'Loses', { ...byStranger, leaf: other, spent: 1n }),
  ];
}

// range = spent: the payee wins with a total above the roll.
function onePayee(scene, make) {
  const spent = scene.roll + 1n;
  return [
    make('a fixed payout, a total of the roll plus one', 'Payable', { ...byStranger, spent }),
    make('a fixed payout, a total of the roll', 'Loses', { ...byStranger, spent: scene.roll }),
    make('a fixed payout, one unit', 'Loses', { ...byStranger, spent: 1n }),
    make('a fixed payout, a path bit without any level', 'BadProof', { ...byStranger, spent, path: 1n }),
  ];
}

function twoPayees(scene, make) {
  const other = scene.leaves.find((leaf) => leaf !== scene.winner);
  return [
    make('no smallest payout, one unit', 'Payable', { spent: 1n }),
    make('no smallest payout, the other payee', 'Loses', { leaf: other, spent: 1n }),
  ];
}

function planted([makeForty, makeFortyOne, makeWrapping], [forty, fortyOne, wrapping]) {
  const [leaf, deeper, wrapped] = [forty, fortyOne, wrapping].map(({ leaves }) => leaves[0]);
  const { siblings } = leaf;
  return [
    makeForty('forty levels, every path bit set', 'Payable', { leaf, spent: leaf.allowance }),
    makeForty('forty levels, another highest path bit', 'NotOpen', { leaf, spent: 1n, path: leaf.path ^ (1n << 39n) }),
    makeForty('forty levels, one of them not sent', 'BadProof', { leaf, spent: 1n, siblings: siblings.slice(0, 39) }),
    makeForty('forty levels and one more', 'BadProof', { leaf, spent: 1n, siblings: [...siblings, siblings[0]] }),
    makeFortyOne('forty-one levels', 'BadProof', { leaf: deeper, spent: deeper.allowance }),
    makeFortyOne('forty-one levels, one of them not sent', 'NotOpen', { leaf: deeper, spent: 1n, siblings: deeper.siblings.slice(0, 40) }),
    makeWrapping('a sum that wraps around to the amount', 'BadProof', { leaf: wrapped, spent: 1n }),
  ];
}

function pointAt({ leaves: [leaf] }, make, point) {
  const wins = point === 1 || point === 2;
  return make(`the points 1 and 2 of 4, the roll ${point}`, wins ? 'Payable' : 'Loses', { leaf, spent: leaf.allowance });
}
