// seeds.json: beacons with the seeds of some rounds, times with and without a round, and what is no proof of a round.
import {
  GROUP_ORDER, compressed, compressedKey, hashToG1, keyPoint, message, publicKeyOf, refusalOfProof, refusalOfSignature, roundAt,
  seedOf, sign, timeOf, uncompressed, uncompressedKey,
} from './beacon.mjs';
import { MAX_U64, named, toInt, uint, unhex } from './bytes.mjs';
import { refusedProofs, refusedSignatures } from './refused.mjs';
import { ZERO_WORD } from './scene.mjs';

/** A beacon with a published key and a round in every second. Its round is its time. */
export const own = (() => {
  const secret = uint(toInt(named('secret key of the beacon')) % GROUP_ORDER, 32);
  const publicKey = uncompressedKey(publicKeyOf(secret));
  return { name: 'a beacon with a published key', secret, publicKey, genesis: 1n, period: 1n };
})();

/** The round of our own beacon: its signature, compressed and not. */
export function ownRound(round) {
  const point = sign(own.secret, message(round));
  return { round, signature: compressed(point), proof: uncompressed(point) };
}

/** Quicknet and the rounds that a relay gave, which are verified here. `recorded` is quicknet.json. */
export function quicknet(recorded) {
  const publicKey = unhex(recorded.publicKey);
  const beacon = { name: 'quicknet', publicKey, genesis: BigInt(recorded.genesis), period: BigInt(recorded.period) };
  if (!compressedKey(keyPoint(publicKey)).equals(unhex(recorded.publicKeyCompressed))) throw new Error('two keys of quicknet');
  const rounds = recorded.rounds.map((given) => {
    const [round, signature, proof] = [BigInt(given.round), unhex(given.signature), unhex(given.proof)];
    verify(beacon, { round, signature, proof });
    if (!seedOf(proof).equals(unhex(given.seed))) throw new Error(`round ${round} of quicknet has another seed`);
    return { round, signature, proof };
  });
  const larger = rounds.filter(({ signature }) => signature[0] & 0x20);
  if (larger.length === 0 || larger.length === rounds.length) throw new Error('no rounds of quicknet with y of either sign');
  return { beacon, rounds };
}

function verify(beacon, { round, signature, proof }) {
  const refusal = refusalOfProof(beacon, round, proof) ?? refusalOfSignature(beacon, round, signature);
  if (refusal) throw new Error(`round ${round} of ${beacon.name}: ${refusal}`);
}

export function seeds(real) {
  const beacons = [real.beacon, own];
  // Some are on the grid of 300 seconds of payers.
  const times = [1n, 2n, 255n, 256n, (1n << 32n) + 1n, 1800000000n, 1800000300n, 1800000600n, MAX_U64];
  const rounds = [real.rounds, times.map(ownRound)];
  return {
    about:
      'Beacons, with the secret key if it is published, else zero. Rounds: `message` is sha256 of the round, `hashed` its point of G1, ' +
      '`signature` is compressed, `proof` is not, `seed` is sha256 of the signature. `schedule`: times with their round, or with ' +
      'the `refusal`. `refusedProofs` and `refusedSignatures` do not prove the round of `drawTime`; `reason` is the first that ' +
      'holds: length, not_compressed, identity, not_canonical, off_curve, outside_subgroup, wrong_signature.',
    beacons: beacons.map(({ name, secret, publicKey, genesis, period }) => ({
      name,
      secret: secret ?? ZERO_WORD,
      publicKey,
      publicKeyCompressed: compressedKey(keyPoint(publicKey)),
      genesis,
      period,
    })),
    rounds: rounds.flatMap((list, i) => list.map((round) => described(beacons, i, round))),
    schedule: schedule(beacons),
    refusedProofs: refusedProofs(real, own),
    refusedSignatures: refusedSignatures(real, own),
  };
}

function described(beacons, index, { round, signature, proof }) {
  const [beacon, signed] = [beacons[index], message(round)];
  verify(beacon, { round, signature, proof });
  return {
    beacon: BigInt(index),
    drawTime: timeOf(beacon, round),
    round,
    message: signed,
    hashed: uncompressed(hashToG1(signed)),
    signature,
    proof,
    seed: seedOf(proof),
  };
}

function schedule(beacons) {
  const [{ genesis, period }] = beacons;
  const ofQuicknet = [
    ...[0n, genesis - period, genesis - 1n, genesis, genesis + 1n, genesis + 2n, genesis + period],
    ...[1800000000n, 1800000001n, 1800000300n, MAX_U64 - 2n, MAX_U64 - 1n, MAX_U64],
  ];
  return [ofQuicknet, [0n, 1n, 2n, MAX_U64]].flatMap((times, i) =>
    times.map((drawTime) => {
      const { round = 0n, refusal = '' } = roundAt(beacons[i], drawTime);
      return { beacon: BigInt(i), drawTime, round, refusal };
    }),
  );
}
