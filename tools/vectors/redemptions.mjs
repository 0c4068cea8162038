// redemptions.json: whole deposits, drawn by the recorded header, with cheques and the outcome of each.
import { addressNamed, named, uint, unhex } from './bytes.mjs';
import { hashChain, leastWinning, payoutAndRange, roll } from './draw.mjs';
import { ZERO_ADDRESS, ZERO_WORD, account, banks, idOf, ordinary, signer, stranger } from './scene.mjs';
import { build, pack } from './tree.mjs';

const bank = banks[0];
// Bytes of a level of a proof; position of the number of streams.
const LEVEL = 48;
const STREAMS_AT = 307;
const E15 = 10n ** 15n;
const OUTCOMES = [
  'Payable', 'Malformed', 'NotOpen', 'TooEarly', 'TooLate', 'BadStream', 'NothingSpent', 'OverAllowance', 'BadProof',
  'BadSignature', 'SeedUnknown', 'BadHeader', 'Loses', 'ConsentMissing',
];

/** Three deposits of one payer: payouts from minPayout up, a fixed payout, and no minPayout. */
export function deposits() {
  const shapes = [
    ['seven payees', [400n * E15 + 1n, 250n * E15 + 7n, 150n * E15, 100n * E15, 60n * E15, 30n * E15, 10n * E15 + 3n], 200n * E15],
    ['one payee, the whole deposit or nothing', [1000n * E15], 1000n * E15],
    ['two payees, no smallest payout', [10000n, 1n], 0n],
  ];
  return shapes.map(([name, allowances, minPayout], i) => {
    const list = allowances.map((allowance, n) => ({ payee: account(`payee ${n}`).address, allowance }));
    const { root, amount, leaves } = build(list, named(`master salt, ${name}`));
    const deposit = { ...ordinary, lane: BigInt(i + 1), amount, minPayout, root };
    return { name, deposit, id: idOf(bank, deposit), leaves };
  });
}

export function redemptions(sign, header, other) {
  const headers = { draw: unhex(header.header), other: unhex(other.header), none: Buffer.alloc(0) };
  const seed = unhex(header.mixHash);
  const scenes = deposits().map((scene) => {
    const point = roll(seed, scene.id, scene.deposit.amount);
    const winner = scene.leaves.find(({ start, allowance }) => start <= point && point < start + allowance);
    return { ...scene, roll: point, winner };
  });
  return {
    about:
      'Deposits opened under one bank, all drawn by `header`, and redemptions sent to the bank in the block after it. ' +
      '`header` of a redemption: `draw`, `other` (of another block) or `none`. `payout` is the payout of a win with the ' +
      'consent of the payee, 0 if the check ends before the draw. `packed` are the bytes sent to the bank: the packed fields, ' +
      'or other bytes if the outcome is `Malformed`.',
    ...bank,
    minLead: 4n,
    drawBlock: ordinary.drawBlock,
    blockHash: header.hash,
    seed,
    header: header.header,
    deposits: scenes.map(({ name, deposit, id, roll: point, winner }) => ({ name, deposit, id, roll: point, winner: winner.payee })),
    redemptions: [sevenPayees, onePayee, twoPayees].flatMap((cases, i) => cases(scenes[i], maker(scenes[i], i, sign, headers))),
  };
}

const keyOf = (payee) => [...Array(7).keys()].map((n) => account(`payee ${n}`)).find(({ address }) => address.equals(payee));

// Packs a redemption for the bank.
function packed(d, r, header) {
  const streams = [r.anchor, uint(r.step, 16), uint(r.k, 2), r.x];
  const isStreamed = streams.some((part) => part.some((byte) => byte !== 0));
  return Buffer.concat([
    d.payer, d.signer, d.token, uint(d.lane, 8), uint(d.amount, 16), uint(d.minPayout, 16), uint(d.drawBlock, 8),
    uint(d.lastRedeemBlock, 8), d.root,
    r.payee, uint(r.allowance, 16), r.salt, uint(r.path, 5), uint(r.spent, 16), r.signature, r.to,
    uint(r.siblings.length / LEVEL, 1), uint(isStreamed ? 1 : 0, 1), uint(header.length, 2),
    r.siblings, ...(isStreamed ? streams : []), header, r.consent,
  ]);
}

