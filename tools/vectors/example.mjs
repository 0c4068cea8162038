// The example of SPEC.md, section 15: everything computed in it.
import { hashToG1, message, roundAt, seedOf, uncompressed } from './beacon.mjs';
import { base64url, uint } from './bytes.mjs';
import { hashChain, payoutAndRange, roll, value, wins } from './draw.mjs';
import { digest, separator, structHash } from './eip712.mjs';
import { judge } from './judge.mjs';
import { packed } from './packed.mjs';
import { fieldsOfCheque, fieldsOfOpening, fieldsOfStep, proofBytes } from './proofs.mjs';
import { ZERO_ADDRESS, ZERO_WORD } from './scene.mjs';
import { addressOf } from './secp256k1.mjs';
import { build, innerHash } from './tree.mjs';

const WIDTH = 120;
const ROUND = 32285085n;
const TOTALS = [100n, 128n, 129n, 160n, 200n, 201n, 500n];
const COST = 10n;

const plainHex = (bytes) => bytes.toString('hex');
const lines = (bytes) => plainHex(bytes).match(new RegExp(`.{1,${WIDTH}}`, 'g')).join('\n');
const fence = (text) => `\`\`\`text\n${text}\n\`\`\``;
const line = (cells) => `| ${cells.join(' | ')} |\n`;

// Names in one column, values in the next.
function columns(rows) {
  const width = Math.max(...rows.map(([name]) => name.length)) + 2;
  return rows.map(([name, text]) => `${name.padEnd(width)}${text}`.trimEnd()).join('\n');
}

const prefixed = (bytes) => `0x${plainHex(bytes)}`;

function account(n) {
  const key = uint(n, 32);
  return { key, address: addressOf(key) };
}

function scene({ beacon, rounds }) {
  const [payer, signer, p3, p4, p5] = [1, 2, 3, 4, 5].map(account);
  const bank = { chainId: 31337n, bank: Buffer.alloc(20, 0xba) };
  const list = [[p3, 500n], [p4, 300n], [p5, 200n]].map(([{ address }, allowance]) => ({ payee: address, allowance }));
  const tree = build(list, Buffer.alloc(32, 0x5a));
  const leafOf = ({ address }) => tree.leaves.find(({ payee }) => payee.equals(address));
  const drawn = rounds.find(({ round }) => round === ROUND);
  const drawTime = beacon.genesis + (ROUND - 1n) * beacon.period;
  const deposit = {
    payer: payer.address, signer: signer.address, token: ZERO_ADDRESS, lane: 1n, amount: tree.amount, minPayout: 400n, drawTime,
    redeemUntil: drawTime + 86400n, root: tree.root,
  };
  const id = digest(bank, 'Deposit', deposit);
  const seed = seedOf(drawn.proof);
  return {
    beacon, bank, payer, signer, payees: { P3: p3, P4: p4, P5: p5 }, leafOf, deposit, id, drawn, seed, root: tree.root,
    roll: roll(seed, id, tree.amount),
  };
}

/** The blocks of the section in their order: fenced texts and one table. */
export function exampleBlocks(sign, real) {
  const s = scene(real);
  return [accounts(s), deposit(s), ...cheques(s, sign), draw(s), results(s), redemption(s, sign)];
}

function accounts({ payer, signer, payees, leafOf, root }) {
  const named = Object.entries(payees).map(([name, { address }]) => ({ name, address, leaf: leafOf({ address }) }));
  const [left, right] = ['P4', 'P5'].map((name) => named.find((one) => one.name === name).leaf);
  const inner = innerHash(left.leaf, left.allowance, right.leaf, right.allowance);
  const ordered = [...named].sort((a, b) => Number(a.leaf.start - b.leaf.start));
  const leaves = ordered.map(({ name, leaf }) => {
    const promoted = leaf.siblings.length === 1 ? ', promoted once' : '';
    return [`leaf ${name}`, `${prefixed(leaf.leaf)}   start ${leaf.start}${promoted}`];
  });
  const first = [
    ['payer', prefixed(payer.address)],
    ['signer', prefixed(signer.address)],
    ...named.map(({ name, address, leaf }) => [name, `${prefixed(address)}   salt ${prefixed(leaf.salt)}`]),
  ];
  const nodes = [
    ...leaves,
    ['inner(P4, P5)', `${prefixed(inner)}   sum ${left.allowance + right.allowance}`],
    ['root', `${prefixed(root)}   sum 1000`],
  ];
  return fence(`${columns(first)}\n\n${columns(nodes)}`);
}

function deposit({ bank, deposit: d, id }) {
  return fence(
    columns([
      ['terms', `token 0, lane ${d.lane}, amount ${d.amount}, minPayout ${d.minPayout}, drawTime ${d.drawTime}, redeemUntil ${d.redeemUntil}`],
      ['domain separator', prefixed(separator(bank))],
      ['struct hash', prefixed(structHash('Deposit', d))],
      ['id', prefixed(id)],
    ]),
  );
}

const X0 = Buffer.alloc(32, 0x77);
const streamed = { spent: 100n, anchor: hashChain(X0, 10), step: 20n };
const step = (k) => ({ k: BigInt(k), x: hashChain(X0, 10 - k) });

