//! Redeeming, for whoever holds a redemption: the payee, or a relayer with its consent.

use crate::{
    bank::{error::BankError, reader::Reader},
    protocol::{
        amount::Amount,
        draw::{HISTORY_WINDOW, Seed},
        revert::outcome_text,
        terms::{Bank, DepositId},
    },
    store::async_store::StoredError,
    tx::{
        error::OutboxError,
        error::TxError,
        wallet::{Call, MinedTx, Wallet},
    },
};
use alloy::eips::BlockId;
use alloy_primitives::{Address, Bytes};
use alloy_sol_types::SolEvent;
use cheque_bindings::{Outcome, PackError, Redemption};
use cheque_bindings::{Redeemed as RedeemedEvent, Skipped};

/// Why a cheque was not redeemed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedeemError {
    /// The chain, or the way to it.
    #[error(transparent)]
    Bank(#[from] BankError),
    /// A transaction.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The store.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// A transaction that is sent once.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The payee has no wallet to send transactions with.
    #[error("sending a transaction takes a wallet, and this payee has none")]
    NoWallet,
    /// The store holds no cheque of the deposit.
    #[error("the store holds no cheque of deposit {0}")]
    UnknownDeposit(DepositId),
    /// The bank would refuse, or has skipped it in a batch.
    #[error("it cannot be redeemed: {}", outcome_text(*.outcome))]
    NotPayable {
        /// Why.
        outcome: Outcome,
        /// What it would pay otherwise, where that is known.
        payout: Amount,
    },
    /// It is not of a form that any bank takes.
    #[error("the redemption of {payee}'s cheque of deposit {id} cannot be sent: {source}")]
    Unpackable {
        /// The deposit.
        id: DepositId,
        /// The payee.
        payee: Address,
        /// Why.
        source: PackError,
    },
    /// The chain has forgotten the draw block, and nobody has recorded its seed in time.
    #[error("the seed of block {0} was not recorded within {HISTORY_WINDOW} blocks, and is lost")]
    SeedLost(u64),
    /// The payee may still be paid more, and somebody could use the consent to redeem less.
    #[error(
        "a consent is for the total of now and stays good: it is safe from block {safe_from} on, that of the draw, when no \
         payment comes any more, and the head is {head}"
    )]
    ConsentTooEarly {
        /// The newest block.
        head: u64,
        /// The draw block, from which on a consent is safe.
        safe_from: u64,
    },
    /// The key is not the payee's.
    #[error("the payee is {payee}, the key is {key}'s")]
    WrongKey {
        /// Who has to consent.
        payee: Address,
        /// Whose key this is.
        key: Address,
    },
}

/// A cheque that was redeemed.
#[derive(Clone, Debug)]
pub struct Redeemed {
    /// What it paid, in token units.
    pub payout: Amount,
    /// The transaction.
    pub sent: MinedTx,
}

/// A batch of redemptions.
#[derive(Clone, Debug)]
pub struct RedeemedBatch {
    /// What was paid: deposit, payee, and units.
    pub paid: Vec<(DepositId, Address, Amount)>,
    /// What was skipped: deposit, payee, and why.
    pub skipped: Vec<(DepositId, Address, Outcome)>,
    /// The transaction.
    pub sent: MinedTx,
}

impl Reader {
    /// The seed of a draw block with what proves it to the bank: nothing if it is recorded, else the block's header.
    /// `None`: there is no such block yet.
    pub async fn seed(&self, block: u64) -> Result<Option<(Seed, Bytes)>, RedeemError> {
        if let Some(seed) = self.recorded_seed(block).await? {
            return Ok(Some((seed, Bytes::new())));
        }
        let head = self.head().await?.number;
        if head < block {
            return Ok(None);
        }
        // A transaction that is sent now runs in the next block at the earliest.
        if head + 1 - block > HISTORY_WINDOW {
            return Err(RedeemError::SeedLost(block));
        }
        let draw = self.draw_block(block).await?;
        Ok(draw.map(|draw| (draw.seed, draw.header)))
    }

    /// The transaction that records a block's seed, or `None` if it is recorded already.
    pub async fn record_seed(&self, block: u64) -> Result<Option<Call>, RedeemError> {
        if self.recorded_seed(block).await?.is_some() {
            return Ok(None);
        }
        let seed = self.seed(block).await?;
        let (_, header) = seed.ok_or(BankError::NoBlock(block))?;
        Ok(Some(Call::record_seed(self.bank(), block, header)))
    }

    /// What the bank says about a redemption that `caller` would send now, and what it would pay where that is known.
    pub async fn outcome(
        &self,
        redemption: &Redemption,
        caller: Address,
    ) -> Result<(Outcome, Amount), RedeemError> {
        let packed = packed(self, redemption)?;
        Ok(self.outcome_of(packed, caller, BlockId::latest()).await?)
    }

