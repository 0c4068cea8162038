//! Payments by cheques.

use super::cheque_sender::{ChequeSender, ChequeSenderError};
use crate::{
    compose::pay::QuoteError,
    payment::{
        boxed::BoxFuture,
        cheque::CHEQUE_IDENTITY,
        handshake::Offer,
        sender::{Outgoing, PaymentSender, SendError},
    },
};
use alloy_primitives::Address;
use cheque::{
    Amount, DepositId,
    payer::{DepositState, PayerError},
};
use std::collections::BTreeSet;

impl ChequeSender {
    async fn pay(&self, payee: Address, min: u128, max: u128) -> Result<Outgoing, SendError> {
        let mut state = self.state.lock().await;
        let mut inactive = BTreeSet::new();
        loop {
            let now_s = self.now_s().await.map_err(SendError::module)?;
            let composer = &state.record.composer;
            let quote = match composer.quote_without(&payee, min, max, now_s, &inactive) {
                Ok(quote) => quote,
                Err(error) => return Err(not_covered(error, &inactive)),
            };
            let mut next = state.record.clone();
            let recorded = next.composer.record(&quote);
            recorded.map_err(SendError::module)?;
            let pieces = quote.pieces().iter();
            let pieces: Vec<_> = pieces
                .map(|piece| (DepositId(piece.deposit.into()), Amount::new(piece.amount)))
                .collect();
            let change = self.change(state.stored.clone(), &next);
            let payments = match self.payer.pay_pieces(payee, &pieces, &change).await {
                Ok(payments) => payments,
                // Another user of the payer has paid from this allowance. Its rest is lost to the composer.
                Err(PayerError::NotCoveredByDeposit { deposit, .. }) => {
                    let mut next = state.record.clone();
                    next.composer.mark_unusable(&deposit.0.0, &payee);
                    match self.store_record(&mut state, next).await {
                        // Another process may have changed the composer already.
                        Ok(()) | Err(ChequeSenderError::Changed) => continue,
                        Err(error) => return Err(SendError::module(error)),
                    }
                }
                Err(PayerError::AppConflict) => {
                    let reloaded = self.reload(&mut state).await;
                    reloaded.map_err(SendError::module)?;
                    continue;
                }
                // A reorg, for example, has removed the deposit and may restore it. Other deposits can pay.
                Err(PayerError::NotActive(deposit)) if inactive.insert(deposit.0.0) => continue,
                Err(error) => return Err(SendError::module(error)),
            };
            state.stored = change.new;
            state.record = next;
            let proofs = payments.into_iter().map(|payment| payment.proof);
            return Ok(Outgoing {
                amount: quote.amount(),
                cost: quote.cost(),
                proofs: proofs.map(|proof| proof.encode()).collect(),
            });
        }
    }

    async fn current_proofs(&self, payee: Address) -> Result<Vec<Vec<u8>>, PayerError> {
        let mut proofs = Vec::new();
        for (id, record) in self.payer.deposits().await? {
            // Payees accept cheques for some seconds longer than payers write them.
            let taken = matches!(
                record.state,
                DepositState::Active | DepositState::PastCutoff
            );
            if !taken || record.deposit.token != self.token {
                continue;
            }
            match self.payer.opening_proof(id, payee).await {
                Ok(proof) => proofs.extend(proof.map(|proof| proof.encode())),
                Err(PayerError::UnknownPayee { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(proofs)
    }
}

/// Returns the reason for not covering a payment: an inactive deposit, if one was left out.
fn not_covered(error: QuoteError, inactive: &BTreeSet<[u8; 32]>) -> SendError {
    match inactive.first() {
        Some(id) => SendError::module(PayerError::NotActive(DepositId((*id).into()))),
        None => error.into(),
    }
}

impl PaymentSender for ChequeSender {
    fn offer(&self) -> Offer {
        let bank = self.payer.reader().bank();
        Offer {
            identity: CHEQUE_IDENTITY.into(),
            chain_id: bank.chain_id(),
            bank: Some(bank.address()),
            token: self.token,
        }
    }

    /// Includes the share of the newest deposit's fee: see
    /// [`Composer::payment_cost`](crate::compose::Composer::payment_cost).
    fn payment_cost(&self, payee: Address, amount: u128) -> BoxFuture<'_, Result<u128, SendError>> {
        Box::pin(async move {
            let now_s = self.now_s().await.map_err(SendError::module)?;
            let state = self.state.lock().await;
            let cost = state.record.composer.payment_cost(&payee, amount, now_s);
            Ok(cost?)
        })
    }

    fn request_payment(
        &self,
        payee: Address,
        min: u128,
        max: u128,
    ) -> BoxFuture<'_, Result<Outgoing, SendError>> {
        Box::pin(self.pay(payee, min, max))
    }

    fn latest_proofs(&self, payee: Address) -> BoxFuture<'_, Result<Vec<Vec<u8>>, SendError>> {
        Box::pin(async move { self.current_proofs(payee).await.map_err(SendError::module) })
    }
}
