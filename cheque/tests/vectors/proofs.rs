//! Checks wire.json: proofs of payment as bytes and as text.

use crate::file::{Int, Place, deposit, vectors};
use alloy_primitives::{Address, B128, B256, Bytes};
use alloy_rlp::Error;
use cheque::{
    AllowanceProof, Amount, Deposit, DepositId, Opening, Proof, Signature, SignedCheque, WireError,
};
use serde::Deserialize;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Wire {
    openings: Vec<OpeningVector>,
    cheques: Vec<ChequeVector>,
    steps: Vec<StepVector>,
    malformed: Vec<Malformed>,
    malformed_texts: Vec<MalformedText>,
}

/// A proof as bytes, their number, and the proof as text.
#[derive(Deserialize)]
struct Forms {
    name: String,
    length: Int<usize>,
    hex: Bytes,
    text: String,
}

impl Forms {
    fn check(&self, proof: &Proof) {
        assert_eq!(proof.encode(), self.hex, "{}", self.name);
        assert_eq!(proof.to_string(), self.text, "{}", self.name);
        assert_eq!(
            Proof::decode(&self.hex).as_ref(),
            Ok(proof),
            "{}",
            self.name
        );
        assert_eq!(self.text.parse().as_ref(), Ok(proof), "{}", self.name);
        assert_eq!(self.hex.len(), self.length.0, "{}", self.name);
    }
}

#[derive(Deserialize)]
struct Cheque {
    spent: Amount,
    anchor: B256,
    step: Amount,
    signature: Bytes,
}

impl Cheque {
    fn signed(&self) -> SignedCheque {
        SignedCheque {
            spent: self.spent,
            anchor: self.anchor,
            step: self.step,
            signature: Signature::from_bytes(self.signature[..].try_into().expect("65 bytes")),
        }
    }
}

#[derive(Deserialize)]
struct OpeningVector {
    #[serde(flatten)]
    forms: Forms,
    #[serde(flatten)]
    place: Place,
    #[serde(deserialize_with = "deposit")]
    deposit: Deposit,
    payee: Address,
    allowance: Amount,
    salt: B128,
    path: Int<u64>,
    siblings: Bytes,
    #[serde(flatten)]
    cheque: Cheque,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChequeVector {
    #[serde(flatten)]
    forms: Forms,
    deposit_id: DepositId,
    #[serde(flatten)]
    cheque: Cheque,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct StepVector {
    #[serde(flatten)]
    forms: Forms,
    deposit_id: DepositId,
    k: Int<u32>,
    x: B256,
}

#[derive(Deserialize)]
struct Malformed {
    name: String,
    reason: String,
    hex: Bytes,
}

#[derive(Deserialize)]
struct MalformedText {
    name: String,
    text: String,
}

#[test]
fn encodes_and_decodes_openings() {
    let vectors: Wire = vectors!("wire");
    assert!(!vectors.openings.is_empty());
    for v in vectors.openings {
        let opening = Opening {
            bank: v.place.bank(),
            deposit: v.deposit,
            allowance: AllowanceProof {
                allowance: v.allowance,
                salt: v.salt,
                path: v.path.0,
                siblings: AllowanceProof::unpack_siblings(&v.siblings).unwrap(),
            },
            payee: v.payee,
            cheque: v.cheque.signed(),
        };
        let start = opening.allowance.start(opening.payee, &opening.deposit);
        if v.forms.name.contains("not a valid payment") {
            assert!(start.is_err(), "{}", v.forms.name);
        } else {
            let id = opening.bank.deposit_id(&opening.deposit);
            let signer = opening
                .cheque
                .signer(&opening.bank, id, opening.payee)
                .unwrap();
            assert_eq!(signer.address(), opening.deposit.signer, "{}", v.forms.name);
            assert!(start.is_ok(), "{}: {start:?}", v.forms.name);
        }
        v.forms.check(&Proof::Opening(Box::new(opening)));
    }
}

#[test]
fn encodes_and_decodes_small_cheques() {
    let vectors: Wire = vectors!("wire");
    assert!(!vectors.cheques.is_empty());
    for v in vectors.cheques {
        let cheque = v.cheque.signed();
        let limit = if cheque.has_stream() { 172 } else { 150 };
        let small = u64::try_from(cheque.spent.get()).is_ok();
        assert!(!small || v.forms.hex.len() <= limit, "{}", v.forms.name);
        v.forms.check(&Proof::Cheque(v.deposit_id, cheque));
    }
}

#[test]
fn encodes_and_decodes_small_stream_steps() {
    let vectors: Wire = vectors!("wire");
    assert!(!vectors.steps.is_empty());
    for v in vectors.steps {
        assert!(v.forms.hex.len() <= 72, "{}", v.forms.name);
        v.forms.check(&Proof::Step {
            deposit: v.deposit_id,
            k: v.k.0,
            x: v.x,
        });
    }
}

#[test]
fn refuses_malformed_bytes_with_expected_reason() {
    let vectors: Wire = vectors!("wire");
    assert!(!vectors.malformed.is_empty());
    for v in vectors.malformed {
        let error = Proof::decode(&v.hex).expect_err(&v.name);
        let as_expected = match (v.reason.as_str(), &error) {
            ("empty", WireError::Empty)
            | ("unknown_type", WireError::UnknownType(_))
            | ("trailing_bytes", WireError::TrailingBytes(_))
            | ("steps", WireError::StepsOutOfRange(_)) => true,
            (reason, WireError::Malformed(error)) => breaks(reason, error),
            _ => false,
        };
        assert!(as_expected, "{} is {}, not {error:?}", v.name, v.reason);
    }
}

/// Returns true if `error` is the decoder's answer to a broken `rule` of RLP or of the fields.
fn breaks(rule: &str, error: &Error) -> bool {
    match rule {
        "truncated" => *error == Error::InputTooShort,
        "kind" => matches!(error, Error::UnexpectedList | Error::UnexpectedString),
        "leading_zero" => *error == Error::LeadingZero,
        "non_canonical_byte" => *error == Error::NonCanonicalSingleByte,
        "non_canonical_length" => matches!(error, Error::NonCanonicalSize | Error::LeadingZero),
        "wrong_length" => *error == Error::UnexpectedLength,
        "zero_anchor" => matches!(error, Error::Custom(_)),
        "too_large" => *error == Error::Overflow,
        // A missing field shifts all later ones, so the error depends on its place.
        "fields" => true,
        _ => false,
    }
}

#[test]
fn refuses_malformed_texts_as_texts() {
    let vectors: Wire = vectors!("wire");
    assert!(!vectors.malformed_texts.is_empty());
    for v in vectors.malformed_texts {
        let error = v.text.parse::<Proof>().expect_err(&v.name);
        assert!(matches!(error, WireError::Text(_)), "{}: {error:?}", v.name);
    }
}
