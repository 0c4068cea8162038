//! Proofs of payment that were changed on their way.

use crate::{
    common::{self, rng, word},
    host::{Disk, Host},
    payer::Payer,
};
use alloy_primitives::Address;
use alloy_rlp::Header;
use cheque::{Amount, Bank, Proof, Rejection, Signature, Stream, View, receive_payment};

const HEAD: u64 = 1_000;

struct Scene {
    payer: Payer,
    host: Host,
    view: View,
}

fn scene() -> Scene {
    let rng = &mut rng(60);
    let bank = Bank::new(31_337, common::account(rng));
    let payee = common::account(rng);
    let mut allowances = vec![(payee, Amount::new(1_000_000))];
    for units in [5, 70_000, 900_000_000_000] {
        allowances.push((common::account(rng), Amount::new(units)));
    }
    let payer = Payer::new(rng, bank, allowances, |amount| amount / 3, HEAD + 1_000);
    Scene {
        view: payer.view(HEAD, Amount::new(1_000)),
        host: Host::new(payee, bank),
        payer,
    }
}

impl Scene {
    fn payee(&self) -> Address {
        self.host.policy.payee
    }

    /// Pays by a cheque, which may begin a stream.
    fn cheque(&mut self, amount: u128, stream: Option<Stream>) {
        let payee = self.payee();
        self.payer.cheque(payee, Amount::new(amount), stream);
    }

    fn proofs(&mut self, with_opening: bool) -> Vec<Proof> {
        let payee = self.payee();
        self.payer.proofs(payee, with_opening)
    }

    fn receive_all(&mut self, proofs: Vec<Proof>) {
        for proof in proofs {
            self.host.receive(proof, &self.view).unwrap();
        }
    }

    /// Changes of one byte of this proof, by each of these flips, are rejected for the right reason and change nothing;
    /// the proof itself is good.
    fn assert_tamper_proof(
        mut self,
        proof: &Proof,
        flips: impl Iterator<Item = u8> + Clone,
        right: fn(&[usize], &Rejection) -> bool,
    ) {
        let bytes = proof.encode();
        let disk = self.host.disk.clone();
        let position = self.host.positions().next();
        let (mut unread, mut judged) = (0, 0);
        for (at, field) in fields(&bytes).iter().enumerate() {
            for flip in flips.clone() {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                let Ok(decoded) = Proof::decode(&changed) else {
                    unread += 1;
                    continue;
                };
                assert_eq!(decoded.encode(), changed, "one proof has one encoding");
                if position.is_some() && without_v(&decoded) == without_v(proof) {
                    self.assert_worth_the_same(&decoded, proof);
                    continue;
                }
                let rejection = if flip.is_power_of_two() {
                    self.host.receive(decoded, &self.view).unwrap_err()
                } else {
                    // The same without a host, which would look for the meta of a deposit that it does not know.
                    let own = decoded.deposit_id() == self.payer.id;
                    let position = position.as_ref().filter(|_| own);
                    let judged =
                        receive_payment(None, &decoded, position, &self.view, &self.host.policy);
                    judged.unwrap_err()
                };
                assert!(
                    right(field, &rejection),
                    "byte {at} of field {field:?}: {rejection}"
                );
                assert_eq!(self.host.disk, disk);
                judged += 1;
            }
        }
        assert!(unread > 100 && judged > 800, "{unread} and {judged}");
        for length in 0..bytes.len() {
            assert!(Proof::decode(&bytes[..length]).is_err());
        }
        assert!(Proof::decode(&[&bytes[..], &[0]].concat()).is_err());
        self.assert_text_tamper_proof(proof, &disk);
        self.host.receive(proof.clone(), &self.view).unwrap();
        assert_ne!(self.host.disk, disk);
    }

    /// The key of the signer is known, so a cheque counts with either v of Ethereum, and with no other.
    fn assert_worth_the_same(&self, changed: &Proof, proof: &Proof) {
        let position = self.host.positions().next();
        let [changed_worth, worth] = [changed, proof].map(|proof| {
            receive_payment(
                None,
                proof,
                position.as_ref(),
                &self.view,
                &self.host.policy,
            )
            .map(|received| received.value())
        });
        match signature(changed).map(|signature| signature.as_bytes()[64]) {
            Some(27 | 28) => assert_eq!(changed_worth, worth),
            _ => assert!(matches!(changed_worth, Err(Rejection::BadSignature(_)))),
        }
    }

