//! `cheque withdraw`: money out of the bank.

use alloy::primitives::{Address, U256};
use cheque::{
    DepositId, Purse,
    bank::Reader,
    tx::{Call, Wallet},
};
use clap::{Args, builder::RangedU64ValueParser};
use eyre::{Report, Result, WrapErr, bail, eyre};
use serde_json::json;

use crate::{
    allowances::parse_address,
    amount::{AmountText, Token},
    opts::{chain::ChainOpts, send::SendOpts},
    output::{Output, fields},
    token::token_at,
    transaction::TxReport,
};

/// Take idle money out of the bank
///
/// Idle money is the balance, which includes payouts, and the rests of finished deposits in their purses. With --all, each
/// lane with idle money takes a transaction.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque withdraw 0.1ether --account alice           from the balance
  cheque withdraw --all --account alice              all idle money: of the balance and of every purse
  cheque withdraw --all --lane 1 --account alice     the rest of a finished deposit in its purse
  cheque withdraw 2.5 --token 0xA0b8... --to 0xd8dA... --dry-run")]
pub(crate) struct WithdrawArgs {
    /// Amount
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    amount: Option<AmountText>,

    /// Withdraw all idle money, of all lanes or of --lane
    #[arg(long)]
    all: bool,

    /// Withdraw this ERC-20 token [default: the native coin]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    token: Option<Address>,

    /// Withdraw from the purse of this lane; 0 is the balance [default: 0; with --all all lanes]
    #[arg(long, value_name = "NUMBER")]
    lane: Option<u64>,

    /// Look for idle money in lanes up to NUMBER
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = RangedU64ValueParser::<u64>::new().range(1..=10_000))]
    lanes: u64,

    /// Pay out to ADDRESS [default: the wallet's]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    to: Option<Address>,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl WithdrawArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let wallet = self.send.unlock(&reader)?;
        let token = token_at(self.token.unwrap_or_default(), &reader).await?;
        let account = wallet.address();
        let to = self.to.unwrap_or(account);
        if self.all && self.lane.is_none() {
            return self.withdraw_all(&reader, &wallet, &token, out).await;
        }
        let lane = self.lane.unwrap_or_default();
        let held = idle(&reader, account, token.address, lane).await?;
        let amount = match &self.amount {
            Some(amount) => amount.in_units_of(&token)?.to_u256(),
            None => held,
        };
        if amount.is_zero() || held < amount {
            let places = self.places(&reader, account, &token).await?;
            return Err(too_little(lane, held, amount, &places, &token));
        }
        let report = self
            .withdraw(&wallet, &reader, &token, lane, amount, out)
            .await?;
        let json = json!({
            "account": account,
            "token": token.address,
            "lane": lane,
            "amount": amount.to_string(),
            "to": to,
            "transaction": report.json(),
        });
        out.result(&json, || {
            let mut lines = vec![("amount", token.show(amount)), ("to", to.to_string())];
            lines.extend(report.fields());
            fields(&lines)
        })
    }

    /// Withdraws from each lane with idle money, the balance first.
    async fn withdraw_all(
        &self,
        reader: &Reader,
        wallet: &Wallet,
        token: &Token,
        out: &Output,
    ) -> Result<()> {
        let account = wallet.address();
        let to = self.to.unwrap_or(account);
        let places = self.places(reader, account, token).await?;
        let (mut sum, mut done, mut lines) = (U256::ZERO, Vec::new(), Vec::new());
        for (lane, holds) in &places {
            let amount = match holds {
                Holds::Idle(idle) if !idle.is_zero() => *idle,
                _ => continue,
            };
            let report = self
                .withdraw(wallet, reader, token, *lane, amount, out)
                .await;
            let report = report.wrap_err_with(|| match done.len() {
                0 => "nothing is withdrawn".to_owned(),
                lanes => format!("{} of {lanes} lanes are withdrawn before", token.show(sum)),
            })?;
            sum = sum.saturating_add(amount);
            lines.push((
                NAMES[usize::from(*lane > 0)],
                format!("{} of lane {lane}", token.show(amount)),
            ));
            lines.extend(report.fields());
            done.push(json!({
                "lane": lane,
                "amount": amount.to_string(),
                "transaction": report.json(),
            }));
        }
        if done.is_empty() {
            return Err(too_little(0, U256::ZERO, U256::ZERO, &places, token));
        }
        let json = json!({
            "account": account,
            "token": token.address,
            "amount": sum.to_string(),
            "to": to,
            "withdrawals": done,
        });
        out.result(&json, || {
            lines.push(("sum", token.show(sum)));
            lines.push(("to", to.to_string()));
            fields(&lines)
        })
    }

    async fn withdraw(
        &self,
        wallet: &Wallet,
        reader: &Reader,
        token: &Token,
        lane: u64,
        amount: U256,
        out: &Output,
    ) -> Result<TxReport> {
        let to = self.to.unwrap_or(wallet.address());
        let call = Call::withdraw(reader.bank(), token.address, lane, amount, to);
        let purpose = format!("withdrawing {} of lane {lane}", token.show(amount));
        self.send.send(wallet, &call, &purpose, out).await
    }

    /// The balance as lane 0, and the purses.
    async fn places(
        &self,
        reader: &Reader,
        account: Address,
        token: &Token,
    ) -> Result<Vec<(u64, Holds)>> {
        let head = reader.head().await?.number;
        let keys: Vec<_> = (1..=self.lanes)
            .map(|lane| ((account, token.address, lane), head))
            .collect();
        let balance = Holds::Idle(reader.balance(account, token.address).await?);
        let purses = reader.purses(&keys).await?.into_iter();
        let purses = purses.map(|purse| match purse {
            Purse::Idle(idle) => Holds::Idle(idle.to_u256()),
            Purse::Open(id) => Holds::Open(id),
        });
        Ok((0..).zip([balance].into_iter().chain(purses)).collect())
    }
}