    /// Packs a redemption and simulates it as `caller` at the newest block. Returns the packed bytes and the payout.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NotPayable`] with the bank's reason if it would not pay, [`RedeemError::Unpackable`] if no bank takes
    /// a redemption of this form.
    pub(crate) async fn check_redemption(
        &self,
        redemption: &Redemption,
        caller: Address,
    ) -> Result<(Bytes, Amount), RedeemError> {
        let packed = packed(self, redemption)?;
        let (outcome, head) = tokio::try_join!(
            self.outcome_of(packed.clone(), caller, BlockId::latest()),
            self.head()
        )?;
        // The bank is asked as of the head, and the transaction will come after it.
        let outcome = match outcome {
            (Outcome::Payable, payout) if head.number >= redemption.deposit.lastRedeemBlock => {
                (Outcome::TooLate, payout)
            }
            outcome => outcome,
        };
        match outcome {
            (Outcome::Payable, payout) => Ok((packed, payout)),
            (outcome, payout) => Err(RedeemError::NotPayable { outcome, payout }),
        }
    }

    /// The transaction that redeems, and its payout; or the bank's reason why it would not pay `caller` now.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NotPayable`] with the bank's reason if it would not pay, [`RedeemError::Unpackable`] if no bank takes
    /// a redemption of this form.
    pub async fn plan_redemption(
        &self,
        redemption: &Redemption,
        caller: Address,
    ) -> Result<(Call, Amount), RedeemError> {
        let (packed, payout) = self.check_redemption(redemption, caller).await?;
        Ok((Call::redeem(self.bank(), packed), payout))
    }
}

/// Redeems a cheque that the sender was given, such as a relayer by the payee. Asks the bank first, and sends nothing
/// that it would refuse.
pub async fn redeem(
    reader: &Reader,
    wallet: &Wallet,
    redemption: &Redemption,
) -> Result<Redeemed, RedeemError> {
    let (call, _) = reader.plan_redemption(redemption, wallet.address()).await?;
    let sent = wallet.send(&call).await?;
    let bank = reader.bank();
    let id = bank.deposit_id(&redemption.deposit);
    redeemed(bank, id, redemption.payee, sent)
}

/// Redeems many cheques to their payees' balances. What cannot be paid is skipped and reported. Nothing is sent if one of
/// them is [`Unpackable`](RedeemError::Unpackable).
pub async fn redeem_batch(
    reader: &Reader,
    wallet: &Wallet,
    redemptions: &[Redemption],
) -> Result<RedeemedBatch, RedeemError> {
    let packed: Result<_, _> = redemptions.iter().map(|r| packed(reader, r)).collect();
    let call = Call::redeem_batch(reader.bank(), packed?);
    let sent = wallet.send(&call).await?;
    let mut batch = RedeemedBatch {
        paid: Vec::new(),
        skipped: Vec::new(),
        sent,
    };
    for log in batch.sent.receipt.inner.logs() {
        if let Ok(event) = RedeemedEvent::decode_log(&log.inner) {
            let payout = Amount::new(event.payout);
            let id = DepositId(event.depositId);
            batch.paid.push((id, event.payee, payout));
        } else if let Ok(event) = Skipped::decode_log(&log.inner) {
            let id = DepositId(event.depositId);
            batch.skipped.push((id, event.payee, event.outcome));
        }
    }
    Ok(batch)
}

/// The bytes that the bank takes.
fn packed(reader: &Reader, redemption: &Redemption) -> Result<Bytes, RedeemError> {
    redemption.pack().map_err(|source| RedeemError::Unpackable {
        id: reader.bank().deposit_id(&redemption.deposit),
        payee: redemption.payee,
        source,
    })
}

/// What a transaction paid to `payee` for one deposit, by the bank's event. It may have redeemed others beside, and it may
/// have been skipped in a batch.
pub(crate) fn redeemed(
    bank: &Bank,
    id: DepositId,
    payee: Address,
    sent: MinedTx,
) -> Result<Redeemed, RedeemError> {
    let mut outcome = Outcome::NotOpen;
    for log in sent.receipt.inner.logs() {
        if log.address() != bank.address() {
            continue;
        }
        if let Ok(event) = RedeemedEvent::decode_log(&log.inner) {
            if event.depositId == id.0 && event.payee == payee {
                let payout = Amount::new(event.payout);
                return Ok(Redeemed { payout, sent });
            }
        } else if let Ok(event) = Skipped::decode_log(&log.inner)
            && event.depositId == id.0
            && event.payee == payee
        {
            outcome = event.outcome;
        }
    }
    let payout = Amount::ZERO;
    Err(RedeemError::NotPayable { outcome, payout })
}