    /// The same of the text form, character by character.
    fn assert_text_tamper_proof(&mut self, proof: &Proof, disk: &Disk) {
        let text = proof.to_string();
        assert_eq!(text.parse().as_ref(), Ok(proof));
        for at in 0..text.len() {
            for other in ["A", "B", "g", "w", "_", "=", "+", " "] {
                let mut changed = text.clone();
                changed.replace_range(at..=at, other);
                if changed != text
                    && let Ok(decoded) = changed.parse::<Proof>()
                    && without_v(&decoded) != without_v(proof)
                {
                    assert!(self.host.receive(decoded, &self.view).is_err(), "{changed}");
                    assert_eq!(self.host.disk, *disk);
                }
            }
        }
    }
}

fn signature(proof: &Proof) -> Option<Signature> {
    match proof {
        Proof::Opening(opening) => Some(opening.cheque.signature),
        Proof::Cheque(_, cheque) => Some(cheque.signature),
        Proof::Step { .. } => None,
    }
}

/// The proof's bytes without the last one, which is v in a proof with a signature.
fn without_v(proof: &Proof) -> Vec<u8> {
    let mut bytes = proof.encode();
    if signature(proof).is_some() {
        bytes.pop();
    }
    bytes
}

/// The field that each byte of a proof belongs to, named by its position in the list, then in the list there, and so
/// on. The byte before a field that tells its length belongs to it.
fn fields(proof: &[u8]) -> Vec<Vec<usize>> {
    let mut fields = vec![Vec::new()];
    let mut rest = &proof[1..];
    add_fields(&mut rest, &[], &mut fields);
    assert_eq!((rest.len(), fields.len()), (0, proof.len()));
    fields
}

fn add_fields(rest: &mut &[u8], path: &[usize], fields: &mut Vec<Vec<usize>>) {
    let before = rest.len();
    let header = Header::decode(rest).unwrap();
    let length_bytes = before - rest.len();
    let (mut content, after) = rest.split_at(header.payload_length);
    *rest = after;
    fields.extend(vec![path.to_vec(); length_bytes]);
    if !header.list {
        fields.extend(vec![path.to_vec(); content.len()]);
        return;
    }
    for item in 0.. {
        if content.is_empty() {
            return;
        }
        add_fields(&mut content, &[path, &[item]].concat(), fields);
    }
}

/// All changes of a byte.
fn all() -> impl Iterator<Item = u8> + Clone {
    1..=255
}

/// Each bit, and some more: openings are long.
fn some() -> impl Iterator<Item = u8> + Clone {
    (0..8).map(|bit| 1 << bit).chain([0x7f, 0x81, 0xff])
}

/// Another key's cheque, or nobody's.
fn is_of_signature(rejection: &Rejection) -> bool {
    matches!(
        rejection,
        Rejection::WrongSigner { .. } | Rejection::BadSignature(_)
    )
}

/// The right reasons for the fields of an opening that the payee sees first.
fn right_for_opening(path: &[usize], rejection: &Rejection) -> bool {
    use Rejection as R;
    match path {
        [0] => matches!(rejection, R::ChainNotAccepted(_)),
        [1] => matches!(rejection, R::BankNotAccepted(_)),
        [2, 2] => matches!(rejection, R::TokenNotAccepted(_)),
        // lane, amount, minPayout, drawBlock, lastRedeemBlock: other terms, which may be impossible
        [2, 3..=7] => matches!(rejection, R::NotConfirmed(_) | R::BadTerms(_)),
        // payer, signer, root
        [2, _] => matches!(rejection, R::NotConfirmed(_)),
        // allowance, salt, path, siblings
        [3..=5] | [6, ..] => matches!(rejection, R::BadAllowanceProof(_)),
        [7] => matches!(rejection, R::WrongPayee { .. }),
        // anchor and step
        [9 | 10] => is_of_signature(rejection) || matches!(rejection, R::BadStreamTerms(_)),
        // spent and signature
        [8 | 11] => is_of_signature(rejection),
        _ => false,
    }
}