function chequeOf({ bank, id, payees, signer }, sign, terms) {
  const signed = { depositId: id, payee: payees.P3.address, ...terms };
  return { ...signed, hash: digest(bank, 'Cheque', signed), signature: sign(bank, 'Cheque', signed, signer) };
}

function cheques(s, sign) {
  const plain = chequeOf(s, sign, { spent: 100n, anchor: ZERO_WORD, step: 0n });
  const stream = chequeOf(s, sign, streamed);
  const bytes = proofBytes(2, fieldsOfCheque(plain));
  const list = plainHex(bytes).slice(2, 6);
  const { signature } = plain;
  const taken = [
    ['02', 'type: cheque'],
    [list, `list, ${bytes.length - 3} bytes`],
    [`  a0 ${plainHex(s.id)}`, 'depositId'],
    ['  64', 'spent: 100'],
    ['  80', 'anchor: none'],
    ['  80', 'step: 0'],
    [`  b841 ${plainHex(signature.subarray(0, 32))}`, 'signature, r'],
    [`       ${plainHex(signature.subarray(32, 64))}`, 's'],
    [`       ${plainHex(signature.subarray(64))}`, `v: ${signature[64]}`],
  ];
  const opening = proofBytes(1, fieldsOfOpening({ ...s.bank, deposit: s.deposit, ...s.leafOf(s.payees.P3), ...plain }));
  const others = [
    ['opening', opening],
    ['cheque with the stream', proofBytes(2, fieldsOfCheque(stream))],
    ['third step', proofBytes(3, fieldsOfStep({ depositId: s.id, ...step(3) }))],
  ];
  return [
    fence(
      columns([
        ['digest, plain', prefixed(plain.hash)],
        ['anchor = x_10', prefixed(streamed.anchor)],
        ['digest, stream', prefixed(stream.hash)],
        ['x_9 (k = 1)', prefixed(step(1).x)],
        ['x_7 (k = 3)', prefixed(step(3).x)],
      ]),
    ),
    fence(`${columns(taken)}\n\n${base64url(bytes)}`),
    fence(others.map(([name, encoded]) => `${name}, ${encoded.length} bytes\n${lines(encoded)}`).join('\n\n')),
  ];
}

function draw({ beacon, drawn, deposit: d, seed, roll: point }) {
  const { round } = roundAt(beacon, d.drawTime);
  const signed = message(round);
  const rows = [
    ['round', `(${d.drawTime} - ${beacon.genesis}) / ${beacon.period} + 1 = ${round}`],
    ['message', prefixed(signed)],
  ];
  const hashed = uncompressed(hashToG1(signed));
  const tail = [['seed', prefixed(seed)], ['roll', String(point)]];
  const points = [['message in G1, x then y', hashed], ['signature', drawn.signature], ['proof: x then y', drawn.proof]];
  const middle = points.map(([name, bytes]) => `${name}\n${halves(bytes)}`).join('\n');
  return fence(`${columns(rows)}\n${middle}\n${columns(tail)}`);
}

const halves = (bytes) => plainHex(bytes).match(/.{96}/g).map((half) => `  ${half}`).join('\n');

function results(s) {
  const { start, allowance } = s.leafOf(s.payees.P3);
  const { amount, minPayout } = s.deposit;
  const rows = TOTALS.map((spent) => {
    const { payout, range } = payoutAndRange({ amount, allowance, minPayout, spent });
    return [spent, payout, range, start + range - 1n, wins(start, range, s.roll) ? 'wins' : 'loses'];
  });
  const head = ['total of P3', 'payout', 'range', `wins from ${start} to`, `roll ${s.roll}`];
  return `${line(head)}${'|---'.repeat(head.length)}|\n${rows.map(line).join('')}`;
}

function redemption(s, sign) {
  const leaf = s.leafOf(s.payees.P3);
  const cheque = chequeOf(s, sign, streamed);
  const r = { ...leaf, ...cheque, ...step(3), to: ZERO_ADDRESS, consent: Buffer.alloc(0) };
  const bytes = packed(s.deposit, r);
  const state = { bank: s.bank, open: (_, id) => id.equals(s.id), time: s.deposit.drawTime + 1n, caller: leaf.payee, seed: s.seed, isProven: true };
  const { outcome, payout } = judge(bytes, state);
  if (outcome !== 'Payable') throw new Error(`the redemption of the example is ${outcome}`);
  const { amount, minPayout } = s.deposit;
  const terms = { amount, minPayout, allowance: leaf.allowance, spent: 160n, redeemCost: COST };
  const { range } = payoutAndRange(terms);
  const consent = digest(s.bank, 'Consent', { depositId: s.id, payee: leaf.payee, spent: 160n, to: ZERO_ADDRESS });
  return fence(
    `redemption, ${bytes.length} bytes, levels ${bytes[218]}, form 0x${bytes[219].toString(16)}\n${lines(bytes)}\n\n` +
      columns([
        ['Consent(id, P3, 160, 0)', prefixed(consent)],
        ['V(160) at a cost of 10', `floor(${range} * ${payout - COST} / ${amount}) = ${value(terms)}`],
      ]),
  );
}
