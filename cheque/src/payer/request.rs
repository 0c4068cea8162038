//! From what a payer wants to the terms of a deposit.

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

/// The smallest payout, in costs of redemption, unless told otherwise.
const PAYOUT_PER_COST: u128 = 50;

/// When a deposit is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Draw {
    /// This many blocks from now or a little later: at the next block of the chain's grid.
    In(u64),
    /// At exactly this block.
    At(u64),
}

/// Which money goes into a deposit. What its purse holds goes first in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Funding {
    /// The payer's balance in the bank next, then native coin sent along.
    #[default]
    BalanceFirst,
    /// Native coin sent along; the balance stays. Tokens come from the balance all the same.
    SendAlong,
}

/// What a payer wants of a new deposit.
#[derive(Clone, Debug)]
pub struct DepositRequest {
    /// The payees and their allowances, which add up to the deposit's amount.
    pub allowances: Vec<(Address, Amount)>,
    /// Who owns the money; `None`: the wallet's account.
    pub payer: Option<Address>,
    /// The address of the key that signs the cheques.
    pub signer: Address,
    /// The token; zero: the native coin.
    pub token: Address,
    /// The purse; `None`: the lowest free one.
    pub lane: Option<u64>,
    /// When it is drawn.
    pub draw: Draw,
    /// How many blocks after the draw it can be redeemed; `None`: as long as the chain remembers the draw block.
    pub redeem_window: Option<u64>,
    /// The smallest payout, in token units; `None`: 50 times what a redemption costs now, at most the amount.
    pub min_payout: Option<Amount>,
    /// The secret behind the tree's salts, fresh for each deposit; `None`: from the operating system's random number
    /// generator.
    pub master: Option<MasterSalt>,
    /// Which money goes in.
    pub funding: Funding,
}

impl DepositRequest {
    /// A deposit of native coin with the defaults for everything not named.
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

/// A deposit whose terms are decided, and the transaction that opens it.
#[derive(Clone, Debug)]
pub struct Planned {
    /// The deposit's id.
    pub id: DepositId,
    /// Its terms.
    pub deposit: Deposit,
    /// The transaction by which the payer opens it.
    pub call: Call,
    pub(super) list: AllowanceList,
    pub(super) head: Head,
}

impl Payer {
    /// Decides the terms of a deposit as of now, without keeping or sending anything. With `expired` it takes the place
    /// of that deposit, in the same purse.
    ///
    /// # Errors
    ///
    /// Also where what the node says of its newest block cannot be true ([`Reader::checked_head`]), or is not true any
    /// more at the end.
    pub async fn plan_deposit(
        &self,
        request: &DepositRequest,
        expired: Option<DepositId>,
    ) -> Result<Planned, PayerError> {
        pin_node(self.plan(request, expired)).await
    }

    async fn plan(
        &self,
        request: &DepositRequest,
        expired: Option<DepositId>,
    ) -> Result<Planned, PayerError> {
        let payer = match (request.payer, &self.wallet) {
            (Some(payer), _) => payer,
            (None, Some(wallet)) => wallet.address(),
            (None, None) => return Err(PayerError::NoWallet),
        };
        let head = self.believed_head().await?;
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
            Some((id, expired)) => self.lane_of(*id, expired, payer, head.number).await?,
            None => self.free_lane(request, payer, head.number).await?,
        };
        let min_payout = match request.min_payout {
            Some(min_payout) => min_payout,
            None => self
                .usual_min_payout(request.token, tree.depth())
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
        self.reader.check_still(&head).await?;
        let bank = self.reader.bank();
        let call = match &expired {
            Some((_, expired)) => Call::reopen(bank, expired, &deposit, value),
            None => Call::open(bank, &deposit, value),
        };
        Ok(Planned {
            id: bank.deposit_id(&deposit),
            deposit,
            call,
            list,
            head,
        })
    }

    /// The shortest time from now to a draw that leaves time to pay, in blocks.
    #[cfg(feature = "service")]
    pub(crate) fn least_draw_in(&self) -> Option<u64> {
        earliest_draw(&self.reader, 0)
    }

    /// The native coin to send along with `open`, given what its purse holds.
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
            // Not more than the deposit's amount.
            missing: Amount::new(missing.to()),
        })
    }

    fn is_own(&self, account: Address) -> bool {
        self.wallet
            .as_ref()
            .is_some_and(|wallet| wallet.address() == account)
    }

    async fn usual_min_payout(&self, token: Address, depth: usize) -> Result<Amount, PayerError> {
        let rate = self.rates.of(token).ok_or(PayerError::NoRate(token))?;
        let prices = self.reader.prices().await?;
        let cost = rate.units_up(prices.wei(redeem_gas(depth, MAX_STEPS.min(1024))));
        Ok(cost.checked_mul(PAYOUT_PER_COST).unwrap_or(Amount::MAX))
    }

    /// The purse of a deposit that another one is to follow, and what will be idle in it.
    async fn lane_of(
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
        let taken = self.lanes_in_use(payer, expired.token).await?;
        if let Some(deposit) = taken.get(&lane).copied() {
            return Err(PayerError::LaneBusy { lane, deposit });
        }
        let purse = (expired.payer, expired.token, lane);
        match self.reader.purse(purse, head).await? {
            Purse::Idle(idle) => Ok((lane, idle)),
            Purse::Open(open) if open == id => Ok((lane, Amount::new(expired.amount))),
            Purse::Open(deposit) => Err(PayerError::LaneBusy { lane, deposit }),
        }
    }

    /// The purse asked for, or the lowest one that is idle and that no stored deposit is about to use; and what is idle
    /// in it.
    async fn free_lane(
        &self,
        request: &DepositRequest,
        payer: Address,
        head: u64,
    ) -> Result<(u64, Amount), PayerError> {
        /// Purses asked for at once.
        const AT_ONCE: u64 = 8;
        let taken = self.lanes_in_use(payer, request.token).await?;
        let mut next = request.lane.unwrap_or(1);
        loop {
            let count = if request.lane.is_some() { 1 } else { AT_ONCE };
            let lanes = next..next.saturating_add(count);
            let asked: Vec<_> = lanes
                .clone()
                .map(|lane| ((payer, request.token, lane), head))
                .collect();
            let purses = self.reader.purses(&asked).await?;
            for (lane, purse) in lanes.zip(purses) {
                let busy = match (purse, taken.get(&lane)) {
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

    /// The purses for which a deposit was prepared or sent that is not in the chain yet.
    async fn lanes_in_use(
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

/// The draw block, checked to leave time to pay.
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

/// The bank wants its lead, counted from the block that includes `open`, which may be a few blocks ahead. The payer wants
/// at least one block between confirmation and cutoff in which it can pay.
fn earliest_draw(reader: &Reader, head: u64) -> Option<u64> {
    let profile = reader.profile();
    let inclusion = 1 + profile.confirmations / 4;
    let to_pay = profile
        .confirmations
        .checked_add(cutoff(profile))?
        .checked_add(1)?;
    head.checked_add(inclusion)?
        .checked_add(reader.min_lead().max(to_pay))
}