// Makes the redemptions of one deposit. Fields that a case does not name are those of an honest payee. `change` makes the
// packed bytes malformed.
function maker(scene, index, sign, headers) {
  return (name, outcome, { change = (bytes) => bytes, ...given }) => {
    const leaf = given.leaf ?? scene.winner;
    const r = {
      caller: leaf.payee, k: 0n, x: ZERO_WORD, anchor: ZERO_WORD, step: 0n, to: ZERO_ADDRESS, header: 'draw',
      afterConsent: Buffer.alloc(0), allowance: leaf.allowance, salt: leaf.salt, path: leaf.path, siblings: pack(leaf.siblings), by: signer, under: bank,
      ...given,
    };
    const cheque = { depositId: scene.id, payee: leaf.payee, spent: r.spent, anchor: r.anchor, step: r.step };
    const agreement = () => sign(bank, 'Consent', { depositId: scene.id, ...r.consentTo }, keyOf(leaf.payee));
    const consent = r.consentTo && Buffer.concat([agreement(), r.afterConsent]);
    const total = r.spent + r.k * r.step;
    const known = ['Payable', 'Loses', 'ConsentMissing'].includes(outcome);
    const { amount, minPayout } = scene.deposit;
    const vector = {
      name,
      deposit: BigInt(index),
      outcome,
      outcomeCode: BigInt(OUTCOMES.indexOf(outcome)),
      payout: known ? payoutAndRange({ amount, minPayout, allowance: leaf.allowance, spent: total }).payout : 0n,
      caller: r.caller,
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
      header: r.header,
      to: r.to,
      consent: consent || Buffer.alloc(0),
    };
    return { ...vector, packed: change(packed(scene.deposit, vector, headers[r.header])) };
  };
}

