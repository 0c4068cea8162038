//! The order of the checks (SPEC section 13.2): a payment with every fault, mended one by one.

use super::*;
use crate::protocol::signature::Signature;
use alloy_primitives::B128;

/// A payment under construction, with its policy and view.
struct Attempt {
    fixture: Fixture,
    from: Option<Address>,
    /// The position before the payment.
    old: Option<Position>,
    payment: Payment,
    signer: SigningKey,
    spent: u128,
    stream: Option<(B256, Amount)>,
    v: Option<u8>,
    false_salt: bool,
    open: bool,
}

#[derive(Clone, Copy)]
enum Payment {
    Opening,
    Cheque,
    Step { k: u32, x: B256 },
}

/// A rejection, and the repair after which the payment is rejected for the next reason.
type Fault = (&'static str, fn(&mut Attempt));

fn chain() -> Stream {
    Stream::new(B256::repeat_byte(7), 2_000).unwrap()
}

/// An anchor that the position does not know.
const FRESH: B256 = B256::repeat_byte(0xfa);

impl Attempt {
    /// Makes a payment with the faults that all payments can have.
    fn new(payment: Payment, old: Option<Position>) -> Self {
        let mut fixture = fixture();
        fixture.policy.payee = Address::repeat_byte(0xee);
        fixture.policy.banks = vec![Bank::new(10, fixture.bank.address())];
        fixture.policy.tokens.clear();
        fixture.policy.min_payout_per_cost = 100_000;
        fixture.view.now = clocks(NOW - 11, NOW, NOW);
        fixture.view.final_time = Some(NOW - 1_537);
        fixture.view.settled = false;
        fixture.view.unsettled = Amount::MAX;
        Self {
            fixture,
            from: Some(Address::repeat_byte(0xee)),
            old,
            payment,
            signer: SigningKey::from_bytes(&[2; 32]).unwrap(),
            spent: 0,
            stream: Some((FRESH, Amount::ZERO)),
            v: Some(0),
            false_salt: true,
            open: false,
        }
    }

    fn judge(&self) -> Result<Received, Rejection> {
        let fixture = &self.fixture;
        let mut cheque = SignedCheque::sign(
            &self.signer,
            &fixture.bank,
            fixture.id(),
            fixture.payee,
            Amount::new(self.spent),
            self.stream,
        );
        if let Some(v) = self.v {
            let mut bytes = *cheque.signature.as_bytes();
            bytes[64] = v;
            cheque.signature = Signature::from_bytes(bytes);
        }
        let proof = match self.payment {
            Payment::Opening => {
                let mut opening = fixture.opening_with(cheque);
                if self.false_salt {
                    opening.allowance.salt = B128::ZERO;
                }
                Proof::Opening(Box::new(opening))
            }
            Payment::Cheque => Proof::Cheque(fixture.id(), cheque),
            Payment::Step { k, x } => Proof::Step {
                deposit: fixture.id(),
                k,
                x,
            },
        };
        let mut view = fixture.view.clone();
        view.purse = if self.open {
            Purse::Open(fixture.id()).word()
        } else {
            Purse::Idle(Amount::MAX).word()
        };
        receive_payment(self.from, &proof, self.old.as_ref(), &view, &fixture.policy)
    }

    fn check(mut self, faults: &[&[Fault]]) {
        for (code, repair) in faults.iter().copied().flatten() {
            assert_eq!(self.judge().unwrap_err().code(), *code);
            repair(&mut self);
        }
        assert!(self.judge().is_ok());
    }

    fn show(&mut self, k: u32) {
        let x = chain().show(k).unwrap();
        self.payment = Payment::Step { k, x };
    }
}

const WHO: &[Fault] = &[
    ("wrong_payee", |a| a.fixture.policy.payee = a.fixture.payee),
    ("chain_not_accepted", |a| {
        a.fixture.policy.banks = vec![Bank::new(1, Address::repeat_byte(0xee))];
    }),
    ("bank_not_accepted", |a| {
        a.fixture.policy.banks = vec![a.fixture.bank];
    }),
    ("token_not_accepted", |a| {
        let limits = TokenLimits {
            max_deposit: Some(Amount::new(1)),
            max_exposure: Amount::ZERO,
        };
        a.fixture.policy.tokens.insert(Address::ZERO, limits);
    }),
];

const POSITION: &[Fault] = &[("wrong_position", |a| {
    a.old = Some(streaming_position(&fixture()));
})];

const FROM_AND_MOMENT: &[Fault] = &[
    ("wrong_from", |a| a.from = Some(a.fixture.key.address())),
    // The clock is behind, then the head is old.
    ("stale_view", |a| {
        a.fixture.view.now = Now {
            round_time: None,
            ..clocks(NOW, NOW - 61, 0)
        };
    }),
    ("stale_view", |a| a.fixture.view.now.head_time = NOW),
    ("beacon_stale", |a| {
        a.fixture.view.now = clocks(NOW, NOW, NOW)
    }),
    ("chain_not_final", |a| a.fixture.view.final_time = Some(NOW)),
    ("not_confirmed", |a| a.open = true),
];

const CUTOFF: &[Fault] = &[("past_cutoff", |a| a.fixture.policy.cutoff = 30)];

const SIGNATURE: &[Fault] = &[
    ("bad_stream_terms", |a| a.stream = None),
    ("bad_signature", |a| a.v = None),
    ("wrong_signer", |a| a.signer = a.fixture.key.clone()),
];

const RISK: &[Fault] = &[
    ("exposure_too_large", |a| {
        let limits = TokenLimits::exposure(Amount::MAX);
        a.fixture.policy.tokens.insert(Address::ZERO, limits);
    }),
    ("unsettled_too_large", |a| a.fixture.view.settled = true),
    ("payout_too_small", |a| {
        a.fixture.policy.min_payout_per_cost = 10
    }),
];

/// A position over 300,000, with a stream of steps of 1,000 of which three were shown.
fn streaming_position(fixture: &Fixture) -> Position {
    let stream = chain();
    let cheque = fixture.cheque(300_000, Some((stream.anchor(), Amount::new(1_000))));
    let begun = fixture.position(
        &Proof::Opening(Box::new(fixture.opening_with(cheque))),
        None,
    );
    fixture.position(&fixture.step(&stream, 3), Some(&begun))
}

fn other_position() -> Position {
    streaming_position(&fixture_with(|deposit| deposit.lane = 2))
}

#[test]
fn checks_a_first_opening_in_order() {
    let mut attempt = Attempt::new(Payment::Opening, None);
    let terms = &mut attempt.fixture.deposit;
    (terms.drawTime, terms.redeemUntil) = (NOW + 30, NOW + 30);
    attempt.fixture.view.redeem_cost = None;
    attempt.check(&[
        WHO,
        &[("bad_terms", |a| a.fixture.deposit.redeemUntil += 21_599)],
        FROM_AND_MOMENT,
        &[
            ("past_cutoff", |a| {
                a.fixture.deposit.drawTime = NOW + 604_801;
                a.fixture.deposit.redeemUntil = NOW + 604_801 + 21_599;
            }),
            ("horizon_too_long", |a| {
                a.fixture.deposit.drawTime = DRAW;
                a.fixture.deposit.redeemUntil = DRAW + 21_599;
            }),
            ("window_too_short", |a| a.fixture.deposit.redeemUntil += 1),
            ("deposit_too_large", |a| {
                let limits = TokenLimits::exposure(Amount::ZERO);
                a.fixture.policy.tokens.insert(Address::ZERO, limits);
            }),
            ("token_without_rate", |a| {
                a.fixture.view.redeem_cost = Some(Amount::new(10));
            }),
            ("bad_allowance_proof", |a| a.false_salt = false),
        ],
        SIGNATURE,
        &[
            ("nothing_spent", |a| a.spent = 1_000_001),
            ("over_allowance", |a| a.spent = 400_000),
        ],
        RISK,
    ]);
}

/// Faults of a cheque after the checks of its signature.
const LATER: &[Fault] = &[
    ("stale", |a| a.spent = 303_000),
    ("replay", |a| {
        // More, with the anchor of the stream before.
        a.spent = 1_000_001;
        a.stream = Some((chain().anchor(), Amount::new(1)));
    }),
    ("anchor_reused", |a| {
        a.stream = Some((FRESH, Amount::new(1)))
    }),
    ("over_allowance", |a| a.spent = 400_000),
];

#[test]
fn checks_a_repeated_opening_in_order() {
    let mut attempt = Attempt::new(Payment::Opening, Some(other_position()));
    attempt.fixture.policy.cutoff = 3_600;
    attempt.check(&[
        WHO,
        POSITION,
        FROM_AND_MOMENT,
        CUTOFF,
        &[("second_allowance", |a| a.false_salt = false)],
        SIGNATURE,
        LATER,
        RISK,
    ]);
}

#[test]
fn checks_a_later_cheque_in_order() {
    let mut attempt = Attempt::new(Payment::Cheque, Some(other_position()));
    attempt.fixture.policy.cutoff = 3_600;
    attempt.check(&[
        WHO,
        POSITION,
        FROM_AND_MOMENT,
        CUTOFF,
        SIGNATURE,
        LATER,
        RISK,
    ]);
}

#[test]
fn checks_a_step_in_order() {
    let x = B256::repeat_byte(1);
    let far = Payment::Step { k: 1_025, x };
    let mut attempt = Attempt::new(far, Some(other_position()));
    attempt.fixture.policy.cutoff = 3_600;
    attempt.check(&[
        WHO,
        &[("wrong_position", |a| {
            let fixture = fixture();
            a.old = Some(fixture.position(&fixture.opening(300_000), None));
        })],
        FROM_AND_MOMENT,
        CUTOFF,
        &[
            ("no_stream", |a| {
                a.old = Some(streaming_position(&fixture()))
            }),
            ("stream_too_long", |a| {
                let x = B256::repeat_byte(1);
                a.payment = Payment::Step { k: 701, x };
            }),
            ("over_allowance", |a| {
                let x = B256::repeat_byte(1);
                a.payment = Payment::Step { k: 3, x };
            }),
            ("wrong_step", |a| a.show(3)),
            ("replay", |a| a.show(2)),
            ("stale", |a| a.show(700)),
        ],
        RISK,
    ]);
}

#[test]
fn knows_no_cheque_or_step_without_an_opening() {
    for payment in [Payment::Cheque, Payment::Step { k: 1, x: FRESH }] {
        let attempt = Attempt::new(payment, None);
        assert_eq!(attempt.judge().unwrap_err().code(), "unknown_deposit");
    }
}
