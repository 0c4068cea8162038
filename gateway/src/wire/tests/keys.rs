//! Names of requests.

use super::*;
use crate::ledger::IdempotencyKey;

const ID: &str = "pay_7d5d747be160e280504c099d984bcfe0";

/// The payment of x402 with an extension.
fn named(id: &Value) -> String {
    let mut payload = PaymentPayload::decode(PAYLOAD).unwrap();
    let extension = json!({ "info": { "required": false, "id": id } });
    payload
        .extensions
        .insert("payment-identifier".to_owned(), extension);
    payload.encode()
}

fn key(lines: &[(&'static str, &str)]) -> Result<Option<IdempotencyKey>, ShownError> {
    shown(lines, NOW).map(|paying| paying.unwrap().key)
}

#[test]
fn header_and_extension_name_the_same_request() {
    let own = Some(IdempotencyKey::of(ID));
    let (plain, quoted) = (ID, format!("\"{ID}\""));
    let payment = named(&json!(ID));
    assert_eq!(key(&[("payment-signature", &payment)]), Ok(own));
    for text in [plain, &quoted] {
        let header = ("idempotency-key", text);
        assert_eq!(key(&[header, ("payment-signature", PAYLOAD)]), Ok(own));
        assert_eq!(key(&[header, ("payment-signature", &payment)]), Ok(own));
        assert_eq!(key(&[header, ("cheque", PROOF)]), Ok(own));
        let credential = credential(challenge());
        assert_eq!(key(&[header, ("authorization", &credential)]), Ok(own));
    }
    assert_eq!(key(&[("payment-signature", PAYLOAD)]), Ok(None));
    // Without a payment nothing is bought, so the name belongs to the upstream.
    assert_eq!(shown(&[("idempotency-key", ID)], NOW), Ok(None));
}

#[test]
fn refuses_malformed_and_contradicting_names() {
    let code = |lines: &[(&'static str, &str)]| key(lines).unwrap_err().code();
    let payment = named(&json!(ID));
    let other = ("idempotency-key", "another");
    assert_eq!(
        code(&[other, ("payment-signature", &payment)]),
        "malformed_key"
    );
    assert_eq!(code(&[other, other, ("cheque", PROOF)]), "malformed_key");
    let long = "x".repeat(256);
    for text in ["", "\"\"", "a\"b", &long] {
        let header = ("idempotency-key", text);
        assert_eq!(
            code(&[header, ("cheque", PROOF)]),
            "malformed_key",
            "{text}"
        );
    }
    for id in [
        json!("short"),
        json!("x".repeat(129)),
        json!("with a space in it"),
        json!(7),
    ] {
        let payment = named(&id);
        assert_eq!(
            code(&[("payment-signature", &payment)]),
            "malformed_payment",
            "{id}"
        );
    }
}
