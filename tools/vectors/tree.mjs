// The allowance tree of SPEC.md, section 5.
import { keccak, named, toInt, uint } from './bytes.mjs';

export const leafSalt = (master, payee) => keccak(master, payee).subarray(0, 16);

export const leafHash = (payee, allowance, salt) => keccak(payee, uint(allowance, 16), salt);

export const innerHash = (left, leftSum, right, rightSum) => keccak(left, uint(leftSum, 16), right, uint(rightSum, 16));

/** Payee number `i` of all vectors, with its default allowance of 1 to 2^64 units. */
export function payeeNumber(i) {
  const hash = keccak(uint(i, 32));
  return { payee: hash.subarray(12), allowance: 1n + (toInt(hash.subarray(0, 8)) >> BigInt(i % 64)) };
}

/** The root, the amount, and all leaves in tree order, each with its proof. */
export function build(list, master) {
  const leaves = list.map(({ payee, allowance }) => {
    const salt = leafSalt(master, payee);
    return { payee, allowance, salt, leaf: leafHash(payee, allowance, salt), path: 0n, siblings: [] };
  });
  leaves.sort((a, b) => Buffer.compare(a.leaf, b.leaf));

  // Nodes carry the leaves below them, so that each pairing extends the leaves' proofs.
  let nodes = leaves.map((leaf) => ({ hash: leaf.leaf, sum: leaf.allowance, below: [leaf] }));
  while (nodes.length > 1) {
    const parents = [];
    for (let i = 0; i < nodes.length; i += 2) {
      const [left, right] = [nodes[i], nodes[i + 1]];
      parents.push(right ? join(left, right) : left);
    }
    nodes = parents;
  }

  let start = 0n;
  for (const leaf of leaves) {
    leaf.start = start;
    start += leaf.allowance;
  }
  return { root: nodes[0].hash, amount: nodes[0].sum, leaves };
}

function join(left, right) {
  for (const leaf of left.below) leaf.siblings.push(right);
  for (const leaf of right.below) {
    leaf.path |= 1n << BigInt(leaf.siblings.length);
    leaf.siblings.push(left);
  }
  return {
    hash: innerHash(left.hash, left.sum, right.hash, right.sum),
    sum: left.sum + right.sum,
    below: [...left.below, ...right.below],
  };
}

export const pack = (siblings) => Buffer.concat(siblings.map(({ hash, sum }) => Buffer.concat([hash, uint(sum, 16)])));

/** A dishonest payer's tree: a leaf at the edge, below `depth` siblings of which the one at level i has the sum i. */
export function comb({ payee, allowance, salt }, depth, isRightmost) {
  const siblings = Array.from({ length: depth }, (_, i) => ({ hash: named(`a planted sibling at level ${i}`), sum: BigInt(i) }));
  let [root, amount] = [leafHash(payee, allowance, salt), allowance];
  for (const { hash, sum } of siblings) {
    root = isRightmost ? innerHash(hash, sum, root, amount) : innerHash(root, amount, hash, sum);
    amount += sum;
  }
  const path = isRightmost ? (1n << BigInt(depth)) - 1n : 0n;
  return { root, amount, leaf: { payee, allowance, salt, path, siblings, start: isRightmost ? amount - allowance : 0n } };
}
