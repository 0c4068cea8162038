//! The Graph's TAP, version 2: a signed receipt for each payment.

use crate::measure::Case;
use std::hint::black_box;
use tap_core::{TapVersion, tap_eip712_domain};
use tap_eip712_message::Eip712SignedMessage;
use tap_graph::v2::Receipt;
use thegraph_core::alloy::{
    primitives::{Address, B256},
    signers::local::PrivateKeySigner,
};

const RECEIPTS: u32 = 40;

pub fn cases() -> Vec<Case> {
    let wallet = PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap();
    let domain = tap_eip712_domain(1, Address::repeat_byte(0xba), TapVersion::V2);
    let receipt = |value| {
        let [payer, service, provider] = [1, 2, 3].map(Address::repeat_byte);
        Receipt::new(B256::repeat_byte(4), payer, service, provider, value).unwrap()
    };
    let sign = {
        let (wallet, domain) = (wallet.clone(), domain.clone());
        move |value| Eip712SignedMessage::new(&domain, receipt(value), &wallet).unwrap()
    };
    let receipts: Vec<_> = (0..u128::from(RECEIPTS)).map(&sign).collect();
    vec![
        Case::new("tap sign", move || {
            for value in 0..u128::from(RECEIPTS) {
                black_box(sign(value));
            }
            RECEIPTS
        }),
        Case::new("tap verify", move || {
            for receipt in &receipts {
                assert_eq!(receipt.recover_signer(&domain).unwrap(), wallet.address());
            }
            RECEIPTS
        }),
    ]
}
