//! Redemption of cheques, by the payee or by a relayer with the payee's consent.

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

/// The reason why a cheque was not redeemed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RedeemError {
    /// The bank or its chain could not be read.
    #[error(transparent)]
    Bank(#[from] BankError),
    /// The transaction failed.
    #[error(transparent)]
    Tx(#[from] TxError),
    /// The store failed.
    #[error(transparent)]
    Stored(#[from] StoredError),
    /// The stored transaction could not be sent or resumed.
    #[error(transparent)]
    Outbox(#[from] OutboxError),
    /// The payee has no wallet to send transactions with.
    #[error("this payee has no wallet to send transactions; configure a wallet")]
    NoWallet,
    /// The store holds no cheque of the deposit.
    #[error("the store holds no cheque of deposit {0}")]
    UnknownDeposit(DepositId),
    /// The bank would refuse the redemption, or has skipped it in a batch.
    #[error("the cheque cannot be redeemed: {}", outcome_text(*.outcome))]
    NotPayable {
        /// The bank's reason.
        outcome: Outcome,
        /// The payout without that reason, in token units. Zero if unknown.
        payout: Amount,
    },
    /// The redemption has a form that no bank accepts.
    #[error("the redemption of {payee}'s cheque of deposit {id} cannot be sent: {source}")]
    Unpackable {
        /// The deposit.
        id: DepositId,
        /// The payee.
        payee: Address,
        /// The reason.
        source: PackError,
    },
    /// The draw block is too old to prove its seed, and the seed was not recorded in time.
    #[error("the seed of block {0} was not recorded within {HISTORY_WINDOW} blocks, and is lost")]
    SeedLost(u64),
    /// The payee may still receive payments, and another account could use the consent to redeem the lower total.
    #[error(
        "refusing to sign a consent before the draw block {safe_from} (head is {head}), since payments may still raise the \
         total; retry at the draw block"
    )]
    ConsentTooEarly {
        /// The newest block.
        head: u64,
        /// The draw block, from which on a consent is safe.
        safe_from: u64,
    },
    /// The key is not the payee's.
    #[error("the payee is {payee}, but the key is {key}'s; sign with the payee's key")]
    WrongKey {
        /// The payee, who has to consent.
        payee: Address,
        /// The address of the key.
        key: Address,
    },
}

/// A redeemed cheque.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Redeemed {
    /// The payout, in token units.
    pub payout: Amount,
    /// The mined transaction.
    pub tx: MinedTx,
}

/// A redeemed batch.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct RedeemedBatch {
    /// The paid redemptions: deposit, payee, and payout in token units.
    pub paid: Vec<(DepositId, Address, Amount)>,
    /// The skipped redemptions: deposit, payee, and the bank's reason.
    pub skipped: Vec<(DepositId, Address, Outcome)>,
    /// The mined transaction.
    pub tx: MinedTx,
}

impl Reader {
    /// Reads the seed of a draw block, with its proof for the bank: empty if the seed is recorded, else the block's header.
    /// `None` before the block exists.
    ///
    /// # Errors
    ///
    /// [`RedeemError::SeedLost`] if the block is too old to prove and the seed not recorded, [`RedeemError::Bank`] if the
    /// node fails.
    pub async fn seed(&self, block: u64) -> Result<Option<(Seed, Bytes)>, RedeemError> {
        if let Some(seed) = self.recorded_seed(block).await? {
            return Ok(Some((seed, Bytes::new())));
        }
        let head = self.head().await?.number;
        if head < block {
            return Ok(None);
        }
        // The next block is the earliest that can include a transaction sent now.
        if head + 1 - block > HISTORY_WINDOW {
            return Err(RedeemError::SeedLost(block));
        }
        let draw = self.draw_block(block).await?;
        Ok(draw.map(|draw| (draw.seed, draw.header)))
    }

    /// Prepares the call that records a block's seed. `None` if the seed is already recorded.
    ///
    /// # Errors
    ///
    /// As for [`Reader::seed`], and [`BankError::NoBlock`] before the block exists.
    pub async fn record_seed(&self, block: u64) -> Result<Option<Call>, RedeemError> {
        if self.recorded_seed(block).await?.is_some() {
            return Ok(None);
        }
        let seed = self.seed(block).await?;
        let (_, header) = seed.ok_or(BankError::NoBlock(block))?;
        Ok(Some(Call::record_seed(self.bank(), block, header)))
    }

