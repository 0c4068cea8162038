//! Checks ids.json and signatures.json: ids, digests and signatures.

use crate::file::{Int, Place, deposit, vectors};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_sol_types::SolStruct;
use cheque::{
    Amount, Bank, Cheque, Deposit, DepositId, Fund, Signature, SignatureError, SigningKey,
    Withdraw, recover,
};
use cheque_bindings::{Consent, Open};
use serde::Deserialize;

#[derive(Deserialize)]
struct Ids {
    types: Vec<Type>,
    domains: Vec<Domain>,
    deposits: Vec<DepositVector>,
    cheques: Vec<Signed<ChequeFields>>,
    opens: Vec<Signed<OpenFields>>,
    consents: Vec<Signed<ConsentFields>>,
    withdraws: Vec<Signed<WithdrawFields>>,
    funds: Vec<Signed<FundFields>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Type {
    name: String,
    text: String,
    type_hash: B256,
}

#[derive(Deserialize)]
struct Domain {
    #[serde(flatten)]
    place: Place,
    separator: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct DepositVector {
    name: String,
    #[serde(flatten)]
    place: Place,
    #[serde(deserialize_with = "deposit")]
    deposit: Deposit,
    struct_hash: B256,
    id: B256,
}

#[derive(Deserialize)]
struct Signed<T> {
    name: String,
    #[serde(flatten)]
    place: Place,
    message: T,
    digest: B256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ChequeFields {
    deposit_id: B256,
    payee: Address,
    spent: Int<u128>,
    anchor: B256,
    step: Int<u128>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct OpenFields {
    deposit_id: B256,
    deadline: U256,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ConsentFields {
    deposit_id: B256,
    payee: Address,
    spent: Amount,
    to: Address,
}

#[derive(Deserialize)]
struct WithdrawFields {
    account: Address,
    token: Address,
    lane: Int<u64>,
    amount: U256,
    to: Address,
    nonce: U256,
    deadline: U256,
}

#[derive(Deserialize)]
struct FundFields {
    from: Address,
    token: Address,
    account: Address,
    amount: U256,
    salt: B256,
}

fn ids() -> Ids {
    vectors!("ids")
}

#[test]
fn matches_interface_type_strings() {
    let ours = [
        Deposit::eip712_encode_type(),
        Cheque::eip712_encode_type(),
        Open::eip712_encode_type(),
        Consent::eip712_encode_type(),
        Withdraw::eip712_encode_type(),
        Fund::eip712_encode_type(),
    ];
    let types = ids().types;
    let (domain, structs) = types.split_last().unwrap();
    assert_eq!(structs.len(), ours.len());
    for (vector, ours) in structs.iter().zip(ours) {
        assert_eq!(ours, vector.text, "{}", vector.name);
        assert_eq!(keccak256(&vector.text), vector.type_hash);
    }
    let alloys = Bank::new(1, Address::ZERO).domain();
    assert_eq!(alloys.encode_type(), domain.text);
    assert_eq!(alloys.type_hash(), domain.type_hash);
}

#[test]
fn computes_domain_separators() {
    for Domain { place, separator } in ids().domains {
        assert_eq!(place.bank().domain().separator(), separator);
    }
}

#[test]
fn computes_deposit_ids() {
    for v in ids().deposits {
        assert_eq!(v.deposit.eip712_hash_struct(), v.struct_hash, "{}", v.name);
        assert_eq!(v.place.bank().deposit_id(&v.deposit).0, v.id, "{}", v.name);
    }
}

#[test]
fn computes_digests_of_signed_messages() {
    fn check<T>(list: Vec<Signed<T>>, digest: impl Fn(&Bank, T) -> B256) {
        assert!(!list.is_empty());
        for v in list {
            assert_eq!(digest(&v.place.bank(), v.message), v.digest, "{}", v.name);
        }
    }
    let ids = ids();
    check(ids.cheques, |bank, m| {
        bank.cheque_digest(&Cheque {
            depositId: m.deposit_id,
            payee: m.payee,
            spent: m.spent.0,
            anchor: m.anchor,
            step: m.step.0,
        })
    });
    check(ids.opens, |bank, m| {
        bank.open_digest(DepositId(m.deposit_id), m.deadline)
    });
    check(ids.consents, |bank, m| {
        bank.consent_digest(DepositId(m.deposit_id), m.payee, m.spent, m.to)
    });
    check(ids.withdraws, |bank, m| {
        bank.withdraw_digest(&Withdraw {
            account: m.account,
            token: m.token,
            lane: m.lane.0,
            amount: m.amount,
            to: m.to,
            nonce: m.nonce,
            deadline: m.deadline,
        })
    });
    check(ids.funds, |bank, m| {
        bank.fund_digest(&Fund {
            from: m.from,
            token: m.token,
            account: m.account,
            amount: m.amount,
            salt: m.salt,
        })
    });
}

#[derive(Deserialize)]
struct Signatures {
    signed: Vec<SignedVector>,
    refused: Vec<Refused>,
}

#[derive(Deserialize)]
struct SignedVector {
    name: String,
    digest: B256,
    key: B256,
    signer: Address,
    signature: Bytes,
}

#[derive(Deserialize)]
struct Refused {
    name: String,
    reason: String,
    digest: B256,
    signature: Bytes,
    recovered: Address,
}

#[test]
fn makes_and_accepts_signatures_of_outside_signer() {
    let vectors: Signatures = vectors!("signatures");
    assert!(!vectors.signed.is_empty());
    for v in vectors.signed {
        let key = SigningKey::from_bytes(&v.key.0).unwrap();
        assert_eq!(key.address(), v.signer, "{}", v.name);
        let signature = key.sign(v.digest);
        assert_eq!(signature.as_bytes()[..], v.signature[..], "{}", v.name);
        assert_eq!(recover(v.digest, &signature), Ok(key.public_key()));
    }
}

#[test]
fn refuses_foreign_signatures_with_expected_reason() {
    let vectors: Signatures = vectors!("signatures");
    let signer = vectors.signed[0].signer;
    assert!(!vectors.refused.is_empty());
    for v in vectors.refused {
        // `Signature` holds exactly 65 bytes, so other lengths never reach `recover`.
        let Ok(bytes) = <[u8; 65]>::try_from(&v.signature[..]) else {
            assert_eq!(v.reason, "length", "{}", v.name);
            continue;
        };
        let recovered = recover(v.digest, &Signature::from_bytes(bytes));
        let expected = match v.reason.as_str() {
            "v" => Err(SignatureError::WrongV(bytes[64])),
            "high_s" => Err(SignatureError::HighS),
            "no_key" => Err(SignatureError::NoKey),
            "other_signer" => Ok(v.recovered),
            reason => panic!("{}: unknown reason {reason}", v.name),
        };
        assert_eq!(recovered.map(|key| key.address()), expected, "{}", v.name);
        assert_ne!(expected, Ok(signer), "{}", v.name);
    }
}