/// The contents of a lane.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Holds {
    Idle(U256),
    Open(DepositId),
}

/// The names of withdrawals in the result: of the balance, of a purse.
const NAMES: [&str; 2] = ["balance", "purse"];

/// Explains that a lane has too little, and tells where the account's money is.
fn too_little(
    lane: u64,
    held: U256,
    needed: U256,
    places: &[(u64, Holds)],
    token: &Token,
) -> Report {
    let places: Vec<_> = places
        .iter()
        .filter_map(|(lane, holds)| match holds {
            Holds::Idle(idle) if idle.is_zero() => None,
            Holds::Idle(idle) => Some(format!("{} idle in lane {lane}", token.show(*idle))),
            Holds::Open(id) => Some(format!("the open deposit {id} in lane {lane}")),
        })
        .collect();
    let places = match places.is_empty() {
        true => {
            "nothing in any lane; look into more lanes with --lanes, or name its --token".to_owned()
        }
        false => format!(
            "{}; name a --lane with idle money, or use --all",
            places.join(", ")
        ),
    };
    match needed.is_zero() {
        true => eyre!("nothing is withdrawn: the account has {places}"),
        false => eyre!(
            "nothing is withdrawn: {held} units are there and {needed} are needed in lane {lane}; the account has {places}"
        ),
    }
}

/// Reads the idle money of a purse.
///
/// # Errors
/// Fails if the purse holds an open deposit.
pub(crate) async fn idle(
    reader: &Reader,
    account: Address,
    token: Address,
    lane: u64,
) -> Result<U256> {
    if lane == 0 {
        return Ok(reader.balance(account, token).await?);
    }
    let head = reader.head().await?.number;
    match reader.purse((account, token, lane), head).await? {
        Purse::Idle(idle) => Ok(idle.to_u256()),
        Purse::Open(id) => bail!(
            "lane {lane} holds the open deposit {id}; run `cheque deposit reclaim {id}` after the last time to redeem"
        ),
    }
}
