//! MPP's stream channels: a signed voucher for each payment.

use crate::measure::Case;
use alloy::{
    primitives::{Address, B256},
    signers::local::PrivateKeySigner,
};
use mpp::protocol::methods::tempo::{sign_voucher, voucher::verify_voucher};
use std::{
    future::Future,
    hint::black_box,
    pin::pin,
    task::{Context, Poll, Waker},
};

const VOUCHERS: u32 = 40;

pub fn cases() -> Vec<Case> {
    let wallet = PrivateKeySigner::from_bytes(&B256::repeat_byte(7)).unwrap();
    let (escrow, channel) = (Address::repeat_byte(0xba), B256::repeat_byte(4));
    let sign = {
        let wallet = wallet.clone();
        move |amount| ready(sign_voucher(&wallet, channel, amount, escrow, 1)).unwrap()
    };
    let vouchers: Vec<_> = (0..u128::from(VOUCHERS))
        .map(|amount| (amount, sign(amount)))
        .collect();
    vec![
        Case::new("mpp sign", move || {
            for amount in 0..u128::from(VOUCHERS) {
                black_box(sign(amount));
            }
            VOUCHERS
        }),
        Case::new("mpp verify", move || {
            for (amount, signature) in &vouchers {
                let signer = wallet.address();
                assert!(verify_voucher(
                    escrow, 1, channel, *amount, signature, signer
                ));
            }
            VOUCHERS
        }),
    ]
}

/// Returns the output of a future that is ready at once.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut context = Context::from_waker(Waker::noop());
    match pin!(future).poll(&mut context) {
        Poll::Ready(value) => value,
        Poll::Pending => panic!("a local signature is not ready at once"),
    }
}
