// The deposits of redemptions.json, which one round of quicknet draws.
import { MAX_U128, named } from './bytes.mjs';
import { roll } from './draw.mjs';
import { account, banks, idOf, ordinary, token } from './scene.mjs';
import { build, comb, innerHash, leafHash } from './tree.mjs';

const [bank] = banks;
const E15 = 10n ** 15n;

export const payeeOf = (n) => account(`payee ${n}`);

const terms = (lane, changes) => ({ ...ordinary, lane: BigInt(lane), ...changes });

function placed(name, deposit, leaves) {
  return { name, deposit, id: idOf(bank, deposit), leaves };
}

function honest(name, lane, allowances, changes) {
  const list = allowances.map((allowance, n) => ({ payee: payeeOf(n).address, allowance }));
  const { root, amount, leaves } = build(list, named(`master salt, ${name}`));
  return placed(name, terms(lane, { amount, root, ...changes }), leaves);
}

/** Payouts from minPayout up, a fixed payout, and no minPayout. */
export const ordinaryDeposits = () => [
  honest(
    'seven payees',
    1,
    [400n * E15 + 1n, 250n * E15 + 7n, 150n * E15, 100n * E15, 60n * E15, 30n * E15, 10n * E15 + 3n],
    { minPayout: 200n * E15 },
  ),
  honest('one payee, the whole deposit or nothing', 2, [1000n * E15], { minPayout: 1000n * E15 }),
  honest('two payees, no smallest payout', 3, [10000n, 1n], { minPayout: 0n }),
];

const tokenDeposit = () => honest('two payees in a token', 1, [1000n, 999n], { minPayout: 200n, token });

/** A proof of forty levels, one of forty-one, and one whose sum wraps around at 2^128 to the amount. */
function plantedDeposits() {
  const leaf = (name, allowance) => ({ payee: payeeOf(0).address, allowance, salt: named(name).subarray(16) });
  const edge = (name, lane, depth, isRightmost) => {
    const tree = comb(leaf(name, 10n ** 6n), depth, isRightmost);
    return placed(name, terms(lane, { amount: tree.amount, minPayout: 0n, root: tree.root }), [tree.leaf]);
  };
  const wrapping = { ...leaf('a sum of 2^128 + 5', MAX_U128), path: 0n, siblings: [{ hash: named('planted'), sum: 6n }], start: 0n };
  const [{ hash, sum }] = wrapping.siblings;
  const root = innerHash(leafHash(wrapping.payee, MAX_U128, wrapping.salt), MAX_U128, hash, sum);
  return [
    edge('forty levels', 4, 40, true),
    edge('forty-one levels', 5, 41, false),
    placed('a sum of 2^128 + 5', terms(6, { amount: 5n, minPayout: 0n, root }), [wrapping]),
  ];
}

/** Four deposits of 4 units, drawn at 0, 1, 2 and 3. The first payee has the points 1 and 2. */
function pointDeposits(seed) {
  const found = [];
  for (let lane = 100; found.filter(Boolean).length < 4; lane++) {
    const siblings = [1n, 1n].map((sum, i) => ({ hash: named(`planted beside two points, ${i}`), sum }));
    const leaf = { payee: payeeOf(0).address, allowance: 2n, salt: named('two points').subarray(16), path: 1n, siblings, start: 1n };
    const [left, right] = siblings;
    const below = innerHash(left.hash, left.sum, leafHash(leaf.payee, leaf.allowance, leaf.salt), leaf.allowance);
    const deposit = terms(lane, { amount: 4n, minPayout: 0n, root: innerHash(below, 3n, right.hash, right.sum) });
    const point = roll(seed, idOf(bank, deposit), 4n);
    found[point] ??= placed(`four units drawn at ${point}`, deposit, [leaf]);
  }
  return found;
}

/** All deposits, each with its roll and the leaf that has it (none if the roll lies beside the leaves). */
export const drawnDeposits = (seed) =>
  [...ordinaryDeposits(), tokenDeposit(), ...plantedDeposits(), ...pointDeposits(seed)].map((scene) => {
    const point = roll(seed, scene.id, scene.deposit.amount);
    const winner = scene.leaves.find(({ start, allowance }) => start <= point && point < start + allowance);
    return { ...scene, roll: point, winner };
  });
