//! Deposits as the chain remembers them, for whoever has lost the store.

use crate::{bank::error::BankError, bank::reader::Reader, protocol::terms::DepositId};
use alloy::rpc::types::Filter;
use alloy_primitives::Address;
use alloy_sol_types::SolEvent;
use cheque_bindings::Deposit;
use cheque_bindings::Opened;

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
}
