//! Plans a deposit: from a request to terms.

use crate::{
    bank::{head::Head, rates::RateFault},
    node::failover::pin_node,
    payer::{
        Payer, allowance_list::AllowanceList, error::PayerError, names::PayeeName,
        trees::build_tree,
    },
    protocol::{
        allowance::MasterSalt,
        amount::Amount,
        receive::policy::redeem_gas,
        stream::MAX_STEPS,
        terms::{DepositId, check_terms},
    },
    sys::random,
    tx::wallet::Call,
};
use alloy_primitives::{Address, U256};
use cheque_bindings::Deposit;
use std::collections::BTreeMap;

/// Default smallest payout, in multiples of the cost of a redemption.
const PAYOUT_PER_COST: u128 = 50;

/// The longest time to the draw, and from the draw to the last redemption, in seconds: 366 days. The bank accepts more, and
/// would lock the money for as long as a time in milliseconds says.
const YEAR: u64 = 366 * 86_400;

/// Choice of the draw time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Draw {
    /// At the first time of the chain's grid that is at least this many seconds from now.
    In(u64),
    /// At exactly this time, in seconds since 1970: that of a round of the bank's beacon.
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
    /// The payer's own names of payees, for [`Payer::payee_named`]. Stored, and told to nobody.
    pub names: BTreeMap<Address, PayeeName>,
    /// Owner of the money; `None`: the wallet's account.
    pub payer: Option<Address>,
    /// Signer of the cheques: the address of the key.
    pub signer: Address,
    /// The token; zero: the native coin.
    pub token: Address,
    /// The purse; `None`: the lowest free one.
    pub lane: Option<u64>,
    /// The draw time.
    pub draw: Draw,
    /// Redemption window: seconds after the draw; `None`: that of the chain's profile.
    pub redeem_window: Option<u64>,
    /// The smallest payout, in token units; `None`: 50 times the current cost of a redemption that proves its seed, at
    /// most the amount.
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
            names: BTreeMap::new(),
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
    /// Time of the plan, in seconds since 1970.
    pub(super) now: u64,
}

impl Payer {
    /// Plans a deposit by the current head, without storing or sending anything. With `expired`, the deposit
    /// takes over the purse of that deposit.
    ///
    /// # Errors
    ///
    /// [`PayerError::NoWallet`] if the request names no payer; [`PayerError::DrawTooSoon`], [`PayerError::Schedule`],
    /// [`PayerError::TimeOutOfRange`], [`PayerError::TooFarAhead`], [`PayerError::Tree`] and [`PayerError::Terms`] for a bad
    /// request; [`PayerError::UnknownDeposit`] and [`PayerError::WrongWallet`] for `expired`; [`PayerError::LaneBusy`],
    /// [`PayerError::NotFunded`], [`PayerError::NoRate`] and [`PayerError::NoRandomness`]. Also if the node's head is
    /// implausible ([`Reader::checked_head`](crate::bank::Reader::checked_head)), or was replaced before the plan was
    /// complete; other errors of the node and of the store.
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
        let head = self.reader.checked_head().await?;
        let now = self.now_at(&head).await.latest();
        let draw_time = self.draw_time(now, request.draw)?;
        let window = request.redeem_window;
        let window = window.unwrap_or(self.reader.profile().redeem_window);
        let redeem_until = draw_time.checked_add(window);
        let redeem_until = redeem_until.ok_or(PayerError::TimeOutOfRange)?;
        if draw_time.saturating_sub(now) > YEAR || window > YEAR {
            return Err(PayerError::TooFarAhead {
                draw_time,
                redeem_until,
            });
        }

        let master = match &request.master {
            Some(master) => master.clone(),
            None => MasterSalt::from_bytes(random()?),
        };
        let list = AllowanceList {
            master,
            allowances: request.allowances.clone(),
            names: request.names.clone(),
        };
        let tree = build_tree(&list).await?;
        tree.check_bank(self.reader.bank().address())?;
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
            drawTime: draw_time,
            redeemUntil: redeem_until,
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
            now,
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
        self.rates.refresh(self.reader.provider()).await;
        let rate = self.rates.of(token).map_err(|fault| match fault {
            RateFault::Unset => PayerError::NoRate(token),
            fault => PayerError::RateFault(token, fault),
        })?;
        let prices = self.reader.prices().await?;
        let cost = rate.units_up(prices.wei(redeem_gas(depth, MAX_STEPS.min(1024))));
        Ok(cost.checked_mul(PAYOUT_PER_COST).unwrap_or(Amount::MAX))
    }
}
