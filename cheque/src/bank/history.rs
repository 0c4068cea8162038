//! Deposits as the chain remembers them, for whoever has lost the store.

use crate::{
    bank::error::BankError, bank::reader::Reader, protocol::amount::Amount,
    protocol::terms::DepositId,
};
use alloy::{
    providers::Provider,
    rpc::types::{Filter, Log},
    transports::RpcError,
};
use alloy_primitives::Address;
use alloy_sol_types::SolEvent;
use cheque_bindings::Deposit;
use cheque_bindings::{Opened, Reclaimed, Redeemed};

/// A deposit that was opened, by its event. Its payees are not on the chain: with the store, the allowance list is lost,
/// but not the money.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FoundDeposit {
    /// The deposit's id.
    pub id: DepositId,
    /// Its terms.
    pub deposit: Deposit,
    /// The block that opened it.
    pub block: u64,
}

/// How a deposit was closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Closed {
    /// A payee won.
    Redeemed {
        /// The winner.
        payee: Address,
        /// What it got.
        payout: Amount,
        /// The block of the redemption.
        block: u64,
    },
    /// The payer took it back.
    Reclaimed {
        /// The block of the reclaim.
        block: u64,
    },
}

impl Reader {
    /// The deposit with this id, if it was opened in the blocks `from..=to`.
    pub async fn find_deposit(
        &self,
        id: DepositId,
        from: u64,
        to: u64,
    ) -> Result<Option<FoundDeposit>, BankError> {
        let found = self.opened(Filter::new().topic1(id.0), from, to).await?;
        // Ids are unique.
        Ok(found.into_iter().next())
    }

    /// All deposits of a payer that were opened in the blocks `from..=to`, oldest first. Large ranges take many requests
    /// where the node bounds them.
    pub async fn find_deposits(
        &self,
        payer: Address,
        from: u64,
        to: u64,
    ) -> Result<Vec<FoundDeposit>, BankError> {
        let of_payer = Filter::new().topic2(payer.into_word());
        self.opened(of_payer, from, to).await
    }

    async fn opened(
        &self,
        filter: Filter,
        from: u64,
        to: u64,
    ) -> Result<Vec<FoundDeposit>, BankError> {
        let filter = filter.event_signature(Opened::SIGNATURE_HASH);
        let logs = self.logs(filter, from, to).await?;
        Ok(logs
            .iter()
            .filter_map(|log| {
                let block = log.block_number?;
                let event = Opened::decode_log(&log.inner).ok()?;
                let deposit = Deposit {
                    payer: event.payer,
                    signer: event.signer,
                    token: event.token,
                    lane: event.lane,
                    amount: event.amount,
                    minPayout: event.minPayout,
                    drawBlock: event.drawBlock,
                    lastRedeemBlock: event.lastRedeemBlock,
                    root: event.root,
                };
                Some(FoundDeposit {
                    id: DepositId(event.depositId),
                    deposit,
                    block,
                })
            })
            .collect())
    }

    /// How a deposit was closed, as the events of the blocks `from..=to` tell it.
    pub async fn closed(
        &self,
        id: DepositId,
        from: u64,
        to: u64,
    ) -> Result<Option<Closed>, BankError> {
        let filter = Filter::new()
            .event_signature(vec![Redeemed::SIGNATURE_HASH, Reclaimed::SIGNATURE_HASH])
            .topic1(id.0);
        let logs = self.logs(filter, from, to).await?;
        Ok(logs.iter().rev().find_map(|log| {
            let block = log.block_number?;
            if let Ok(event) = Redeemed::decode_log(&log.inner) {
                return Some(Closed::Redeemed {
                    payee: event.payee,
                    payout: Amount::new(event.payout),
                    block,
                });
            }
            Reclaimed::decode_log(&log.inner).ok()?;
            Some(Closed::Reclaimed { block })
        }))
    }

    /// The bank's events in the blocks `from..=to`. Nodes bound the size of an answer, so a refused range is halved.
    pub(crate) async fn logs(
        &self,
        filter: Filter,
        from: u64,
        to: u64,
    ) -> Result<Vec<Log>, BankError> {
        let filter = filter.address(self.bank().address());
        let mut found = Vec::new();
        let mut ranges = vec![(from, to)];
        while let Some((from, to)) = ranges.pop() {
            if from > to {
                continue;
            }
            let part = filter.clone().from_block(from).to_block(to);
            match self.provider().get_logs(&part).await {
                Ok(logs) => found.extend(logs),
                Err(RpcError::ErrorResp(_)) if from < to => {
                    let middle = from + (to - from) / 2;
                    // The earlier half is taken from the stack first, so events stay in order.
                    ranges.push((middle + 1, to));
                    ranges.push((from, middle));
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(found)
    }
}