function sevenPayees(scene, make) {
  const { winner, leaves, roll: point } = scene;
  const spent = leastWinning({ ...scene.deposit, allowance: winner.allowance }, winner.start, point);
  const other = leaves.find((leaf) => leaf !== winner);
  const to = addressNamed('to');
  const by = { caller: stranger.address };
  const agreed = (total, target = ZERO_ADDRESS) => ({ ...by, consentTo: { spent: total, to: target } });

  // A stream whose ninth step reaches `spent`, exactly.
  const step = spent / 10n;
  const x0 = named('x_0 of a redemption');
  const stream = { anchor: hashChain(x0, 16), step, spent: spent - 9n * step };
  const shown = (k) => ({ ...stream, k: BigInt(k), x: hashChain(x0, 16 - k) });

  const siblings = pack(winner.siblings);
  const broken = Buffer.from(siblings);
  broken[0] ^= 1;
  return [
    make('the least total that wins', 'Payable', { spent }),
    make('one unit less', 'Loses', { spent: spent - 1n }),
    make('the whole allowance', 'Payable', { spent: winner.allowance }),
    make('another payee, its whole allowance', 'Loses', { leaf: other, spent: other.allowance }),
    make('straight out to another address', 'Payable', { spent, to }),
    make('by a stranger, without consent', 'ConsentMissing', { ...by, spent }),
    make('by a stranger, with consent', 'Payable', { ...agreed(spent), spent }),
    make('by a stranger, with consent, straight out', 'Payable', { ...agreed(spent, to), spent, to }),
    make('by a stranger, consent to a larger total', 'ConsentMissing', { ...agreed(spent + 1n), spent }),
    make('by a stranger, consent to another address', 'ConsentMissing', { ...agreed(spent, to), spent, to: stranger.address }),
    make('by a stranger, consent to the balance', 'ConsentMissing', { ...agreed(spent), spent, to }),
    make('by a stranger, the whole allowance without consent', 'Payable', { ...by, spent: winner.allowance }),
    make('by a stranger, the whole allowance straight out', 'ConsentMissing', { ...by, spent: winner.allowance, to }),
    make('a stream, as far as it has to go', 'Payable', shown(9)),
    make('a stream, a step less', 'Loses', shown(8)),
    make('a stream, to its end', 'Payable', shown(16)),
    make('a stream, none of it shown', 'Loses', stream),
    make('a stream, consent to the total shown', 'Payable', { ...agreed(spent), ...shown(9) }),
    make('a stream, consent to the total without it', 'ConsentMissing', { ...agreed(stream.spent), ...shown(9) }),
    make('a stream, one step too many for its value', 'BadStream', { ...shown(9), k: 10n }),
    make('a stream, a value but no step', 'BadStream', { ...shown(9), k: 0n }),
    make('a stream, 4097 steps', 'BadStream', { ...stream, k: 4097n, x: x0 }),
    make('a step without an anchor', 'BadStream', { spent, step: 1n }),
    make('an anchor without a step', 'BadStream', { spent, anchor: stream.anchor }),
    make('steps without a stream', 'BadStream', { spent, k: 1n, x: x0 }),
    make('nothing spent', 'NothingSpent', { spent: 0n }),
    make('one unit over the allowance', 'OverAllowance', { spent: winner.allowance + 1n }),
    make('a stream over the allowance', 'OverAllowance', { ...shown(9), spent: winner.allowance - 9n * step + 1n }),
    make('largest values', 'OverAllowance', { spent: (1n << 128n) - 1n, anchor: x0, step: (1n << 128n) - 1n, k: 4096n, x: x0 }),
    make('a larger allowance', 'BadProof', { spent, allowance: winner.allowance + 1n }),
    make('another salt', 'BadProof', { spent, salt: other.salt }),
    make('one bit of a sibling', 'BadProof', { spent, siblings: broken }),
    make('a stray path bit', 'BadProof', { spent, path: winner.path | (1n << 39n) }),
    make('signed by another key', 'BadSignature', { spent, by: stranger }),
    make('signed for another chain', 'BadSignature', { spent, under: banks[1] }),
    make('signed for another bank', 'BadSignature', { spent, under: banks[2] }),
    make('not signed', 'BadSignature', { spent, signature: Buffer.alloc(65) }),
    make('no header', 'SeedUnknown', { spent, header: 'none' }),
    make('the header of another block', 'BadHeader', { spent, header: 'other' }),
    make('no bytes', 'Malformed', { spent, change: () => Buffer.alloc(0) }),
    make('a byte less than every redemption has', 'Malformed', { spent, change: (bytes) => bytes.subarray(0, 309) }),
    make('a byte of the header missing', 'Malformed', { spent, change: (bytes) => bytes.subarray(0, -1) }),
    make('a byte of a sibling missing', 'Malformed', { spent, header: 'none', change: (bytes) => bytes.subarray(0, -1) }),
    make('two streams', 'Malformed', { ...shown(9), change: twoStreams }),
    make('a byte after the consent', 'ConsentMissing', { ...agreed(spent), spent, afterConsent: Buffer.alloc(1) }),
  ];
}

function twoStreams(bytes) {
  const changed = Buffer.concat([bytes, Buffer.alloc(100)]);
  changed[STREAMS_AT] = 2;
  return changed;
}

// range = spent: the payee wins with a total above the roll.
function onePayee(scene, make) {
  const by = { caller: stranger.address };
  return [
    make('a fixed payout, a total of the roll plus one', 'Payable', { ...by, spent: scene.roll + 1n }),
    make('a fixed payout, a total of the roll', 'Loses', { ...by, spent: scene.roll }),
    make('a fixed payout, one unit', 'Loses', { ...by, spent: 1n }),
  ];
}

function twoPayees(scene, make) {
  const other = scene.leaves.find((leaf) => leaf !== scene.winner);
  return [
    make('no smallest payout, one unit', 'Payable', { spent: 1n }),
    make('no smallest payout, the other payee', 'Loses', { leaf: other, spent: 1n }),
  ];
}
