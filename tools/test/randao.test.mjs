import assert from 'node:assert/strict';
import fs from 'node:fs';
import test from 'node:test';
import { MANY, ONE, expectedProfit, expectedWins, manyDeposits, oneDeposit, tables } from '../randao.mjs';

// A fair result is farther off than this once in 15,000 runs; the seeds are fixed, so each run gives the same result.
const DEVIATIONS = 4;

for (const setting of [...ONE, ...ONE.map((one) => ({ ...one, draws: 5_000 }))]) {
  test(`wins ${setting.draws} draws as often as expected, ${setting.most} withheld`, () => {
    const expected = expectedWins(setting);
    const deviation = Math.sqrt(expected * (1 - expected / setting.draws));
    const { wins } = oneDeposit(setting);
    assert.ok(Math.abs(wins - expected) <= DEVIATIONS * deviation, `${wins} wins, ${expected} expected`);
  });
}

test('withholds once for each win it may take away', () => {
  const results = ONE.map(oneDeposit);
  for (const [index, { withheld }] of results.entries()) {
    const wins = results.slice(0, index).reduce((sum, result) => sum + result.wins, 0);
    assert.equal(withheld, wins);
  }
});

for (const setting of MANY) {
  test(`gains as much as expected from ${setting.count} deposits`, () => {
    const { times, count, amount, percent } = setting;
    const { mean, deviation } = expectedProfit(setting);
    const payments = (BigInt(times * count) * amount * percent) / 100n;
    const share = Number(manyDeposits(setting).profit) / Number(payments);
    const bound = (DEVIATIONS * deviation) / Math.sqrt(times);
    assert.ok(Math.abs(share - mean) <= bound, `${share}, ${mean} expected, within ${bound}`);
  });
}

test('gains 5 % from 100 deposits of 0.02 coin', () => {
  const { mean } = expectedProfit(MANY.at(-1));
  assert.ok(mean > 0.05 && mean < 0.052, `${mean}`);
});

test('gains nothing where a payload costs all payouts', () => {
  const setting = { ...MANY.at(-1), price: 2n * 10n ** 18n };
  assert.equal(manyDeposits(setting).profit, 0n);
  assert.deepEqual(expectedProfit(setting), { mean: 0, deviation: 0 });
});

test('prints the tables of DESIGN.md', () => {
  const design = fs.readFileSync(new URL('../../DESIGN.md', import.meta.url), 'utf8');
  for (const table of tables()) assert.ok(design.includes(`\n\n${table}\n\n`), `DESIGN.md lacks\n${table}`);
});
