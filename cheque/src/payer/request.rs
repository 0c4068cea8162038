//! Plans a deposit: from a request to terms.

use crate::{
    bank::head::Head,
    bank::reader::Reader,
    node::failover::pin_node,
    payer::{
        Payer, cutoff,
        error::PayerError,
        records::{AllowanceList, DepositState, stored_deposits},
        trees::build_tree,
    },
    protocol::{
        allowance::MasterSalt,
        amount::Amount,
        draw::HISTORY_WINDOW,
        receive::policy::redeem_gas,
        stream::MAX_STEPS,
        terms::{DepositId, Purse, check_terms},
    },
    sys::random,
    tx::wallet::Call,
};
use alloy_primitives::{Address, U256};
use cheque_bindings::Deposit;
use std::collections::BTreeMap;

/// Default smallest payout, in multiples of the cost of a redemption.
const PAYOUT_PER_COST: u128 = 50;

/// Choice of the draw block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Draw {
    /// At the first block of the chain's grid that is at least this many blocks from now.
    In(u64),
    /// At exactly this block.
    At(u64),
}

/// Source of a deposit's money. Idle money of its purse is used first in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Funding {
    /// The payer's balance in the bank, then native coin sent with the transaction.
    #[default]
    BalanceFirst,
    /// Native coin sent with the transaction; the balance stays. Tokens still come from the balance.
    SendAlong,
}

/// Request for a new deposit.
#[derive(Clone, Debug)]
pub struct DepositRequest {
    /// The payees and their allowances, whose sum is the deposit's amount.
    pub allowances: Vec<(Address, Amount)>,
    /// Owner of the money; `None`: the wallet's account.
    pub payer: Option<Address>,
    /// Signer of the cheques: the address of the key.
    pub signer: Address,
    /// The token; zero: the native coin.
    pub token: Address,
    /// The purse; `None`: the lowest free one.
    pub lane: Option<u64>,
    /// The draw block.
    pub draw: Draw,
    /// Redemption window: blocks after the draw; `None`: as long as the chain remembers the draw block.
    pub redeem_window: Option<u64>,
    /// The smallest payout, in token units; `None`: 50 times the current cost of a redemption, at most the
    /// amount.
    pub min_payout: Option<Amount>,
    /// Secret from which the tree's salts derive, new for each deposit; `None`: from the operating system's
    /// random number generator.
    pub master: Option<MasterSalt>,
    /// Source of the money.
    pub funding: Funding,
}

impl DepositRequest {
    /// Requests a deposit of native coin, with defaults for all other fields.
    pub fn new(allowances: Vec<(Address, Amount)>, signer: Address, draw: Draw) -> Self {
        Self {
            allowances,
            payer: None,
            signer,
            token: Address::ZERO,
            lane: None,
            draw,
            redeem_window: None,
            min_payout: None,
            master: None,
            funding: Funding::default(),
        }
    }
}

/// A planned deposit: its terms, and the transaction that opens it. Nothing is stored or sent.
#[derive(Clone, Debug)]
pub struct PlannedDeposit {
    /// The deposit's id.
    pub id: DepositId,
    /// Its terms.
    pub deposit: Deposit,
    /// The transaction that the payer sends to open the deposit.
    pub call: Call,
    pub(super) list: AllowanceList,
    pub(super) head: Head,
}

impl Payer {
    /// Plans a deposit by the current head, without storing or sending anything. With `expired`, the deposit
    /// takes over the purse of that deposit.
    ///
    /// # Errors
    ///
    /// [`PayerError::NoWallet`] if the request names no payer; [`PayerError::DrawTooSoon`],
    /// [`PayerError::BlockOutOfRange`], [`PayerError::Tree`] and [`PayerError::Terms`] for a bad request;
    /// [`PayerError::UnknownDeposit`] and [`PayerError::WrongWallet`] for `expired`; [`PayerError::LaneBusy`],
    /// [`PayerError::NotFunded`], [`PayerError::NoRate`] and [`PayerError::NoRandomness`]. Also if the node's
    /// head is implausible ([`Reader::checked_head`]), or was replaced before the plan was complete; other
    /// errors of the node and of the store.
    pub async fn plan_deposit(
        &self,
        request: &DepositRequest,
        expired: Option<DepositId>,
    ) -> Result<PlannedDeposit, PayerError> {
        pin_node(self.plan(request, expired)).await
    }

