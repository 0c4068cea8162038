//! `cheque demo`: payer and payees on one machine, from deposit to draw.

mod beacon;
mod draw;
mod node;
mod plan;
mod report;
mod round;
mod session;

use alloy::{
    network::EthereumWallet,
    primitives::{Address, U256},
    providers::Provider,
    signers::local::PrivateKeySigner,
};
use cheque::{
    Amount,
    bank::Reader,
    node::{NodeError, connect},
    tx::{Call, MinedTx, Wallet},
};
use cheque_bindings::LOCAL_CHAIN;
use clap::{Args, value_parser};
use eyre::{Result, WrapErr, ensure};

use self::{
    beacon::DemoBeacon,
    node::{Node, dev_key},
    report::{Conservation, Report},
    round::RoundSettings,
    session::Session,
};
use super::{
    deploy::{BankSettings, deployment},
    withdraw::idle,
};
use crate::{exit::Exit, opts::wallet::WalletOpts, output::Output};

/// The lead of the demo's bank, in seconds: a development node has no finality to wait for.
const MIN_LEAD: u64 = 10;

/// Run everything once: deposits, payments, draws, redemptions
///
/// Starts a private node unless --rpc-url names one, and a beacon of its own, by whose rounds the bank draws. A payer and
/// its payees, each with its own store, use the same library as all other commands and exchange proofs as text. The
/// report shows who was paid how much, who won, how to recompute each draw by hand, the gas, and whether the chain's own
/// balances account for all money.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque demo
  cheque demo --payees 8 --payments 100 --rounds 1 --seed 7
  cheque demo --json                       one object: sums of all rounds, and each round in `rounds`
  cheque demo --rpc-url http://127.0.0.1:8545

The beacon's round picks the winner, so it differs from run to run with the same --seed. The secret key of this beacon is
public, so the demo runs on development nodes only. If the roll falls on an unspent range, nobody wins and the payer reclaims
the deposit. In --json, `deposit` and `winner` are those of the last round with a winner.")]
pub(crate) struct DemoArgs {
    /// Pay this many payees
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = value_parser!(u16).range(1..=500))]
    payees: u16,

    /// Make this many payments over all rounds, by cheque and stream
    #[arg(long, value_name = "NUMBER", default_value_t = 600, value_parser = value_parser!(u32).range(1..=100_000))]
    payments: u32,

    /// Run this many rounds, each with a deposit in the same purse
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = value_parser!(u16).range(1..=100))]
    rounds: u16,

    /// Derive payees, allowances, payments and salts from this number
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Use the development node at URL [default: a private node]
    ///
    /// The demo moves its time to the draws, or waits if the node does not move it.
    #[arg(long, short = 'r', value_name = "URL")]
    rpc_url: Option<String>,

    #[command(flatten)]
    wallet: WalletOpts,
}

