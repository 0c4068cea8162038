//! Redemption of cheques, by the payee or by a relayer with the payee's consent.

use crate::{
    bank::{calls::proof_of, error::BankError, reader::Reader, seeds::SeedError},
    protocol::{
        amount::Amount,
        beacon::round::BeaconRound,
        draw::Seed,
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
use std::collections::{BTreeMap, BTreeSet};

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
    /// The round of the draw is not known.
    #[error(transparent)]
    Seed(#[from] SeedError),
    /// The draw is not public yet.
    #[error("the draw at time {0} is not public yet; wait for the beacon's round")]
    NotDrawn(u64),
    /// The round belongs to another time than the draw.
    #[error("the round given is of time {found}, but the cheque is drawn at {draw_time}")]
    OtherRound {
        /// The draw time of the deposit.
        draw_time: u64,
        /// The time of the round.
        found: u64,
    },
    /// A payment of the deposit is being stored, and raises the total.
    #[error("a payment of deposit {0} is being stored; retry once the write is over")]
    BeingPaid(DepositId),
    /// The payee may still receive payments, and another account could use the consent to redeem the lower total.
    #[error(
        "refusing to sign a consent before the draw at {safe_from} (it is {now}), since payments may still raise the total; \
         retry after the draw"
    )]
    ConsentTooEarly {
        /// The later of the newest block's and the newest verified round's time, in seconds since 1970.
        now: u64,
        /// The draw time, from which on a consent is safe.
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

/// A redemption that the bank would pay now.
#[derive(Clone, Debug)]
pub(crate) struct Payable {
    /// The redemption in the form of the bank.
    pub(crate) packed: Bytes,
    /// The payout, in token units.
    pub(crate) payout: Amount,
    /// The round whose proof has to go along: that of the draw, unless the seed is recorded.
    pub(crate) unrecorded: Option<BeaconRound>,
}

impl Payable {
    /// Returns the call that redeems.
    pub(crate) fn call(self, bank: &Bank) -> Call {
        Call::redeem(bank, self.packed, self.unrecorded.as_ref())
    }
}

impl Reader {
    /// Returns the seed of a draw: the recorded one, else that of the round, if one is given. True if it is recorded.
    ///
    /// # Errors
    ///
    /// [`RedeemError::OtherRound`] if the round is of another time, [`RedeemError::Bank`] if the node fails.
    pub async fn seed(
        &self,
        draw_time: u64,
        round: Option<&BeaconRound>,
    ) -> Result<Option<(Seed, bool)>, RedeemError> {
        check_round(draw_time, round)?;
        let recorded = self
            .recorded_seed(draw_time)
            .await?
            .map(|seed| (seed, true));
        Ok(recorded.or_else(|| round.map(|round| (round.seed(), false))))
    }

    /// Prepares the call that records the seed of a round's time. `None` if it is recorded already.
    ///
    /// # Errors
    ///
    /// [`RedeemError::Bank`] if the node fails.
    pub async fn record_seed(&self, round: &BeaconRound) -> Result<Option<Call>, RedeemError> {
        let recorded = self.recorded_seed(round.time()).await?;
        Ok(recorded
            .is_none()
            .then(|| Call::record_seed(self.bank(), round)))
    }

    /// Simulates a redemption sent by `caller` at the newest block, with the proof of `round` if one is given. Returns the
    /// bank's verdict, and the payout in token units if known.
    ///
    /// # Errors
    ///
    /// [`RedeemError::Unpackable`] if no bank accepts a redemption of this form, [`RedeemError::OtherRound`] for the round
    /// of another time, [`RedeemError::Bank`] if the node fails. A redemption not payable is no error here.
    pub async fn outcome(
        &self,
        redemption: &Redemption,
        caller: Address,
        round: Option<&BeaconRound>,
    ) -> Result<(Outcome, Amount), RedeemError> {
        check_round(redemption.deposit.drawTime, round)?;
        let packed = packed(self, redemption)?;
        let proof = round.map(proof_of).unwrap_or_default();
        Ok(self
            .outcome_of(packed, proof, caller, BlockId::latest())
            .await?)
    }

    /// Packs a redemption and simulates it as `caller` at the newest block. The proof of `round` goes along unless the seed
    /// is recorded.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NotPayable`] with the bank's reason if the bank would not pay; else as for [`Reader::outcome`].
    pub(crate) async fn check_redemption(
        &self,
        redemption: &Redemption,
        caller: Address,
        round: Option<&BeaconRound>,
    ) -> Result<Payable, RedeemError> {
        let draw_time = redemption.deposit.drawTime;
        check_round(draw_time, round)?;
        let packed = packed(self, redemption)?;
        let proof = round.map(proof_of).unwrap_or_default();
        let (outcome, head, recorded) = tokio::try_join!(
            self.outcome_of(packed.clone(), proof, caller, BlockId::latest()),
            self.head(),
            self.recorded_seed(draw_time),
        )?;
        // The bank judges by the head, but the transaction can be mined in the next block at the earliest, of a later time.
        let outcome = match outcome {
            (Outcome::Payable, payout) if head.time >= redemption.deposit.redeemUntil => {
                (Outcome::TooLate, payout)
            }
            outcome => outcome,
        };
        match outcome {
            (Outcome::Payable, payout) => Ok(Payable {
                packed,
                payout,
                unrecorded: round.filter(|_| recorded.is_none()).copied(),
            }),
            (outcome, payout) => Err(RedeemError::NotPayable { outcome, payout }),
        }
    }

    /// Prepares the call by which `caller` redeems, and returns its payout in token units. Simulates at the newest block.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NotPayable`] with the bank's reason if the bank would not pay, among them that the seed is neither
    /// recorded nor proved by `round`; else as for [`Reader::outcome`].
    pub async fn plan_redemption(
        &self,
        redemption: &Redemption,
        caller: Address,
        round: Option<&BeaconRound>,
    ) -> Result<(Call, Amount), RedeemError> {
        let payable = self.check_redemption(redemption, caller, round).await?;
        let payout = payable.payout;
        Ok((payable.call(self.bank()), payout))
    }

    /// Returns those of the rounds that the bank has not recorded, each once. A batch proves them.
    pub(crate) async fn unrecorded(
        &self,
        rounds: impl IntoIterator<Item = BeaconRound>,
    ) -> Result<Vec<BeaconRound>, BankError> {
        let by_time: BTreeMap<u64, BeaconRound> = rounds
            .into_iter()
            .map(|round| (round.time(), round))
            .collect();
        let mut unrecorded = Vec::new();
        for (time, round) in by_time {
            if self.recorded_seed(time).await?.is_none() {
                unrecorded.push(round);
            }
        }
        Ok(unrecorded)
    }
}

/// Fails if a round is of another time than a draw.
fn check_round(draw_time: u64, round: Option<&BeaconRound>) -> Result<(), RedeemError> {
    match round.map(BeaconRound::time) {
        Some(found) if found != draw_time => Err(RedeemError::OtherRound { draw_time, found }),
        _ => Ok(()),
    }
}

/// Redeems a cheque that the sender was given, such as a relayer by the payee. Simulates first, and sends only a payable
/// redemption. `round` is that of the draw; not needed if the seed is recorded.
///
/// Warning: a sender that is itself the payee agrees to any total by sending. It must compare with its own newest cheque.
///
/// # Errors
///
/// As for [`Reader::plan_redemption`] and [`Wallet::send`]. [`RedeemError::NotPayable`] also if the mined transaction has
/// paid nothing for the cheque.
pub async fn redeem(
    reader: &Reader,
    wallet: &Wallet,
    redemption: &Redemption,
    round: Option<&BeaconRound>,
) -> Result<Redeemed, RedeemError> {
    let planned = reader.plan_redemption(redemption, wallet.address(), round);
    let (call, _) = planned.await?;
    let mined = wallet.send(&call).await?;
    let bank = reader.bank();
    let id = bank.deposit_id(&redemption.deposit);
    redeemed(bank, id, redemption.payee, mined)
}

/// Redeems many cheques to their payees' balances. The bank skips cheques not payable, and the result reports them. `rounds`
/// are those of the draws; one whose seed is recorded, or that no cheque needs, is left out.
///
/// Warning: a sender that is itself a payee agrees to any total by sending, as for [`redeem`].
///
/// # Errors
///
/// [`RedeemError::Unpackable`] if any redemption has a form that no bank accepts; then nothing is sent. Else as for
/// [`Wallet::send`].
pub async fn redeem_batch(
    reader: &Reader,
    wallet: &Wallet,
    redemptions: &[Redemption],
    rounds: &[BeaconRound],
) -> Result<RedeemedBatch, RedeemError> {
    let packed: Result<_, _> = redemptions.iter().map(|r| packed(reader, r)).collect();
    let times: BTreeSet<u64> = redemptions.iter().map(|r| r.deposit.drawTime).collect();
    let needed = rounds.iter().filter(|round| times.contains(&round.time()));
    let unrecorded = reader.unrecorded(needed.copied()).await?;
    let call = Call::redeem_batch(reader.bank(), packed?, &unrecorded);
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
