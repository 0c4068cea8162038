//! The payee's side: an application with positions and balances, whose workers judge payments concurrently.

use alloy_primitives::{Address, U256};
use cheque::{
    Amount, Bank, ChainProfile, Deposit, Policy, Position, PositionKey, Proof, Received, Rejection,
    TokenLimits, View, payout, receive_payment,
};
use std::collections::BTreeMap;

/// A payee's disk: positions, and the balance of each signer. A single transaction changes both.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    positions: BTreeMap<PositionKey, Vec<u8>>,
    balances: BTreeMap<Address, u128>,
}

/// A payment judged by a worker and not stored yet.
pub(crate) struct Judged {
    proof: Proof,
    old: Option<Vec<u8>>,
    received: Received,
}

pub(crate) struct Payee {
    pub(crate) policy: Policy,
    pub(crate) disk: Disk,
}

impl Payee {
    pub(crate) fn new(payee: Address, bank: Bank) -> Self {
        let mut policy = Policy::new(payee, bank, ChainProfile::of(31_337).unwrap());
        let limits = TokenLimits::exposure(Amount::MAX);
        policy.tokens = BTreeMap::from([(Address::ZERO, limits)]);
        Self {
            policy,
            disk: Disk::default(),
        }
    }

    fn key(&self, proof: &Proof) -> PositionKey {
        PositionKey {
            bank: self.policy.banks[0].address(),
            deposit: proof.deposit_id(),
            payee: self.policy.payee,
        }
    }

    /// Judges a payment against the stored position. Changes nothing on disk.
    pub(crate) fn judge(&self, proof: Proof, view: &View) -> Result<Judged, Rejection> {
        let old = self.disk.positions.get(&self.key(&proof)).cloned();
        let position = old
            .as_deref()
            .map(|bytes| Position::from_bytes(bytes).unwrap());
        let received = receive_payment(None, &proof, position.as_ref(), view, &self.policy)?;
        assert_eq!(received.key(), self.key(&proof));
        Ok(Judged {
            proof,
            old,
            received,
        })
    }

    /// Stores and credits a judged payment by compare-and-set. Judges again if another worker was faster.
    pub(crate) fn store(&mut self, judged: Judged, view: &View) -> Result<Amount, Rejection> {
        let key = judged.received.key();
        if self.disk.positions.get(&key) != judged.old.as_ref() {
            let again = self.judge(judged.proof, view)?;
            return self.store(again, view);
        }
        let Judged { received, .. } = judged;
        let bytes = received.position().to_bytes();
        let last = self.disk.positions.insert(key, bytes);
        assert_eq!(last, judged.old);
        let balance = self.disk.balances.entry(received.credit_to()).or_default();
        *balance += received.value().get();
        Ok(received.value())
    }

    pub(crate) fn receive(&mut self, proof: Proof, view: &View) -> Result<Amount, Rejection> {
        let judged = self.judge(proof, view)?;
        self.store(judged, view)
    }

    pub(crate) fn positions(&self) -> impl Iterator<Item = Position> {
        let positions = self.disk.positions.values();
        positions.map(|bytes| Position::from_bytes(bytes).unwrap())
    }

    /// Asserts that each signer's balance is the value of the totals of its deposits.
    pub(crate) fn assert_balances_match_totals(&self) {
        let mut expected = BTreeMap::new();
        for position in self.positions() {
            let worth = worth(
                position.deposit(),
                position.allowance(),
                position.total(),
                position.redeem_cost(),
            );
            assert_eq!(position.credited().get(), worth);
            *expected.entry(position.deposit().signer).or_default() += worth;
        }
        assert_eq!(self.disk.balances, expected);
    }
}

/// V(spent) = floor(range / amount * max(0, payout - cost)), computed from the definitions.
pub(crate) fn worth(deposit: &Deposit, allowance: Amount, spent: Amount, cost: Amount) -> u128 {
    let (spent, cost) = (spent.to_u256(), cost.to_u256());
    if spent.is_zero() {
        return 0;
    }
    let amount = U256::from(deposit.amount);
    let min_payout = U256::from(deposit.minPayout);
    let full = spent * amount / allowance.to_u256();
    let (paid, range) = if full >= min_payout {
        (full, allowance.to_u256())
    } else {
        (min_payout, spent * amount / min_payout)
    };
    let same = payout(Amount::new(spent.to()), allowance, deposit).unwrap();
    assert_eq!((same.amount.to_u256(), same.range.to_u256()), (paid, range));
    (range * paid.saturating_sub(cost) / amount).to()
}
