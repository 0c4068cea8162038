// Seeds, rolls, payouts and streams, by the formulas of "Draw", "Cheque" and "Payout and range".
import { keccak, toInt } from './bytes.mjs';

export const roll = (seed, id, amount) => ((toInt(keccak(seed, id)) >> 128n) * amount) >> 128n;

export function payoutAndRange({ amount, allowance, minPayout, spent }) {
  const full = (spent * amount) / allowance;
  if (full >= minPayout) return { payout: full, range: allowance };
  return { payout: minPayout, range: (spent * amount) / minPayout };
}

export const wins = (start, range, point) => start <= point && point < start + range;

/** The value that a payee may credit: the expected payout net of the cost of redeeming, rounded down. */
export function value(terms) {
  const { payout, range } = payoutAndRange(terms);
  const net = payout > terms.redeemCost ? payout - terms.redeemCost : 0n;
  return (range * net) / terms.amount;
}

/** The least total that wins at this roll, or null if the whole allowance loses. */
export function leastWinning(terms, start, point) {
  const hit = (spent) => wins(start, payoutAndRange({ ...terms, spent }).range, point);
  let [low, high] = [1n, terms.allowance];
  if (!hit(high)) return null;
  while (low < high) {
    const middle = (low + high) / 2n;
    if (hit(middle)) high = middle;
    else low = middle + 1n;
  }
  return low;
}

export function hashChain(x, times) {
  for (let i = 0; i < times; i++) x = keccak(x);
  return x;
}
