//! Redemption: consents, the redemption of one deposit, and pruning of old positions.

use crate::{
    bank::{
        error::BankError,
        head::Head,
        redeem::{Payable, RedeemError, Redeemed, redeemed},
    },
    node::failover::pin_node,
    payee::{Payee, pending::PendingTx},
    protocol::{
        amount::Amount, beacon::round::BeaconRound, receive::position::Position,
        signature::SigningKey, terms::DepositId,
    },
    store::{async_store::AsyncStore, change::Swap, keys::position_key, table::Table},
    tx::{
        outbox::{self, Retention},
        wallet::{Call, MinedTx, Wallet},
    },
};
use alloy_primitives::{Address, Bytes};
use cheque_bindings::{Outcome, Redemption};
use std::collections::HashSet;

/// The destination of a payout, and the consent of the payee.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RedeemOptions {
    /// The account to pay. Zero: the payee's balance in the bank.
    pub to: Address,
    /// The payee's signature over [`Bank::consent_digest`](crate::Bank::consent_digest), needed if the wallet is not
    /// the payee's. `None`: the payee signs, if its key is set.
    pub consent: Option<Bytes>,
}

/// A redemption that the bank would pay now.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PlannedRedemption {
    /// The transaction.
    pub call: Call,
    /// The payout, in token units.
    pub payout: Amount,
}

impl Payee {
    /// Asks the bank for the outcome of redeeming the newest cheque of a deposit now, and for its payout in token units
    /// if known. Sends nothing.
    ///
    /// # Errors
    ///
    /// Those of [`Payee::redemption`], and [`RedeemError::Unpackable`] if no bank takes a redemption of this form.
    pub async fn outcome(&self, id: DepositId) -> Result<(Outcome, Amount), RedeemError> {
        let redemption = self.redemption(id, Address::ZERO, Bytes::new()).await?;
        let round = self.round(redemption.deposit.drawTime).await?;
        let caller = self.policy.payee;
        self.reader
            .outcome(&redemption, caller, round.as_ref())
            .await
    }

    /// The complete redemption of the newest cheque of a deposit, for any account with the payee's consent. It goes to the
    /// bank with the proof of its seed, unless the seed is recorded: see [`Payee::seeds`]. Does not check that the cheque
    /// has won.
    ///
    /// # Errors
    ///
    /// [`RedeemError::UnknownDeposit`] if the store has no cheque of the deposit; [`RedeemError::Stored`] if the store
    /// cannot be read.
    pub async fn redemption(
        &self,
        id: DepositId,
        to: Address,
        consent: Bytes,
    ) -> Result<Redemption, RedeemError> {
        let position = self.required_position(id).await?;
        Ok(position.redemption(to, consent))
    }

    /// The round of a draw time. `None` if it is not public yet, or if neither store nor relays have it while the bank has
    /// recorded the seed: no proof is needed then.
    async fn round(&self, draw_time: u64) -> Result<Option<BeaconRound>, RedeemError> {
        match self.seeds.round(draw_time).await {
            Ok(round) => Ok(round),
            Err(error) => match self.reader.recorded_seed(draw_time).await? {
                Some(_) => Ok(None),
                None => Err(error.into()),
            },
        }
    }

    /// Signs the payee's consent: any account may redeem the newest cheque of a deposit, paid to `to` (zero: to the
    /// payee's balance).
    ///
    /// A consent is for exactly the present total, and never expires. After a later payment its holder could still
    /// redeem the older cheque, and so close the deposit for less. Before the draw time, signing is therefore refused
    /// as [`RedeemError::ConsentTooEarly`]; no account can redeem earlier in any case. The newest block or a verified round
    /// tells that the time has come. The own clock does not count, because it may be fast. The seconds between the policy's
    /// cutoff and the draw time leave time for payments that were judged just before the cutoff: by the draw time they are in
    /// the store.
    ///
    /// # Errors
    ///
    /// [`RedeemError::ConsentTooEarly`] before the draw time; [`RedeemError::BeingPaid`] while a payment is being stored;
    /// [`RedeemError::WrongKey`] if `key` is not the payee's;
    /// [`RedeemError::UnknownDeposit`] if the store has no cheque of the deposit; [`RedeemError::Bank`] if no verified round
    /// proves the time, and the head cannot be read or is off the clock; [`RedeemError::Stored`] if the store cannot be read.
    pub async fn sign_consent(
        &self,
        id: DepositId,
        to: Address,
        key: &SigningKey,
    ) -> Result<Bytes, RedeemError> {
        if key.address() != self.policy.payee {
            return Err(RedeemError::WrongKey {
                payee: self.policy.payee,
                key: key.address(),
            });
        }
        let safe_from = self.required_position(id).await?.deposit().drawTime;
        let round_time = self.seeds.newest_time().await.unwrap_or_default();
        // A verified round proves the time alone, whatever clock and node say.
        if round_time < safe_from && !self.is_drawn(safe_from).await {
            let now = self.verified_head().await?.time.max(round_time);
            if now < safe_from {
                return Err(RedeemError::ConsentTooEarly { now, safe_from });
            }
        }
        self.check_not_in_flight(id)?;
        // Reads the total after the clocks, because no payment is added from the draw time on.
        let total = self.required_position(id).await?.total();
        let bank = self.reader.bank();
        let digest = bank.consent_digest(id, self.policy.payee, total, to);
        Ok(Bytes::copy_from_slice(key.sign(digest).as_bytes()))
    }