    async fn plan(
        &self,
        request: &DepositRequest,
        expired: Option<DepositId>,
    ) -> Result<PlannedDeposit, PayerError> {
        let payer = match (request.payer, &self.wallet) {
            (Some(payer), _) => payer,
            (None, Some(wallet)) => wallet.address(),
            (None, None) => return Err(PayerError::NoWallet),
        };
        let head = self.checked_head().await?;
        let draw_block = draw_block(&self.reader, head.number, request.draw)?;
        let window = request.redeem_window.unwrap_or(HISTORY_WINDOW);
        let last_redeem_block = draw_block
            .checked_add(window)
            .ok_or(PayerError::BlockOutOfRange)?;

        let master = match &request.master {
            Some(master) => master.clone(),
            None => MasterSalt::from_bytes(random()?),
        };
        let list = AllowanceList {
            master,
            allowances: request.allowances.clone(),
        };
        let tree = build_tree(&list).await?;
        let amount = tree.total();

        let expired = match expired {
            Some(id) => Some((id, self.record(id).await?.deposit)),
            None => None,
        };
        let (lane, idle) = match &expired {
            Some((id, expired)) => {
                self.lane_to_reopen(*id, expired, payer, head.number)
                    .await?
            }
            None => self.free_lane(request, payer, head.number).await?,
        };
        let min_payout = match request.min_payout {
            Some(min_payout) => min_payout,
            None => self
                .default_min_payout(request.token, tree.depth())
                .await?
                .min(amount),
        };
        let deposit = Deposit {
            payer,
            signer: request.signer,
            token: request.token,
            lane,
            amount: amount.get(),
            minPayout: min_payout.get(),
            drawBlock: draw_block,
            lastRedeemBlock: last_redeem_block,
            root: tree.root(),
        };
        check_terms(&deposit)?;
        let value = self.value_for(&deposit, idle, request.funding).await?;
        self.reader.check_canonical(&head).await?;
        let bank = self.reader.bank();
        let call = match &expired {
            Some((_, expired)) => Call::reopen(bank, expired, &deposit, value),
            None => Call::open(bank, &deposit, value),
        };
        Ok(PlannedDeposit {
            id: bank.deposit_id(&deposit),
            deposit,
            call,
            list,
            head,
        })
    }

    /// The native coin to send with `open`, given the purse's idle money.
    pub(super) async fn value_for(
        &self,
        deposit: &Deposit,
        idle: Amount,
        funding: Funding,
    ) -> Result<U256, PayerError> {
        let missing = Amount::new(deposit.amount).saturating_sub(idle).to_u256();
        if missing.is_zero() {
            return Ok(missing);
        }
        let native = deposit.token.is_zero();
        if native && funding == Funding::SendAlong {
            return Ok(missing);
        }
        let balance = self.reader.balance(deposit.payer, deposit.token).await?;
        let missing = missing.saturating_sub(balance);
        let can_send = native && self.is_own(deposit.payer);
        if missing.is_zero() || can_send {
            return Ok(missing);
        }
        Err(PayerError::NotFunded {
            token: deposit.token,
            // At most the deposit's amount, so the conversion cannot fail.
            missing: Amount::new(missing.to()),
        })
    }

    fn is_own(&self, account: Address) -> bool {
        self.wallet
            .as_ref()
            .is_some_and(|wallet| wallet.address() == account)
    }

    async fn default_min_payout(&self, token: Address, depth: usize) -> Result<Amount, PayerError> {
        let rate = self.rates.of(token).ok_or(PayerError::NoRate(token))?;
        let prices = self.reader.prices().await?;
        let cost = rate.units_up(prices.wei(redeem_gas(depth, MAX_STEPS.min(1024))));
        Ok(cost.checked_mul(PAYOUT_PER_COST).unwrap_or(Amount::MAX))
    }

