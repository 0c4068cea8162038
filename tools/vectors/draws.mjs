// rolls.json, payouts.json, streams.json: the arithmetic of the draw.
import { MAX_U128, keccak, named, toInt } from './bytes.mjs';
import { hashChain, payoutAndRange, roll, value, wins } from './draw.mjs';
import { banks, idOf, ordinary } from './scene.mjs';

const bank = banks[0];

// Searches for a seed that gives the roll. Ends soon only if the amount is small.
function seedFor(id, amount, wanted) {
  for (let i = 0; ; i++) {
    const seed = named(`seed ${i}`);
    if (wanted === undefined || roll(seed, id, amount) === wanted) return seed;
  }
}

export function rolls() {
  const at = (amount, wanted) => {
    const id = idOf(bank, { ...ordinary, amount, minPayout: 0n });
    const seed = seedFor(id, amount, wanted);
    return { amount, id, seed, high: toInt(keccak(seed, id)) >> 128n, roll: roll(seed, id, amount) };
  };
  return {
    about: 'roll = floor(high * amount / 2^128), where `high` is the upper half of keccak256(seed, id).',
    rolls: [
      at(1n),
      at(2n, 0n),
      at(2n, 1n),
      ...[0n, 1n, 5000n, 9999n, 10000n].map((wanted) => at(10001n, wanted)),
      at(10n ** 18n),
      at(1n << 64n),
      at(1n << 127n),
      at(MAX_U128 - 1n),
      at(MAX_U128),
    ],
  };
}

// [amount, allowance, minPayout, spent]
const E18 = 10n ** 18n;
const table = [
  // full = floor(7 * 1000003 / 300007) = 23, around minPayout
  [1000003n, 300007n, 22n, 7n],
  [1000003n, 300007n, 23n, 7n],
  [1000003n, 300007n, 24n, 7n],
  // full = minPayout exactly, then one unit of spent less and more
  [1000n, 100n, 500n, 50n],
  [1000n, 100n, 500n, 49n],
  [1000n, 100n, 500n, 51n],
  // minPayout 0: the whole allowance always counts
  [1000003n, 300007n, 0n, 1n],
  [1000003n, 300007n, 0n, 300007n],
  // minPayout = amount: the whole deposit or nothing
  [1000003n, 300007n, 1000003n, 1n],
  [1000003n, 300007n, 1000003n, 300006n],
  [1000003n, 300007n, 1000003n, 300007n],
  // one unit spent
  [E18, E18 / 10n, E18 / 2n, 1n],
  [E18, E18 / 10n, 1n, 1n],
  [E18, 1n, E18, 1n],
  [E18, 1n, 0n, 1n],
  // the allowance is the deposit
  [E18, E18, 0n, E18],
  [E18, E18, E18, E18 / 3n],
  [E18, E18, E18, E18],
  [1n, 1n, 0n, 1n],
  [1n, 1n, 1n, 1n],
  // largest values
  [MAX_U128, MAX_U128, 0n, MAX_U128],
  [MAX_U128, MAX_U128, MAX_U128, MAX_U128 - 1n],
  [MAX_U128, MAX_U128, MAX_U128, 1n],
  [MAX_U128, 1n << 127n, MAX_U128 - 1n, (1n << 127n) - 1n],
  [MAX_U128, 1n << 127n, MAX_U128 - 2n, (1n << 127n) - 1n],
  [MAX_U128, 1n, MAX_U128, 1n],
  [MAX_U128, 3n, MAX_U128 / 3n, 1n],
  [MAX_U128, 3n, MAX_U128 / 3n + 1n, 1n],
];

// [start, range], tried at both end points.
const ranges = [
  [0n, 1n],
  [0n, 300007n],
  [699996n, 300007n],
  [41n, 1n],
  [MAX_U128 - 1n, 1n],
  [1n, MAX_U128 - 1n],
  [0n, MAX_U128],
  [1n << 127n, (1n << 127n) - 1n],
];

export function payouts() {
  const terms = table.map(([amount, allowance, minPayout, spent]) => ({ amount, allowance, minPayout, spent }));
  const costs = ({ payout }) => [...new Set([0n, 1n, payout / 3n, payout - 1n, payout, payout + 1n])];
  const points = ([start, range]) => [...new Set([0n, start - 1n, start, start + range - 1n, start + range, MAX_U128 - 1n])];
  return {
    about: 'Payout and range of cheques, winning rolls, and the value that a payee credits, net of redeemCost.',
    payouts: terms.map((t) => ({ ...t, ...payoutAndRange(t) })),
    wins: ranges.flatMap(([start, range]) =>
      points([start, range])
        .filter((point) => point >= 0n && point < MAX_U128)
        .map((point) => ({ start, range, roll: point, wins: wins(start, range, point) })),
    ),
    values: terms
      .filter((_, i) => i % 3 === 0)
      .flatMap((t) =>
        costs(payoutAndRange(t))
          .filter((redeemCost) => redeemCost <= MAX_U128)
          .map((redeemCost) => ({ ...t, redeemCost, value: value({ ...t, redeemCost }) })),
      ),
  };
}

export function streams() {
  const lengths = [1, 2, 100, 4096];
  const chain = (n) => ({ x0: named(`x_0 of ${n}`), n: BigInt(n) });
  const anchorOf = ({ x0, n }) => hashChain(x0, Number(n));
  const shown = lengths.map(chain).flatMap((c) => {
    const n = Number(c.n);
    const steps = [...new Set([1, 2, Math.floor(n / 2), n - 1, n])].filter((k) => k >= 1 && k <= n);
    return steps.map((k) => ({ anchor: anchorOf(c), k: BigInt(k), x: hashChain(c.x0, n - k) }));
  });
  const hundred = chain(100);
  const anchor = anchorOf(hundred);
  const beyond = named('x_0 of 4097');
  return {
    about: 'x_{i+1} = keccak256(x_i), anchor = x_n. Showing x = x_{n-k} proves k steps.',
    streams: lengths.map((n) => ({ ...chain(n), anchor: anchorOf(chain(n)) })),
    shown,
    // `leads`: k hashes do lead from x to the anchor, but there are too many.
    refused: [
      { name: 'the anchor itself', anchor, k: 1n, x: anchor, leads: false },
      { name: 'a step too few', anchor, k: 6n, x: hashChain(hundred.x0, 93), leads: false },
      { name: 'a step too many', anchor, k: 8n, x: hashChain(hundred.x0, 93), leads: false },
      { name: 'before x_0', anchor, k: 101n, x: hundred.x0, leads: false },
      { name: 'zero', anchor, k: 1n, x: Buffer.alloc(32), leads: false },
      { name: '4097 steps', anchor: hashChain(beyond, 4097), k: 4097n, x: beyond, leads: true },
    ],
  };
}