    /// Simulates a redemption sent by `caller` at the newest block. Returns the bank's verdict, and the payout in token units
    /// if known.
    ///
    /// # Errors
    ///
    /// [`RedeemError::Unpackable`] if no bank accepts a redemption of this form, [`RedeemError::Bank`] if the node fails. A
    /// redemption not payable is no error here.
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
    /// [`RedeemError::NotPayable`] with the bank's reason if the bank would not pay, [`RedeemError::Unpackable`] if no bank
    /// accepts a redemption of this form, [`RedeemError::Bank`] if the node fails.
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
        // The bank judges by the head, but the transaction can be mined in the next block at the earliest.
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

    /// Prepares the call by which `caller` redeems, and returns its payout in token units. Simulates at the newest block.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NotPayable`] with the bank's reason if the bank would not pay, [`RedeemError::Unpackable`] if no bank
    /// accepts a redemption of this form, [`RedeemError::Bank`] if the node fails.
    pub async fn plan_redemption(
        &self,
        redemption: &Redemption,
        caller: Address,
    ) -> Result<(Call, Amount), RedeemError> {
        let (packed, payout) = self.check_redemption(redemption, caller).await?;
        Ok((Call::redeem(self.bank(), packed), payout))
    }
}

/// Redeems a cheque that the sender was given, such as a relayer by the payee. Simulates first, and sends only a payable
/// redemption.
///
/// # Errors
///
/// As for [`Reader::plan_redemption`] and [`Wallet::send`]. [`RedeemError::NotPayable`] also if the mined transaction has
/// paid nothing for the cheque.
pub async fn redeem(
    reader: &Reader,
    wallet: &Wallet,
    redemption: &Redemption,
) -> Result<Redeemed, RedeemError> {
    let (call, _) = reader.plan_redemption(redemption, wallet.address()).await?;
    let mined = wallet.send(&call).await?;
    let bank = reader.bank();
    let id = bank.deposit_id(&redemption.deposit);
    redeemed(bank, id, redemption.payee, mined)
}

/// Redeems many cheques to their payees' balances. The bank skips cheques not payable, and the result reports them.
///
/// # Errors
///
/// [`RedeemError::Unpackable`] if any redemption has a form that no bank accepts; then nothing is sent. Else as for
/// [`Wallet::send`].
pub async fn redeem_batch(
    reader: &Reader,
    wallet: &Wallet,
    redemptions: &[Redemption],
) -> Result<RedeemedBatch, RedeemError> {
    let packed: Result<_, _> = redemptions.iter().map(|r| packed(reader, r)).collect();
    let call = Call::redeem_batch(reader.bank(), packed?);
    let tx = wallet.send(&call).await?;
    let mut batch = RedeemedBatch {
        paid: Vec::new(),
        skipped: Vec::new(),
        tx,
    };
    for log in batch.tx.receipt.inner.logs() {
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

/// Packs a redemption for the bank.
fn packed(reader: &Reader, redemption: &Redemption) -> Result<Bytes, RedeemError> {
    redemption.pack().map_err(|source| RedeemError::Unpackable {
        id: reader.bank().deposit_id(&redemption.deposit),
        payee: redemption.payee,
        source,
    })
}

/// Reads the payout of a deposit to `payee` from the bank's events in a mined transaction. The transaction may have redeemed
/// other deposits, too.
///
/// # Errors
///
/// [`RedeemError::NotPayable`] with the bank's reason if a batch has skipped the deposit; with [`Outcome::NotOpen`] if there
/// is no event.
pub(crate) fn redeemed(
    bank: &Bank,
    id: DepositId,
    payee: Address,
    mined: MinedTx,
) -> Result<Redeemed, RedeemError> {
    let mut outcome = Outcome::NotOpen;
    for log in mined.receipt.inner.logs() {
        if log.address() != bank.address() {
            continue;
        }
        if let Ok(event) = RedeemedEvent::decode_log(&log.inner) {
            if event.depositId == id.0 && event.payee == payee {
                let payout = Amount::new(event.payout);
                return Ok(Redeemed { payout, tx: mined });
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