impl DemoArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit> {
        let node = match &self.rpc_url {
            Some(url) => Node::running(url.clone(), self.key(url).await?),
            None => {
                out.progress("starting a private node");
                Node::start().await?
            }
        };
        let report = self.run_on(&node, out).await?;
        out.result(&report.json(), || report.text())?;
        Ok(if report.conservation.holds() {
            Exit::Done
        } else {
            Exit::Failed
        })
    }

    /// The key of the named wallet, else of the node's first account.
    async fn key(&self, url: &str) -> Result<PrivateKeySigner> {
        let provider = connect(url).await?;
        let chain = provider
            .get_chain_id()
            .await
            .wrap_err("the node does not answer; check --rpc-url")?;
        ensure!(
            chain == LOCAL_CHAIN,
            "the node follows chain {chain}, and everybody knows the draws of the demo in advance; name a development node \
             (chain {LOCAL_CHAIN})"
        );
        if self.wallet.is_named() {
            self.wallet.unlock()
        } else {
            dev_key()
        }
    }

    async fn run_on(&self, node: &Node, out: &Output) -> Result<Report> {
        ensure!(
            self.payments >= u32::from(self.rounds),
            "--payments is too small; name at least one for each of the {} rounds",
            self.rounds
        );
        let beacon = DemoBeacon::start().await?;
        let (reader, deployed) = bank(node, &beacon, out).await?;
        beacon.follow(reader.head().await?.time).await?;
        let folder = tempfile::tempdir().wrap_err("cannot create a folder for the stores")?;
        let keys = plan::payees(self.seed, self.payees.into())?;
        let key = node.key.clone();
        let mut session = Session::new(reader, beacon, key, keys, folder.path(), *out).await?;
        if let Some(mined) = deployed {
            session.record(0, "deploy", &mined);
        }
        let deploy_fees = fees(&session);

        // The lane must be known before its balance is read.
        let settings = self.settings(1, None);
        let planned = session
            .payer
            .plan_deposit(&session.request(&settings), None)
            .await?;
        let lane = planned.deposit.lane;
        let before = session.balances(lane).await?;
        let account = session.wallet.address();
        let balance = idle(&session.reader, account, Address::ZERO, 0).await?;
        // A third is funded ahead; the rest is sent with the deposit.
        let ahead = Amount::new(planned.deposit.amount / 3);
        let fund = Call::fund(session.reader.bank(), Address::ZERO, account, ahead);
        session.send(0, "fund", &fund).await?;

        let mut funded = ahead.to_u256();
        let mut rounds = Vec::new();
        let mut previous = None;
        for number in 1..=self.rounds.into() {
            let settings = self.settings(number, Some(lane));
            let (round, value) = session.run_round(&settings, previous).await?;
            previous = Some(round.deposit);
            funded += value;
            rounds.push(round);
        }
        let withdrawn = withdraw(&mut session, lane, balance).await?;
        let conservation = Conservation {
            before,
            after: session.balances(lane).await?,
            funded,
            withdrawn,
            fees: fees(&session) - deploy_fees,
            payouts: rounds.iter().map(|round| round.payout.to_u256()).sum(),
        };
        Ok(Report {
            chain_id: session.reader.bank().chain_id(),
            bank: session.reader.bank().address(),
            payees: session.payees.len(),
            rounds,
            transactions: session.transactions,
            conservation,
        })
    }

    /// The settings of a round. Payments are spread evenly; the first rounds get one more each for a remainder.
    fn settings(&self, number: usize, lane: Option<u64>) -> RoundSettings {
        let (payments, rounds) = (self.payments as usize, usize::from(self.rounds));
        RoundSettings {
            number,
            seed: self.seed,
            payments: payments / rounds + usize::from(number <= payments % rounds),
            lane,
            is_last: number == rounds,
        }
    }
}

fn fees(session: &Session) -> U256 {
    session.transactions.iter().map(|tx| tx.fee).sum()
}

/// Withdraws the payer's money and returns its amount: idle money of the purse, and the part of the balance above
/// `balance_before`, which rounds with smaller deposits move there.
async fn withdraw(session: &mut Session, lane: u64, balance_before: U256) -> Result<U256> {
    let account = session.wallet.address();
    let mut withdrawn = U256::ZERO;
    for (lane, kept) in [(lane, U256::ZERO), (0, balance_before)] {
        let idle = idle(&session.reader, account, Address::ZERO, lane).await?;
        let amount = idle.saturating_sub(kept);
        if !amount.is_zero() {
            let bank = session.reader.bank();
            let call = Call::withdraw(bank, Address::ZERO, lane, amount, account);
            session.send(0, "withdraw", &call).await?;
            withdrawn += amount;
        }
    }
    Ok(withdrawn)
}

/// Opens the demo's bank, which draws by the demo's beacon, or deploys it.
async fn bank(node: &Node, beacon: &DemoBeacon, out: &Output) -> Result<(Reader, Option<MinedTx>)> {
    let provider = connect(&node.url).await?;
    let settings = BankSettings {
        min_lead: MIN_LEAD,
        beacon: beacon.parameters(),
    };
    let bank = settings.address();
    let mut deployed = None;
    let code = provider.get_code_at(bank).await;
    if code.map_err(NodeError::from)?.is_empty() {
        out.progress("deploying the bank");
        let call = deployment(&provider, &settings).await?;
        let key = EthereumWallet::from(node.key.clone());
        let wallet = Wallet::new(provider.clone(), key, LOCAL_CHAIN);
        deployed = Some(wallet.send(&call).await.wrap_err("deploying the bank")?);
    }
    Ok((Reader::open(provider, bank).await?, deployed))
}
