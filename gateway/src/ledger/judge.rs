//! Judging proofs: the payee's policy and its view of the chain, behind one trait.

use crate::ledger::fault::LedgerFault;
use alloy_primitives::Address;
use cheque::{
    Bank, DepositId, Policy, Position, Proof, Received, Rejection, View,
    payee::{Payee, ReceiveError},
    receive_payment,
};
use std::{any::Any, fmt, pin::Pin};

/// A boxed future of a judgement.
pub type Judging<'a> = Pin<Box<dyn Future<Output = Result<Verdict, LedgerFault>> + Send + 'a>>;

/// Judges proofs for a payee.
pub trait Judge: Send + Sync + 'static {
    /// Returns the payee.
    fn payee(&self) -> Address;

    /// Returns the banks whose deposits may pay.
    fn banks(&self) -> &[Bank];

    /// Judges a proof by [`receive_payment`]. `old` is the stored position in the proof's deposit.
    ///
    /// # Errors
    ///
    /// The future fails with [`LedgerFault::Unavailable`] if the chain, the beacon or the clock gives no view to judge by.
    fn judge<'a>(&'a self, proof: &'a Proof, old: Option<&'a Position>) -> Judging<'a>;
}

/// The judgement of a proof.
#[must_use = "the payment counts after its position is stored"]
pub struct Verdict {
    /// The new position, or the reason of the rejection.
    pub judged: Result<Received, Rejection>,
    /// A value to be dropped once the position is stored, or will not be.
    pub hold: Option<Box<dyn Any + Send>>,
}

impl fmt::Debug for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Verdict").field(&self.judged).finish()
    }
}

/// Judges by the payee's live view of the chain. Counts good payments as exposure.
///
/// Nobody else may call [`Payee::receive_payment`] of the same payee: the account would not be credited.
#[derive(Clone, Debug)]
pub struct LiveJudge {
    payee: Payee,
    banks: [Bank; 1],
}

impl LiveJudge {
    /// Judges for `payee`.
    pub fn new(payee: Payee) -> Self {
        let banks = [*payee.reader().bank()];
        Self { payee, banks }
    }
}

impl Judge for LiveJudge {
    fn payee(&self) -> Address {
        self.payee.policy().payee
    }

    fn banks(&self) -> &[Bank] {
        &self.banks
    }

    fn judge<'a>(&'a self, proof: &'a Proof, old: Option<&'a Position>) -> Judging<'a> {
        Box::pin(async move {
            let inputs = match self.payee.judge(None, proof, old).await {
                Ok(inputs) => inputs,
                Err(ReceiveError::Rejected(rejection)) => return rejected(rejection),
                Err(unavailable) => return Err(LedgerFault::Unavailable(unavailable.to_string())),
            };
            // No await from here to `add_exposure`, so that two payments together exceed no limit.
            let policy = self.payee.policy();
            match receive_payment(None, proof, old, &inputs.view(), policy) {
                Ok(received) => {
                    inputs.add_exposure();
                    Ok(Verdict {
                        judged: Ok(received),
                        hold: Some(Box::new(inputs)),
                    })
                }
                Err(rejection) => rejected(rejection),
            }
        })
    }
}

/// The function that tells the view by which to judge a payment of a deposit.
pub type ViewOf = Box<dyn Fn(DepositId) -> View + Send + Sync>;

/// Judges by views that the host makes, for hosts that read the chain themselves, and for simulations. Does not count
/// exposure: the host's views must have it.
pub struct ViewJudge {
    policy: Policy,
    view: ViewOf,
}

impl ViewJudge {
    /// Judges by `policy` and by the view of each deposit.
    pub const fn new(policy: Policy, view: ViewOf) -> Self {
        Self { policy, view }
    }
}

impl fmt::Debug for ViewJudge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("ViewJudge").field(&self.policy).finish()
    }
}

impl Judge for ViewJudge {
    fn payee(&self) -> Address {
        self.policy.payee
    }

    fn banks(&self) -> &[Bank] {
        &self.policy.banks
    }

    fn judge<'a>(&'a self, proof: &'a Proof, old: Option<&'a Position>) -> Judging<'a> {
        Box::pin(async move {
            let view = (self.view)(proof.deposit_id());
            match receive_payment(None, proof, old, &view, &self.policy) {
                Ok(received) => Ok(Verdict {
                    judged: Ok(received),
                    hold: None,
                }),
                Err(rejection) => rejected(rejection),
            }
        })
    }
}

/// A rejection because of the payee's own view is no fault of the payment, so the client must not sign another one.
fn rejected(rejection: Rejection) -> Result<Verdict, LedgerFault> {
    match rejection {
        Rejection::Clock(_) | Rejection::ChainNotFinal { .. } => {
            Err(LedgerFault::Unavailable(rejection.to_string()))
        }
        rejection => Ok(Verdict {
            judged: Err(rejection),
            hold: None,
        }),
    }
}
