// wire.json: proofs of payment as bytes and as text.
import { MAX_U128, MAX_U64, base64url, named } from './bytes.mjs';
import { hashChain } from './draw.mjs';
import { malformed } from './malformed.mjs';
import { fieldsOfCheque, fieldsOfOpening, fieldsOfStep, proofBytes } from './proofs.mjs';
import { ZERO_WORD, account, banks, deposits as someDeposits, signer } from './scene.mjs';
import { ordinaryDeposits } from './deposits.mjs';
import { pack } from './tree.mjs';

const chequeOnly = ({ depositId, spent, anchor, step, signature }) => ({ depositId, spent, anchor, step, signature });

const forms = (bytes) => ({ length: BigInt(bytes.length), hex: bytes, text: base64url(bytes) });

export function wire(sign) {
  const [seven, one, two] = ordinaryDeposits();
  const bank = banks[0];
  const cheque = (scene, leaf, spent, stream = {}) => {
    const terms = { anchor: ZERO_WORD, step: 0n, ...stream, spent };
    return { ...terms, signature: sign(bank, 'Cheque', { depositId: scene.id, payee: leaf.payee, ...terms }, signer) };
  };
  const opening = (scene, at, ...rest) => {
    const leaf = scene.leaves[at];
    const { payee, allowance, salt, path, siblings } = leaf;
    return { ...bank, deposit: scene.deposit, payee, allowance, salt, path, siblings, ...cheque(scene, leaf, ...rest) };
  };
  const stream = { anchor: hashChain(named('x_0 on the wire'), 4096), step: 1000n };
  const shown = (k) => ({ depositId: seven.id, k: BigInt(k), x: hashChain(named('x_0 on the wire'), 4096 - k) });
  const full = Buffer.alloc(65, 0xff);
  const most = {
    chainId: banks[3].chainId, bank: banks[3].bank, deposit: someDeposits.find(({ name }) => name === 'largest values').deposit,
    allowance: MAX_U128, salt: Buffer.alloc(16, 0xff), path: (1n << 40n) - 1n,
    siblings: Array(40).fill({ hash: Buffer.alloc(32, 0xff), sum: MAX_U128 }),
    payee: Buffer.alloc(20, 0xff), spent: MAX_U128, anchor: Buffer.alloc(32, 0xff), step: MAX_U128, signature: full,
  };
  const first = opening(seven, 0, 123456789n);
  const deep = { ...first, siblings: Array.from({ length: 41 }, (_, i) => first.siblings[i % first.siblings.length]) };
  const openings = [
    ['the first of seven payees', first],
    ['the promoted last of seven payees', opening(seven, 6, 1n)],
    ['with a stream', opening(seven, 3, 5n, stream)],
    ['a stream and nothing spent', opening(seven, 3, 0n, stream)],
    ['a tree of one leaf', opening(one, 0, 1n << 59n)],
    ['an allowance below 128', opening(two, two.leaves.findIndex(({ allowance }) => allowance === 1n), 1n)],
    ['largest values (not a valid payment)', most],
    ['41 siblings (not a valid payment)', deep],
    ['a path bit beyond the siblings (not a valid payment)', { ...first, path: 1n << BigInt(first.siblings.length) }],
    ['the highest path bit (not a valid payment)', { ...first, path: 1n << 63n }],
  ];
  const cheques = [
    ['plain', { depositId: seven.id, ...cheque(seven, seven.leaves[0], 123456789n) }],
    ['a total of one unit', { depositId: seven.id, ...cheque(seven, seven.leaves[0], 1n) }],
    ['a total of 127 units', { depositId: seven.id, ...cheque(seven, seven.leaves[0], 127n) }],
    ['a total of 128 units', { depositId: seven.id, ...cheque(seven, seven.leaves[0], 128n) }],
    ['a total of 2^64 - 1 units', { depositId: seven.id, ...cheque(seven, seven.leaves[0], MAX_U64) }],
    ['with a stream', { depositId: seven.id, ...cheque(seven, seven.leaves[3], 5n, stream) }],
    ['a stream and nothing spent', { depositId: seven.id, ...cheque(seven, seven.leaves[3], 0n, stream) }],
    ['a stream of the largest steps', { depositId: seven.id, ...cheque(seven, seven.leaves[3], MAX_U64, { ...stream, step: MAX_U128 }) }],
    ['largest values (not a valid payment)', { ...most, depositId: Buffer.alloc(32, 0xff) }],
  ];
  const steps = [1, 127, 128, 256, 4096].map((k) => [`step ${k}`, shown(k)]);
  const plain = { opening: openings[2][1], cheque: cheques[0][1], streamed: cheques[5][1], step: shown(300) };
  return {
    about:
      'Proofs of payment. `hex` is the type byte and the RLP list, `text` the same in unpadded base64url. Siblings are packed ' +
      'as in trees.json. An opening that is not a valid payment decodes, and its proof of the allowance is not accepted. ' +
      '`malformed`: byte strings that do not decode, each with the `reason`.',
    openings: openings.map(([name, o]) => ({ name, ...o, siblings: pack(o.siblings), ...forms(proofBytes(1, fieldsOfOpening(o))) })),
    cheques: cheques.map(([name, c]) => ({ name, ...chequeOnly(c), ...forms(proofBytes(2, fieldsOfCheque(c))) })),
    steps: steps.map(([name, s]) => ({ name, ...s, ...forms(proofBytes(3, fieldsOfStep(s))) })),
    ...malformed(plain),
  };
}