/// The right reasons for an opening of a deposit that the payee knows: other terms are another deposit's.
fn right_for_known_opening(path: &[usize], rejection: &Rejection) -> bool {
    match path {
        [3..=5] | [6, ..] => matches!(rejection, Rejection::SecondAllowance(_)),
        _ => right_for_opening(path, rejection),
    }
}

fn right_for_cheque(path: &[usize], rejection: &Rejection) -> bool {
    match path {
        [0] => matches!(rejection, Rejection::UnknownDeposit(_)),
        [2 | 3] => is_of_signature(rejection) || matches!(rejection, Rejection::BadStreamTerms(_)),
        [1 | 4] => is_of_signature(rejection),
        _ => false,
    }
}

fn right_for_step(path: &[usize], rejection: &Rejection) -> bool {
    use Rejection as R;
    match path {
        [0] => matches!(rejection, R::UnknownDeposit(_)),
        [1] => matches!(
            rejection,
            R::WrongStep | R::StreamTooLong { .. } | R::OverAllowance { .. }
        ),
        [2] => matches!(rejection, R::WrongStep),
        _ => false,
    }
}

fn stream() -> Stream {
    Stream::new(word(&mut rng(61)), 300).unwrap()
}

#[test]
fn an_opening_changed_in_any_byte_is_rejected() {
    let mut scene = scene();
    scene.cheque(300_000, None);
    let opening = scene.proofs(true).pop().unwrap();
    scene.assert_tamper_proof(&opening, some(), right_for_opening);
}

#[test]
fn an_opening_with_a_stream_changed_in_any_byte_is_rejected() {
    let mut scene = scene();
    scene.cheque(0, Some(stream()));
    let opening = scene.proofs(true).pop().unwrap();
    scene.assert_tamper_proof(&opening, some(), right_for_opening);
}

#[test]
fn an_opening_of_a_known_deposit_changed_in_any_byte_is_rejected() {
    let mut scene = scene();
    scene.cheque(300_000, None);
    let first = scene.proofs(true);
    scene.receive_all(first);
    scene.cheque(1, Some(stream()));
    let again = scene.proofs(true).pop().unwrap();
    scene.assert_tamper_proof(&again, some(), right_for_known_opening);
}

#[test]
fn a_cheque_changed_in_any_byte_is_rejected() {
    for begins_stream in [false, true] {
        let mut scene = scene();
        scene.cheque(300_000, None);
        let first = scene.proofs(true);
        scene.receive_all(first);
        scene.cheque(40_000, begins_stream.then(stream));
        let cheque = scene.proofs(false).pop().unwrap();
        scene.assert_tamper_proof(&cheque, all(), right_for_cheque);
    }
}

#[test]
fn a_stream_step_changed_in_any_byte_is_rejected() {
    // The first steps, later steps, and a number of two bytes.
    for (shown, more) in [(0, 1), (5, 3), (125, 9)] {
        let mut scene = scene();
        let payee = scene.payee();
        scene.cheque(300_000, Some(stream()));
        if shown > 0 {
            scene.payer.steps(payee, shown);
        }
        let first = scene.proofs(true);
        scene.receive_all(first);
        scene.payer.steps(payee, more);
        let step = scene.proofs(false).pop().unwrap();
        scene.assert_tamper_proof(&step, all(), right_for_step);
    }
}

#[test]
fn a_proof_shown_with_the_meta_of_another_deposit_is_rejected() {
    let mut scene = scene();
    scene.cheque(300_000, Some(stream()));
    let opening = scene.proofs(true);
    scene.receive_all(opening.clone());
    let position = scene.host.positions().next().unwrap();
    let cheque = *position.newest();
    let other = cheque::DepositId(word(&mut rng(62)));
    let step = Proof::Step {
        deposit: other,
        k: 1,
        x: stream().show(1).unwrap(),
    };
    let mut reopened = opening[0].clone();
    if let Proof::Opening(opening) = &mut reopened {
        opening.deposit.lane += 1;
    }
    for proof in [Proof::Cheque(other, cheque), step, reopened] {
        let judged = receive_payment(
            None,
            &proof,
            Some(&position),
            &scene.view,
            &scene.host.policy,
        );
        let rejection = judged.unwrap_err();
        assert!(
            matches!(rejection, Rejection::WrongMeta { .. }),
            "{rejection}"
        );
    }
}
