//! Paying from what a composer has granted.

use super::cheque_sender::{ChequeSender, ChequeSenderError};
use crate::compose::QuoteError;
use crate::payment::{CHEQUES, Offer, Outgoing, PaymentSender, Pending, SendError};
use alloy_primitives::Address;
use cheque::{
    Amount, DepositId,
    payer::{DepositState, PayerError},
};
use std::collections::BTreeSet;

impl ChequeSender {
    async fn pay(&self, payee: Address, least: u128, most: u128) -> Result<Outgoing, SendError> {
        let mut state = self.state.lock().await;
        let mut inactive = BTreeSet::new();
        loop {
            let head = self
                .payer
                .last_head()
                .await
                .map_err(SendError::module)?
                .number;
            let composer = &state.kept.composer;
            let quote = match composer.quote_without(&payee, least, most, head, &inactive) {
                Ok(quote) => quote,
                Err(error) => return Err(not_covered(error, &inactive)),
            };
            let mut next = state.kept.clone();
            let recorded = next.composer.record(&quote);
            recorded.map_err(SendError::module)?;
            let pieces = quote.pieces().iter();
            let pieces: Vec<_> = pieces
                .map(|piece| (DepositId(piece.deposit.into()), Amount::new(piece.amount)))
                .collect();
            let also = self.change(state.stored.clone(), &next);
            let payments = match self.payer.pay_pieces(payee, &pieces, &also).await {
                Ok(payments) => payments,
                // Somebody else has paid from it. What is left there will never be the composer's.
                Err(PayerError::PieceNotCovered { deposit, .. }) => {
                    let mut next = state.kept.clone();
                    next.composer.close(&deposit.0.0, &payee);
                    match self.keep(&mut state, next).await {
                        // Or the composer has, in another process.
                        Ok(()) | Err(ChequeSenderError::Changed) => continue,
                        Err(error) => return Err(SendError::module(error)),
                    }
                }
                Err(PayerError::HostConflict) => {
                    let reloaded = self.reload(&mut state).await;
                    reloaded.map_err(SendError::module)?;
                    continue;
                }
                // A reorganisation has taken it away, say, and may bring it back. The others can be paid from.
                Err(PayerError::NotActive(deposit)) if inactive.insert(deposit.0.0) => continue,
                Err(error) => return Err(SendError::module(error)),
            };
            state.stored = also.new;
            state.kept = next;
            let proofs = payments.into_iter().filter_map(|payment| payment.proof);
            return Ok(Outgoing {
                amount: quote.amount(),
                cost: quote.cost(),
                proofs: proofs.map(|proof| proof.encode()).collect(),
            });
        }
    }

    async fn openings(&self, payee: Address) -> Result<Vec<Vec<u8>>, PayerError> {
        let mut proofs = Vec::new();
        for (id, record) in self.payer.deposits().await? {
            // Payees take cheques for some blocks longer than they are written.
            let taken = matches!(
                record.state,
                DepositState::Active | DepositState::PastCutoff
            );
            if !taken || record.deposit.token != self.token {
                continue;
            }
            match self.payer.opening(id, payee).await {
                Ok(proof) => proofs.extend(proof.map(|proof| proof.encode())),
                Err(PayerError::UnknownPayee { .. }) => {}
                Err(error) => return Err(error),
            }
        }
        Ok(proofs)
    }
}

/// Why nothing covers a payment: where deposits were left out, because of those.
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
            identity: CHEQUES.into(),
            chain_id: bank.chain_id(),
            bank: Some(bank.address()),
            token: self.token,
        }
    }

    /// The share of the newest deposit's fee is included: see [`Composer::estimate_cost`](crate::compose::Composer::estimate_cost).
    fn payment_cost(&self, payee: Address, amount: u128) -> Pending<'_, Result<u128, SendError>> {
        Box::pin(async move {
            let head = self.payer.last_head().await.map_err(SendError::module)?;
            let state = self.state.lock().await;
            let cost = state
                .kept
                .composer
                .estimate_cost(&payee, amount, head.number);
            Ok(cost?)
        })
    }

    fn request_payment(
        &self,
        payee: Address,
        least: u128,
        most: u128,
    ) -> Pending<'_, Result<Outgoing, SendError>> {
        Box::pin(self.pay(payee, least, most))
    }

    fn proofs_again(&self, payee: Address) -> Pending<'_, Result<Vec<Vec<u8>>, SendError>> {
        Box::pin(async move { self.openings(payee).await.map_err(SendError::module) })
    }
}
