// trees.json: honest trees with their proofs, and proofs of a dishonest payer's trees.
import { MAX_U128, keccak, named } from './bytes.mjs';
import { build, comb, innerHash, leafHash, leafSalt, pack, payeeNumber } from './tree.mjs';

const MAX_DEPTH = 40;

// A plain number is a number of payees, with the allowances of `payeeNumber`.
const shapes = [
  ['one payee', [10n ** 18n]],
  ['one payee with all there can be', [MAX_U128]],
  ['two payees, 10000 to 1', [10000n, 1n]],
  ['one unit beside 2^127', [1n, 1n << 127n]],
  ['two payees with all there can be', [1n << 127n, (1n << 127n) - 1n]],
  ['three payees', [1n, 2n, 3n]],
  ['seven payees, uneven', [1n, 10n ** 18n, 7n, 1n << 100n, 12345678901234567890n, 1n, 99n]],
  ['seven payees, one with nearly all', [1n, 1n, 1n, MAX_U128 - 6n, 1n, 1n, 1n]],
  ['128 payees', 128],
  ['1000 payees', 1000],
];

export function trees() {
  return {
    about:
      'Payee i, from 0, is the last 20 bytes of h = keccak256(i as 32 bytes). Where `allowances` is empty its allowance is ' +
      '1 + (the first 8 bytes of h as an integer >> (i mod 64)). Leaves stand in tree order; `leaves` is the keccak256 of ' +
      'all leaf hashes in that order. `proofs` has every leaf of a small tree, some of a large one.',
    trees: shapes.map(([name, shape]) => tree(name, shape)),
    planted: planted(),
  };
}

export function payees(shape) {
  if (typeof shape === 'number') return Array.from({ length: shape }, (_, i) => payeeNumber(i));
  return shape.map((allowance, i) => ({ payee: payeeNumber(i).payee, allowance }));
}

function tree(name, shape) {
  const master = named(`master salt, ${name}`);
  const { root, amount, leaves } = build(payees(shape), master);
  const count = leaves.length;
  const shown = count <= 7 ? leaves.keys() : [0, 1, Math.floor(count / 2), count - 2, count - 1];
  return {
    name,
    master,
    count: BigInt(count),
    allowances: typeof shape === 'number' ? [] : shape,
    amount,
    root,
    leaves: keccak(...leaves.map(({ leaf }) => leaf)),
    proofs: [...shown].map((index) => ({ index: BigInt(index), ...leaves[index], siblings: pack(leaves[index].siblings) })),
  };
}

// Proofs against a root and an amount, with the verdict: `ok`, or the check that fails. `length` (no whole number of
// levels), `depth`, `path`, `total` and `root` are checked in this order.
function planted() {
  const payee = payeeNumber(0).payee;
  const salt = leafSalt(named('master salt, planted'), payee);
  const list = [];
  const put = (name, verdict, { allowance, path = 0n, siblings = [], packed = pack(siblings), root, amount, start = 0n }) =>
    list.push({ name, verdict, payee, allowance, salt, path, siblings: packed, root, amount, start });
  const leaf = (allowance) => leafHash(payee, allowance, salt);
  const other = (sum, name = 'a planted sibling') => ({ hash: named(name), sum });

  const edge = (depth, isRightmost) => {
    const { root, amount, leaf: placed } = comb({ payee, allowance: 3n, salt }, depth, isRightmost);
    return { ...placed, root, amount };
  };
  put('forty levels, leftmost', 'ok', edge(MAX_DEPTH, false));
  put('forty levels, rightmost', 'ok', edge(MAX_DEPTH, true));
  put('forty-one levels', 'depth', edge(MAX_DEPTH + 1, false));
  put('sixty-four levels, every path bit set', 'depth', { ...edge(64, true), path: (1n << 40n) - 1n });

  const three = edge(3, true);
  put('three levels', 'ok', three);
  put('a path bit beyond the levels', 'path', { ...three, path: three.path | 8n });
  put('the highest path bit', 'path', { ...three, path: three.path | (1n << 39n) });
  put('a path bit without any level', 'path', { allowance: 3n, path: 1n, root: leaf(3n), amount: 3n });
  put('a byte missing', 'length', { ...three, packed: pack(three.siblings).subarray(1) });
  put('a byte too many', 'length', { ...three, packed: Buffer.concat([pack(three.siblings), Buffer.alloc(1)]) });
  put('the hash of a level only', 'length', { ...three, packed: pack(three.siblings).subarray(0, 32) });
  put('a level missing', 'total', { ...three, path: 3n, siblings: three.siblings.slice(0, 2) });
  put('an amount one more', 'total', { ...three, amount: three.amount + 1n });
  put('an amount one less', 'total', { ...three, amount: three.amount - 1n });
  put('an allowance one more', 'total', { ...three, allowance: 4n });
  put('left and right exchanged', 'root', { ...three, path: 5n });
  put('another root', 'root', { ...three, root: named('another root') });
  const moved = three.siblings.map((sibling, level) => ({ ...sibling, sum: [1n, 0n, 2n][level] }));
  put('a unit moved between siblings', 'root', { ...three, siblings: moved });

  // Two leaves whose sums wrap around at 2^128 to the amount.
  const wrapped = { hash: innerHash(leaf(MAX_U128), MAX_U128, other(6n).hash, 6n), sum: 5n };
  put('a sum that wraps around to the amount', 'total', {
    allowance: MAX_U128,
    siblings: [other(6n)],
    root: wrapped.hash,
    amount: 5n,
  });
  put('a sum that wraps around below the root', 'total', {
    allowance: MAX_U128,
    siblings: [other(6n), other(1n, 'its uncle')],
    root: innerHash(wrapped.hash, wrapped.sum, other(1n, 'its uncle').hash, 1n),
    amount: 6n,
  });

  // The parent says 5 + 5 while this leaf is worth 8: neither 8 nor the parent's 5 is proven.
  const cheating = { root: innerHash(leaf(8n), 5n, other(5n).hash, 5n), amount: 10n, siblings: [other(5n)] };
  put('an allowance larger than its parent says', 'total', { ...cheating, allowance: 8n });
  put('an allowance of what its parent says', 'root', { ...cheating, allowance: 5n });
  return list;
}