    /// Plans a redemption, and simulates the transaction. Sends nothing. Does not compare cost and payout.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NotPayable`] with the bank's reason; [`RedeemError::NoWallet`] without a wallet;
    /// [`RedeemError::BeingPaid`] while a payment is being stored; [`RedeemError::Seed`] if the round of the draw cannot be looked up; also those of [`Payee::redemption`] and, if the
    /// payee has to sign, of [`Payee::sign_consent`].
    pub async fn plan_redeem(
        &self,
        id: DepositId,
        options: &RedeemOptions,
    ) -> Result<PlannedRedemption, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let payable = self.payable(id, options, wallet).await?;
        let payout = payable.payout;
        let call = payable.call(self.reader.bank());
        Ok(PlannedRedemption { call, payout })
    }

    /// The redemption of a deposit in the form of the bank, if the bank would pay it now. Signs the consent for another
    /// account's wallet, if the payee's key is set.
    pub(super) async fn payable(
        &self,
        id: DepositId,
        options: &RedeemOptions,
        wallet: &Wallet,
    ) -> Result<Payable, RedeemError> {
        self.check_not_in_flight(id)?;
        let consent = match (&options.consent, &self.key) {
            (Some(consent), _) => consent.clone(),
            (None, Some(key)) if wallet.address() != self.policy.payee => {
                self.sign_consent(id, options.to, key).await?
            }
            (None, _) => Bytes::new(),
        };
        let redemption = self.redemption(id, options.to, consent).await?;
        let round = self.round(redemption.deposit.drawTime).await?;
        self.reader
            .check_redemption(&redemption, wallet.address(), round.as_ref())
            .await
    }

    /// Redeems the newest cheque of a deposit, and waits until the transaction is mined. Asks the bank first, and sends
    /// nothing that the bank would refuse. Does not compare cost and payout.
    ///
    /// After a restart or [`NotMined`](crate::tx::TxError::NotMined), call it again: the same transaction is resumed,
    /// with a higher fee after a long wait. The `options` of the first call stay in force.
    ///
    /// # Errors
    ///
    /// Those of [`Payee::plan_redeem`]; [`RedeemError::Outbox`] if the transaction could not be stored or sent, or was
    /// not mined in time; [`RedeemError::NotPayable`] if a mined batch skipped this deposit.
    pub async fn redeem(
        &self,
        id: DepositId,
        options: &RedeemOptions,
    ) -> Result<Redeemed, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        let key = self.redemption_key(id).await?;
        let now = self.tx_time().await?;
        // Resumes before asking the bank, which refuses a second redemption once the first one is mined.
        if let Some(mined) =
            outbox::resume(wallet, &self.store, &key, (now, Retention::UntilMined)).await?
        {
            return redeemed(self.reader.bank(), id, self.policy.payee, mined);
        }
        let planned = self.plan_redeem(id, options).await?;
        let mined = outbox::send(
            wallet,
            &self.store,
            &key,
            &planned.call,
            (now, Retention::UntilMined),
        )
        .await?;
        redeemed(self.reader.bank(), id, self.policy.payee, mined)
    }

    /// Records the seed of a draw time at the bank, for good: later redemptions of that draw cost less, those of other payees too.
    /// Waits until the transaction is mined. `None` if the seed is recorded already.
    ///
    /// # Errors
    ///
    /// [`RedeemError::NoWallet`] without a wallet; [`RedeemError::NotDrawn`] if the round is not public yet;
    /// [`RedeemError::Seed`] if it cannot be looked up; [`RedeemError::Bank`] if the chain cannot be read;
    /// [`RedeemError::Tx`] if the transaction could not be sent, or was not mined in time.
    pub async fn record_seed(&self, draw_time: u64) -> Result<Option<MinedTx>, RedeemError> {
        let wallet = self.wallet.as_ref().ok_or(RedeemError::NoWallet)?;
        match self.seed_call(draw_time).await? {
            Some(call) => Ok(Some(wallet.send(&call).await?)),
            None => Ok(None),
        }
    }

    /// The call that records the seed of a draw time. `None` if the seed is recorded already.
    pub(super) async fn seed_call(&self, draw_time: u64) -> Result<Option<Call>, RedeemError> {
        if self.reader.recorded_seed(draw_time).await?.is_some() {
            return Ok(None);
        }
        let round = self.seeds.round(draw_time).await?;
        let round = round.ok_or(RedeemError::NotDrawn(draw_time))?;
        self.reader.record_seed(&round).await
    }

    /// Removes the positions in deposits past redemption: their window was over at the final block. Returns the number of
    /// removed positions.
    ///
    /// Keeps the deposits of a [pending](Payee::pending_txs) transaction, which may still be in the node's mempool. A
    /// batch is one transaction, and another of its deposits may still be open. [`Payee::remove`] and
    /// [`Payee::abandon`] end a pending transaction.
    ///
    /// # Errors
    ///
    /// [`RedeemError::Bank`] if the head cannot be read or is off the clock; [`RedeemError::Stored`] if the store fails;
    /// [`RedeemError::Tx`] if the record of a transaction is damaged. Some positions may be removed then.
    pub async fn prune(&self) -> Result<usize, RedeemError> {
        self.prune_before(u64::MAX).await
    }

    /// Like [`Payee::prune`], but only removes deposits that could be redeemed until a time before `time`, in seconds since
    /// 1970.
    ///
    /// # Errors
    ///
    /// Those of [`Payee::prune`].
    pub async fn prune_before(&self, time: u64) -> Result<usize, RedeemError> {
        let positions = self.positions().await?;
        Ok(self.remove_before(positions, time).await?.len())
    }

    /// Removes positions in deposits that could be redeemed until a time before `time` and before the final block's. Returns
    /// the removed ones.
    pub(super) async fn remove_before(
        &self,
        positions: Vec<Position>,
        time: u64,
    ) -> Result<Vec<DepositId>, RedeemError> {
        let head = self.verified_head().await?;
        let before = self.reader.final_block(&head).await?.time.min(time);
        let pending_txs = self.pending_txs().await?;
        let pending: HashSet<_> = pending_txs.iter().flat_map(PendingTx::deposits).collect();
        let mut removed = Vec::new();
        for position in positions {
            let id = position.deposit_id();
            if position.deposit().redeemUntil < before && !pending.contains(&id) {
                if remove_position(&self.store, &position).await? {
                    removed.push(id);
                }
                self.index().remove(id, position.deposit());
            }
        }
        Ok(removed)
    }

    /// The time by which transactions are sent and replaced, in seconds since 1970: the latest of the three clocks.
    pub(super) async fn tx_time(&self) -> Result<u64, BankError> {
        let head = self.reader.head().await?;
        Ok(self.now(head.time).await.latest())
    }

    /// The newest block for irreversible decisions: on the clock, plausible by earlier heads, and a block of the node's
    /// chain.
    async fn verified_head(&self) -> Result<Head, BankError> {
        let verified = async {
            let head = self.reader.checked_head().await?;
            self.reader.check_canonical(&head).await?;
            Ok(head)
        };
        pin_node(verified).await
    }

    /// Fails while a payment of the deposit is being written. The store has every payment that was written before a success.
    fn check_not_in_flight(&self, id: DepositId) -> Result<(), RedeemError> {
        if self.index().is_in_flight(id) {
            return Err(RedeemError::BeingPaid(id));
        }
        Ok(())
    }

    /// True if the round of a draw time is known, which proves that the time has come.
    async fn is_drawn(&self, draw_time: u64) -> bool {
        matches!(self.seeds.round(draw_time).await, Ok(Some(_)))
    }

    async fn required_position(&self, id: DepositId) -> Result<Position, RedeemError> {
        let position = self.position(id).await?;
        position.ok_or(RedeemError::UnknownDeposit(id))
    }
}

/// Removes a position from the store. Returns false if another process has changed the record.
async fn remove_position(store: &AsyncStore, position: &Position) -> Result<bool, RedeemError> {
    let id = position.deposit_id();
    let key = position_key(position.bank().address(), id, position.payee()).to_vec();
    let old = Some(position.to_bytes());
    let swap = store.set(Table::Positions, key, old, None).await?;
    Ok(swap == Swap::Done)
}
