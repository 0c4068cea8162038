//! All payees, served by one application with one store.

use crate::payer::{remove, rows};
use alloy_primitives::{Address, Bytes, keccak256};
use cheque::{
    Amount, Bank, ChainProfile, DepositId, Policy, Position, Proof, Rejection, SigningKey, View,
    receive_payment,
    store::{Memory, Store, Swap, Table, position_key},
};
use std::{collections::HashMap, ops::ControlFlow};

pub(crate) struct Payees {
    keys: HashMap<Address, SigningKey>,
    /// Sums of the totals in deposits that are neither redeemed nor lost.
    at_stake: HashMap<Address, Amount>,
    /// In the order of creation.
    pub(crate) addresses: Vec<Address>,
    pub(crate) policy: Policy,
    bank: Bank,
    store: Memory,
}

impl Payees {
    pub(crate) fn new(number: usize, bank: Bank, profile: &ChainProfile) -> Self {
        let key = |number: usize| {
            let secret = keccak256(number.to_be_bytes());
            SigningKey::from_bytes(&secret.0).unwrap()
        };
        let keys = (0..number).map(key).map(|key| (key.address(), key));
        let keys: Vec<_> = keys.collect();
        let addresses: Vec<_> = keys.iter().map(|(address, _)| *address).collect();
        Self {
            keys: keys.into_iter().collect(),
            at_stake: HashMap::new(),
            policy: Policy::new(addresses[0], bank, profile),
            addresses,
            bank,
            store: Memory::new(),
        }
    }

    /// Receives a payee's encoded proof. The new position is in the store before its value counts.
    pub(crate) fn receive(
        &mut self,
        payee: Address,
        wire: &[u8],
        view: &View,
    ) -> Result<Amount, Rejection> {
        let proof = Proof::decode(wire).unwrap();
        let key = position_key(self.bank.address(), proof.deposit_id(), payee);
        let bytes = self.store.get(Table::Positions, &key).unwrap();
        let old = bytes
            .as_deref()
            .map(|bytes| Position::from_bytes(bytes).unwrap());
        self.policy.payee = payee;
        let stake = self.at_stake.entry(payee).or_default();
        let before = old.as_ref().map_or(Amount::ZERO, Position::total);
        let others = stake.checked_sub(before).unwrap();
        let view = View {
            exposure: others,
            ..view.clone()
        };
        let received = receive_payment(None, &proof, old.as_ref(), &view, &self.policy)?;
        *stake = others.checked_add(received.position().total()).unwrap();
        let new = received.position().to_bytes();
        let swap = self
            .store
            .compare_and_set(Table::Positions, &key, bytes.as_deref(), &new);
        assert_eq!(swap.unwrap(), Swap::Done);
        Ok(received.value())
    }

    /// The positions of all payees in a deposit.
    pub(crate) fn holdings(&self, id: DepositId) -> Vec<Position> {
        let mut positions = Vec::new();
        self.store
            .scan(Table::Positions, &self.prefix(id), &mut |_, value| {
                positions.push(Position::from_bytes(value).unwrap());
                ControlFlow::Continue(())
            })
            .unwrap();
        positions
    }

    /// A payee's consent to a redemption of its total by another account, paid to `to`.
    pub(crate) fn consent(&self, position: &Position, to: Address) -> Bytes {
        let (id, payee) = (position.deposit_id(), position.payee());
        let digest = self.bank.consent_digest(id, payee, position.total(), to);
        let signature = self.keys[&payee].sign(digest);
        Bytes::copy_from_slice(signature.as_bytes())
    }

    /// Removes the positions in a drawn deposit, except for the winner's.
    pub(crate) fn forget_losers(&mut self, positions: &[Position], winner: Option<&Position>) {
        for lost in positions {
            if winner.is_none_or(|winner| winner.payee() != lost.payee()) {
                self.release(lost);
                let key = position_key(self.bank.address(), lost.deposit_id(), lost.payee());
                remove(&self.store, Table::Positions, &key);
            }
        }
    }

    /// Counts a position no more: it is lost or redeemed.
    pub(crate) fn release(&mut self, position: &Position) {
        let stake = self.at_stake.get_mut(&position.payee()).unwrap();
        *stake = stake.checked_sub(position.total()).unwrap();
    }

    /// Removes the positions in a closed deposit.
    pub(crate) fn forget(&self, id: DepositId) {
        remove(&self.store, Table::Positions, &self.prefix(id));
    }

    pub(crate) fn has_nothing_at_stake(&self) -> bool {
        self.at_stake.values().all(|stake| stake.is_zero())
    }

    pub(crate) fn kept(&self) -> usize {
        rows(&self.store)
    }

    fn prefix(&self, id: DepositId) -> Vec<u8> {
        [self.bank.address().as_slice(), id.0.as_slice()].concat()
    }
}
