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

/// Judges by the payee's live views of its chains. Counts good payments as exposure.
///
/// Nobody else may call [`Payee::receive_payment`] of the same payee: the account would not be credited.
#[derive(Clone, Debug)]
pub struct LiveJudge {
    payee: Address,
    payees: Vec<Payee>,
    banks: Vec<Bank>,
}

impl LiveJudge {
    /// Judges for a payee: one [`Payee`] for each bank, all on the ledger's store. `None` if there is no bank, or if they
    /// have different addresses.
    pub fn new(payees: Vec<Payee>) -> Option<Self> {
        let payee = payees.first()?.policy().payee;
        let is_same = payees.iter().all(|other| other.policy().payee == payee);
        is_same.then(|| Self {
            payee,
            banks: payees.iter().map(|payee| *payee.reader().bank()).collect(),
            payees,
        })
    }

    /// The payee at the bank of a proof. An opening names its bank, and another proof has that of its position.
    fn payee_at(&self, proof: &Proof, old: Option<&Position>) -> Result<&Payee, Rejection> {
        let bank = match (proof, old) {
            (Proof::Opening(opening), _) => opening.bank,
            (_, Some(old)) => *old.bank(),
            (_, None) => return Err(Rejection::UnknownDeposit(proof.deposit_id())),
        };
        let at = self.banks.iter().position(|own| *own == bank);
        let payee = at.and_then(|at| self.payees.get(at));
        let is_chain_known = || {
            self.banks
                .iter()
                .any(|own| own.chain_id() == bank.chain_id())
        };
        payee.ok_or_else(|| match is_chain_known() {
            true => Rejection::BankNotAccepted(bank.address()),
            false => Rejection::ChainNotAccepted(bank.chain_id()),
        })
    }
}

impl Judge for LiveJudge {
    fn payee(&self) -> Address {
        self.payee
    }

    fn banks(&self) -> &[Bank] {
        &self.banks
    }

    fn judge<'a>(&'a self, proof: &'a Proof, old: Option<&'a Position>) -> Judging<'a> {
        Box::pin(async move {
            let payee = match self.payee_at(proof, old) {
                Ok(payee) => payee,
                Err(rejection) => return rejected(rejection),
            };
            let inputs = match payee.judge(None, proof, old).await {
                Ok(inputs) => inputs,
                Err(ReceiveError::Rejected(rejection)) => return rejected(rejection),
                Err(unavailable) => return Err(LedgerFault::Unavailable(unavailable.to_string())),
            };
            // No await from here to `add_exposure`, so that two payments together exceed no limit.
            match receive_payment(None, proof, old, &inputs.view(), payee.policy()) {
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
