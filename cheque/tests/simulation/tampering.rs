//! Rejects proofs of payment changed in transit.

use crate::{
    random::{self, rng, word},
    support::{
        payee::{Disk, Payee},
        payer::Payer,
    },
};
use alloy_primitives::Address;
use alloy_rlp::Header;
use cheque::{Amount, Bank, Proof, Rejection, Signature, Stream, View, receive_payment};

const NOW: u64 = 1_800_000_000;

struct Fixture {
    payer: Payer,
    payee_app: Payee,
    view: View,
}

fn fixture() -> Fixture {
    let rng = &mut rng(60);
    let bank = Bank::new(31_337, random::account(rng));
    let payee = random::account(rng);
    let mut allowances = vec![(payee, Amount::new(1_000_000))];
    for units in [5, 70_000, 900_000_000_000] {
        allowances.push((random::account(rng), Amount::new(units)));
    }
    let payer = Payer::new(rng, bank, allowances, |amount| amount / 3, NOW + 1_000);
    Fixture {
        view: payer.view(NOW, Amount::new(1_000)),
        payee_app: Payee::new(payee, bank),
        payer,
    }
}

impl Fixture {
    fn payee(&self) -> Address {
        self.payee_app.policy.payee
    }

    /// Pays by a cheque, optionally with a stream.
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
            self.payee_app.receive(proof, &self.view).unwrap();
        }
    }

    /// Asserts that every change of a byte of this proof by one of the `flips` is rejected for an `expected` reason and
    /// changes nothing, and that the unchanged proof is accepted.
    fn assert_rejects_changes(
        mut self,
        proof: &Proof,
        flips: impl Iterator<Item = u8> + Clone,
        expected: fn(&[usize], &Rejection) -> bool,
    ) {
        let bytes = proof.encode();
        let disk = self.payee_app.disk.clone();
        let position = self.payee_app.positions().next();
        let (mut unread, mut judged) = (0, 0);
        for (at, field) in fields(&bytes).iter().enumerate() {
            for flip in flips.clone() {
                let mut changed = bytes.clone();
                changed[at] ^= flip;
                let Ok(decoded) = Proof::decode(&changed) else {
                    unread += 1;
                    continue;
                };
                assert_eq!(decoded.encode(), changed, "a proof has a single encoding");
                if position.is_some() && without_v(&decoded) == without_v(proof) {
                    self.assert_worth_the_same(&decoded, proof);
                    continue;
                }
                let rejection = if flip.is_power_of_two() {
                    self.payee_app.receive(decoded, &self.view).unwrap_err()
                } else {
                    // Judged without the disk, which has no position of an unknown deposit.
                    let own = decoded.deposit_id() == self.payer.id;
                    let position = position.as_ref().filter(|_| own);
                    let judged = receive_payment(
                        None,
                        &decoded,
                        position,
                        &self.view,
                        &self.payee_app.policy,
                    );
                    judged.unwrap_err()
                };
                assert!(
                    expected(field, &rejection),
                    "byte {at} of field {field:?}: {rejection}"
                );
                assert_eq!(self.payee_app.disk, disk);
                judged += 1;
            }
        }
        assert!(
            unread > 100 && judged > 800,
            "{unread} unread, {judged} judged"
        );
        for length in 0..bytes.len() {
            assert!(Proof::decode(&bytes[..length]).is_err());
        }
        assert!(Proof::decode(&[&bytes[..], &[0]].concat()).is_err());
        self.assert_rejects_changed_text(proof, &disk);
        self.payee_app.receive(proof.clone(), &self.view).unwrap();
        assert_ne!(self.payee_app.disk, disk);
    }

    /// Asserts that a cheque of a known signer counts with v = 27 and v = 28, and with no other v.
    fn assert_worth_the_same(&self, changed: &Proof, proof: &Proof) {
        let position = self.payee_app.positions().next();
        let [changed_worth, worth] = [changed, proof].map(|proof| {
            receive_payment(
                None,
                proof,
                position.as_ref(),
                &self.view,
                &self.payee_app.policy,
            )
            .map(|received| received.value())
        });
        match signature(changed).map(|signature| signature.as_bytes()[64]) {
            Some(27 | 28) => assert_eq!(changed_worth, worth),
            _ => assert!(matches!(changed_worth, Err(Rejection::BadSignature(_)))),
        }
    }

    /// Asserts that every change of a character of the text form is rejected.
    fn assert_rejects_changed_text(&mut self, proof: &Proof, disk: &Disk) {
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
                    assert!(
                        self.payee_app.receive(decoded, &self.view).is_err(),
                        "{changed}"
                    );
                    assert_eq!(self.payee_app.disk, *disk);
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

/// Returns the proof's bytes without v, the last byte of a proof with a signature.
fn without_v(proof: &Proof) -> Vec<u8> {
    let mut bytes = proof.encode();
    if signature(proof).is_some() {
        bytes.pop();
    }
    bytes
}

/// Returns the field of each byte of a proof, as a path of positions in nested lists. A length byte belongs to the
/// field after the length.
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

/// All changes of a byte, as bits to flip.
fn all() -> impl Iterator<Item = u8> + Clone {
    1..=255
}

/// The single-bit changes of a byte and three more, a sample for the long openings.
fn some() -> impl Iterator<Item = u8> + Clone {
    (0..8).map(|bit| 1 << bit).chain([0x7f, 0x81, 0xff])
}

/// Returns true if the signature is another key's or invalid.
fn is_signature_error(rejection: &Rejection) -> bool {
    matches!(
        rejection,
        Rejection::WrongSigner { .. } | Rejection::BadSignature(_)
    )
}

/// Expected reasons by field, for the first opening of a deposit.
fn expected_for_opening(path: &[usize], rejection: &Rejection) -> bool {
    use Rejection as R;
    match path {
        [0] => matches!(rejection, R::ChainNotAccepted(_)),
        [1] => matches!(rejection, R::BankNotAccepted(_)),
        [2, 2] => matches!(rejection, R::TokenNotAccepted(_)),
        // lane, amount, minPayout, drawTime, redeemUntil: other terms, some of them impossible
        [2, 3..=7] => matches!(rejection, R::NotConfirmed(_) | R::BadTerms(_)),
        // payer, signer, root
        [2, _] => matches!(rejection, R::NotConfirmed(_)),
        // allowance, salt, path, siblings
        [3..=5] | [6, ..] => matches!(rejection, R::BadAllowanceProof(_)),
        [7] => matches!(rejection, R::WrongPayee { .. }),
        // anchor and step
        [9 | 10] => is_signature_error(rejection) || matches!(rejection, R::BadStreamTerms(_)),
        // spent and signature
        [8 | 11] => is_signature_error(rejection),
        _ => false,
    }
}

/// Expected reasons by field, for an opening of a known deposit: other terms are another deposit's.
fn expected_for_known_opening(path: &[usize], rejection: &Rejection) -> bool {
    match path {
        [3..=5] | [6, ..] => matches!(rejection, Rejection::SecondAllowance(_)),
        _ => expected_for_opening(path, rejection),
    }
}

fn expected_for_cheque(path: &[usize], rejection: &Rejection) -> bool {
    match path {
        [0] => matches!(rejection, Rejection::UnknownDeposit(_)),
        [2 | 3] => {
            is_signature_error(rejection) || matches!(rejection, Rejection::BadStreamTerms(_))
        }
        [1 | 4] => is_signature_error(rejection),
        _ => false,
    }
}

fn expected_for_step(path: &[usize], rejection: &Rejection) -> bool {
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
fn rejects_opening_with_any_byte_changed() {
    let mut fixture = fixture();
    fixture.cheque(300_000, None);
    let opening = fixture.proofs(true).pop().unwrap();
    fixture.assert_rejects_changes(&opening, some(), expected_for_opening);
}

#[test]
fn rejects_opening_with_stream_with_any_byte_changed() {
    let mut fixture = fixture();
    fixture.cheque(0, Some(stream()));
    let opening = fixture.proofs(true).pop().unwrap();
    fixture.assert_rejects_changes(&opening, some(), expected_for_opening);
}

#[test]
fn rejects_known_opening_with_any_byte_changed() {
    let mut fixture = fixture();
    fixture.cheque(300_000, None);
    let first = fixture.proofs(true);
    fixture.receive_all(first);
    fixture.cheque(1, Some(stream()));
    let again = fixture.proofs(true).pop().unwrap();
    fixture.assert_rejects_changes(&again, some(), expected_for_known_opening);
}

#[test]
fn rejects_cheque_with_any_byte_changed() {
    for begins_stream in [false, true] {
        let mut fixture = fixture();
        fixture.cheque(300_000, None);
        let first = fixture.proofs(true);
        fixture.receive_all(first);
        fixture.cheque(40_000, begins_stream.then(stream));
        let cheque = fixture.proofs(false).pop().unwrap();
        fixture.assert_rejects_changes(&cheque, all(), expected_for_cheque);
    }
}

#[test]
fn rejects_stream_step_with_any_byte_changed() {
    // The first steps, later steps, and a step number of two bytes.
    for (shown, more) in [(0, 1), (5, 3), (125, 9)] {
        let mut fixture = fixture();
        let payee = fixture.payee();
        fixture.cheque(300_000, Some(stream()));
        if shown > 0 {
            fixture.payer.steps(payee, shown);
        }
        let first = fixture.proofs(true);
        fixture.receive_all(first);
        fixture.payer.steps(payee, more);
        let step = fixture.proofs(false).pop().unwrap();
        fixture.assert_rejects_changes(&step, all(), expected_for_step);
    }
}

#[test]
fn rejects_proof_with_position_of_another_deposit() {
    let mut fixture = fixture();
    fixture.cheque(300_000, Some(stream()));
    let opening = fixture.proofs(true);
    fixture.receive_all(opening.clone());
    let position = fixture.payee_app.positions().next().unwrap();
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
            &fixture.view,
            &fixture.payee_app.policy,
        );
        let rejection = judged.unwrap_err();
        assert!(
            matches!(rejection, Rejection::WrongPosition { .. }),
            "{rejection}"
        );
    }
}
