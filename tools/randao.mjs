#!/usr/bin/env node
// node tools/randao.mjs: why the bank does not draw from PREVRANDAO. Prints the two tables of DESIGN.md.
//
// The model: from EIP-7732 on, the seed of a slot, and the seed of the next slot after a withheld payload, are known
// before the payload is due. The holder of a draw block's payload looks at its seed, and publishes or withholds the
// payload. After a withheld payload the next slot's seed counts, until the holder may withhold no more. Seeds are hashes of
// their place in the simulation. All else is the bank's arithmetic: roll, payout and range of SPEC.md, sections 6 and 8.
import { fileURLToPath } from 'node:url';
import { keccak, named, uint } from './vectors/bytes.mjs';
import { payoutAndRange, roll, wins } from './vectors/draw.mjs';

const COIN = 10n ** 18n;
const SEEDS = named('seeds that a withheld payload changes');
const IDS = named('ids of deposits under attack');

const seed = (time, withheld) => keccak(SEEDS, uint(time, 8), uint(withheld, 8));
const id = (time, number) => keccak(IDS, uint(time, 8), uint(number, 8));

/** A deposit whose payout is always the whole amount. Its one payee wins with a chance of `percent`. */
function terms(amount, percent) {
  const allowance = (amount * percent) / 100n;
  return { amount, allowance, minPayout: amount, spent: allowance };
}

/** The payout of a deposit under a seed. */
function paid(deposit, depositId, drawSeed) {
  const { payout, range } = payoutAndRange(deposit);
  return wins(0n, range, roll(drawSeed, depositId, deposit.amount)) ? payout : 0n;
}

/** The payee's wins in `draws` draws of one deposit, and the payloads withheld, if the payer may withhold `most` in a row. */
export function oneDeposit({ draws, percent, most }) {
  const deposit = terms(COIN, percent);
  const result = { wins: 0, withheld: 0 };
  for (let time = 0; time < draws; time++) {
    const payeeWins = (withheld) => paid(deposit, id(time, 0), seed(time, withheld)) > 0n;
    let withheld = 0;
    while (withheld < most && payeeWins(withheld)) withheld++;
    if (payeeWins(withheld)) result.wins++;
    result.withheld += withheld;
  }
  return result;
}

/** The payee's wins in the mean. The payee has to win under each of `most` + 1 independent seeds. */
export const expectedWins = ({ draws, percent, most }) => draws * (Number(percent) / 100) ** (most + 1);

/**
 * Payments and profit of a payer with `count` deposits at each draw time. The payer may withhold one payload per time, at
 * `price`, and does so if the other seed saves more than that.
 */
export function manyDeposits({ times, count, amount, percent, price }) {
  const deposit = terms(amount, percent);
  const result = { payments: 0n, profit: 0n };
  for (let time = 0; time < times; time++) {
    const seeds = [seed(time, 0), seed(time, 1)];
    const totals = [0n, 0n];
    for (let number = 0; number < count; number++) {
      const depositId = id(time, number);
      seeds.forEach((drawSeed, index) => (totals[index] += paid(deposit, depositId, drawSeed)));
    }
    const gain = totals[0] - totals[1] - price;
    result.payments += totals[0];
    if (gain > 0n) result.profit += gain;
  }
  return result;
}

/** The chances of 0 to `count` wins. */
function binomial(count, chance) {
  const chances = [(1 - chance) ** count];
  for (let k = 1; k <= count; k++) chances.push((chances[k - 1] * (count - k + 1) * chance) / (k * (1 - chance)));
  return chances;
}

/** The payer's profit at one draw time as a share of its mean payments: mean and standard deviation over all seeds. */
export function expectedProfit({ count, amount, percent, price }) {
  const chance = Number(percent) / 100;
  const chances = binomial(count, chance);
  let [mean, square] = [0, 0];
  for (let first = 0; first <= count; first++) {
    for (let second = 0; second < first; second++) {
      const gain = Math.max(0, first - second - Number(price) / Number(amount)) / (count * chance);
      mean += chances[first] * chances[second] * gain;
      square += chances[first] * chances[second] * gain ** 2;
    }
  }
  return { mean, deviation: Math.sqrt(square - mean ** 2) };
}

export const ONE = [0, 1, 2, 3].map((most) => ({ draws: 300, percent: 30n, most }));

/** 2 coins at each draw time, in 1 to 100 deposits. A withheld payload costs 0.05 coin. */
export const MANY = [1n, 10n, 100n].map((count) => (
  { times: 300, count: Number(count), amount: (2n * COIN) / count, percent: 30n, price: COIN / 20n }
));

const line = (cells) => `| ${cells.join(' | ')} |`;
const percents = (share) => `${(100 * share).toFixed(1)} %`;

/** The two tables in Markdown. */
export function tables() {
  const one = ONE.map((setting) => {
    const { wins: won, withheld } = oneDeposit(setting);
    return line([setting.most, won, expectedWins(setting).toFixed(1), withheld]);
  });
  const many = MANY.map((setting) => {
    const { payments, profit } = manyDeposits(setting);
    const coin = Number(setting.amount) / Number(COIN);
    return line([setting.count, coin, percents(Number(profit) / Number(payments)), percents(expectedProfit(setting).mean)]);
  });
  const rule = '|--:|--:|--:|--:|';
  return [
    [line(['payloads the payer may withhold', 'wins of the payee', 'expected', 'payloads withheld']), rule, ...one],
    [line(['deposits at one draw time', 'coins in each', 'profit of the payer', 'expected']), rule, ...many],
  ].map((lines) => lines.join('\n'));
}

if (process.argv[1] === fileURLToPath(import.meta.url)) console.log(tables().join('\n\n'));