    /// Lane of the deposit to be reopened, and the money that will be idle in its purse.
    async fn lane_to_reopen(
        &self,
        id: DepositId,
        expired: &Deposit,
        payer: Address,
        head: u64,
    ) -> Result<(u64, Amount), PayerError> {
        if expired.payer != payer {
            return Err(PayerError::WrongWallet {
                payer: expired.payer,
                wallet: payer,
            });
        }
        let lane = expired.lane;
        let reserved = self.reserved_lanes(payer, expired.token).await?;
        if let Some(deposit) = reserved.get(&lane).copied() {
            return Err(PayerError::LaneBusy { lane, deposit });
        }
        let purse = (expired.payer, expired.token, lane);
        match self.reader.purse(purse, head).await? {
            Purse::Idle(idle) => Ok((lane, idle)),
            Purse::Open(open) if open == id => Ok((lane, Amount::new(expired.amount))),
            Purse::Open(deposit) => Err(PayerError::LaneBusy { lane, deposit }),
        }
    }

    /// The requested lane, or the lowest lane whose purse is idle and reserved by no stored deposit; and its
    /// idle money.
    async fn free_lane(
        &self,
        request: &DepositRequest,
        payer: Address,
        head: u64,
    ) -> Result<(u64, Amount), PayerError> {
        /// Number of purses per query.
        const BATCH: u64 = 8;
        let reserved = self.reserved_lanes(payer, request.token).await?;
        let mut next = request.lane.unwrap_or(1);
        loop {
            let count = if request.lane.is_some() { 1 } else { BATCH };
            let lanes = next..next.saturating_add(count);
            let asked: Vec<_> = lanes
                .clone()
                .map(|lane| ((payer, request.token, lane), head))
                .collect();
            let purses = self.reader.purses(&asked).await?;
            for (lane, purse) in lanes.zip(purses) {
                let busy = match (purse, reserved.get(&lane)) {
                    (Purse::Open(deposit), _) => deposit,
                    (Purse::Idle(_), Some(deposit)) => *deposit,
                    (Purse::Idle(idle), None) => return Ok((lane, idle)),
                };
                if request.lane.is_some() {
                    return Err(PayerError::LaneBusy {
                        lane,
                        deposit: busy,
                    });
                }
            }
            next = next.checked_add(count).ok_or(PayerError::BlockOutOfRange)?;
        }
    }

    /// Lanes reserved by pending deposits: stored or sent, and not confirmed.
    async fn reserved_lanes(
        &self,
        payer: Address,
        token: Address,
    ) -> Result<BTreeMap<u64, DepositId>, PayerError> {
        let deposits = stored_deposits(&self.store, self.reader.bank()).await?;
        Ok(deposits
            .into_iter()
            .filter(|(_, record)| {
                record.state == DepositState::Pending
                    && record.deposit.payer == payer
                    && record.deposit.token == token
            })
            .map(|(id, record)| (record.deposit.lane, id))
            .collect())
    }
}

/// Computes the draw block, and checks that it leaves time to pay.
fn draw_block(reader: &Reader, head: u64, draw: Draw) -> Result<u64, PayerError> {
    let earliest = earliest_draw(reader, head).ok_or(PayerError::BlockOutOfRange)?;
    let draw_block = match draw {
        Draw::At(block) => block,
        Draw::In(blocks) => head
            .checked_add(blocks)
            .and_then(|block| reader.profile().on_grid(block))
            .ok_or(PayerError::BlockOutOfRange)?,
    };
    if draw_block < earliest {
        return Err(PayerError::DrawTooSoon {
            draw_block,
            earliest,
        });
    }
    Ok(draw_block)
}

/// The earliest draw block. The bank requires its lead, counted from the block that includes `open`, which may
/// be a few blocks ahead. The payer needs at least one block between confirmation and cutoff in which to pay.
pub(super) fn earliest_draw(reader: &Reader, head: u64) -> Option<u64> {
    let profile = reader.profile();
    let inclusion = 1 + profile.confirmations / 4;
    let to_pay = profile
        .confirmations
        .checked_add(cutoff(profile))?
        .checked_add(1)?;
    head.checked_add(inclusion)?
        .checked_add(reader.min_lead().max(to_pay))
}
