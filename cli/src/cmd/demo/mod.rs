//! `cheque demo`: the whole of it on one machine.

mod node;
mod plan;
mod report;
mod round;
mod stage;

use alloy::{
    network::EthereumWallet,
    primitives::{Address, U256},
    signers::local::PrivateKeySigner,
};
use cheque::{
    Amount,
    bank::Reader,
    node::{NodeError, connect},
    tx::{Call, MinedTx, Wallet},
};
use cheque_bindings::{LOCAL_CHAIN, default_deployment};
use clap::{Args, value_parser};
use eyre::{Result, WrapErr, ensure};

use self::{
    node::{Node, dev_key},
    report::{Conservation, Report},
    round::Script,
    stage::Stage,
};
use super::{
    deploy::{deployment, mine_randomness},
    withdraw::idle,
};
use crate::{exit::Exit, opts::WalletOpts, output::Output};

/// Play everything through: deposit, hundreds of payments, draw, redemption, next round
///
/// Starts a private node unless one is named. A payer and the payees, each with a store of its own, use the same library
/// as all other commands; what they hand each other is text. Ends with a report: who was paid what, who won, what it cost
/// in gas, and whether all money is accounted for by the chain's own balances.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque demo
  cheque demo --payees 8 --payments 100 --rounds 1 --seed 7
  cheque demo --json                       one object; sums are over all rounds, `rounds` has each
  cheque demo --rpc-url http://127.0.0.1:8545

Which payee wins is up to the node's randomness, and differs from run to run with the same --seed. If the roll falls on
what was not spent, nobody wins and the payer takes the deposit back: the report says so. In --json, `deposit` and `winner`
are those of the last round that had a winner.")]
pub(crate) struct DemoArgs {
    /// How many payees
    #[arg(long, value_name = "NUMBER", default_value_t = 64, value_parser = value_parser!(u16).range(1..=500))]
    payees: u16,

    /// How many payments in all rounds together, cheques and stream payments
    #[arg(long, value_name = "NUMBER", default_value_t = 600, value_parser = value_parser!(u32).range(1..=100_000))]
    payments: u32,

    /// How many rounds; each is a deposit of its own in the same purse
    #[arg(long, value_name = "NUMBER", default_value_t = 2, value_parser = value_parser!(u16).range(1..=100))]
    rounds: u16,

    /// What payees, allowances, payments and salts follow from
    #[arg(long, value_name = "NUMBER", default_value_t = 1)]
    seed: u64,

    /// Use this node instead of a private one: best a development node, others make the demo wait for their blocks
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
        let report = self.play(&node, out).await?;
        out.result(&report.json(), || report.text())?;
        Ok(if report.conservation.holds() {
            Exit::Done
        } else {
            Exit::Failed
        })
    }

    /// The wallet that is named; on a development node its own, whose key is public.
    async fn key(&self, url: &str) -> Result<PrivateKeySigner> {
        use alloy::providers::Provider;
        let provider = connect(url).await?;
        let chain = provider
            .get_chain_id()
            .await
            .wrap_err("no answer from --rpc-url")?;
        if chain == LOCAL_CHAIN && !self.wallet.is_named() {
            return dev_key();
        }
        self.wallet.unlock()
    }

    async fn play(&self, node: &Node, out: &Output) -> Result<Report> {
        ensure!(
            self.payments >= u32::from(self.rounds),
            "--payments: at least one for each of the {} rounds",
            self.rounds
        );
        let (reader, deployed) = bank(node, out).await?;
        let folder = tempfile::tempdir().wrap_err("no folder for the stores")?;
        let keys = plan::payees(self.seed, self.payees.into())?;
        let wallet = node.key.clone();
        let mut stage = Stage::set(reader, wallet, keys, folder.path(), *out).await?;
        if let Some(sent) = deployed {
            stage.note(0, "deploy", &sent).await?;
        }
        let deploy_fees = fees(&stage);

        // The lane is chosen first, so that its balance before can be read.
        let script = self.script(1, None);
        let planned = stage
            .payer
            .plan_deposit(&stage.request(&script), None)
            .await?;
        let lane = planned.deposit.lane;
        let before = stage.balances(lane).await?;
        let balance = idle(&stage.reader, stage.sender.address(), Address::ZERO, 0).await?;
        // A part comes ahead into the balance, the rest along with the deposit.
        let ahead = Amount::new(planned.deposit.amount / 3);
        let account = stage.sender.address();
        let fund = Call::fund(stage.reader.bank(), Address::ZERO, account, ahead);
        stage.send(0, "fund", &fund).await?;

        let mut funded = ahead.to_u256();
        let mut rounds = Vec::new();
        let mut previous = None;
        for number in 1..=self.rounds.into() {
            let script = self.script(number, Some(lane));
            let (round, brought) = stage.play(&script, previous).await?;
            previous = Some(round.deposit);
            funded += brought;
            rounds.push(round);
        }
        let withdrawn = withdraw(&mut stage, lane, balance).await?;
        let conservation = Conservation {
            before,
            after: stage.balances(lane).await?,
            funded,
            withdrawn,
            fees: fees(&stage) - deploy_fees,
            payouts: rounds.iter().map(|round| round.payout.to_u256()).sum(),
        };
        Ok(Report {
            chain_id: stage.reader.bank().chain_id(),
            bank: stage.reader.bank().address(),
            payees: stage.actors.len(),
            rounds,
            sent: stage.sent,
            conservation,
        })
    }

    /// Payments are spread evenly; the first rounds have one more where that does not come out even.
    fn script(&self, number: usize, lane: Option<u64>) -> Script {
        let (payments, rounds) = (self.payments as usize, usize::from(self.rounds));
        Script {
            number,
            seed: self.seed,
            payments: payments / rounds + usize::from(number <= payments % rounds),
            lane,
            is_last: number == rounds,
        }
    }
}

fn fees(stage: &Stage) -> U256 {
    stage.sent.iter().map(|sent| sent.fee).sum()
}

/// Takes the payer's money out again: what is idle in the purse, and what deposits smaller than those before them have
/// moved from there to the balance. Returns how much.
async fn withdraw(stage: &mut Stage, lane: u64, balance_before: U256) -> Result<U256> {
    let account = stage.sender.address();
    let mut withdrawn = U256::ZERO;
    for (lane, kept) in [(lane, U256::ZERO), (0, balance_before)] {
        let idle = idle(&stage.reader, account, Address::ZERO, lane).await?;
        let amount = idle.saturating_sub(kept);
        if !amount.is_zero() {
            let bank = stage.reader.bank();
            let call = Call::withdraw(bank, Address::ZERO, lane, amount, account);
            stage.send(0, "withdraw", &call).await?;
            withdrawn += amount;
        }
    }
    Ok(withdrawn)
}

/// The default bank of the node's chain, deployed if it is not there.
async fn bank(node: &Node, out: &Output) -> Result<(Reader, Option<MinedTx>)> {
    use alloy::providers::Provider;
    let provider = connect(&node.url).await?;
    let chain = provider.get_chain_id().await.map_err(NodeError::from);
    let chain = chain.wrap_err("no answer from the node")?;
    let place = default_deployment(chain);
    let mut deployed = None;
    let there = provider.get_code_at(place.bank).await;
    if there.map_err(NodeError::from)?.is_empty() {
        out.progress("deploying the bank");
        mine_randomness(&provider, place.seed_source).await?;
        let call = deployment(&provider, place.min_lead, place.seed_source).await?;
        let wallet = EthereumWallet::from(node.key.clone());
        let sender = Wallet::new(provider.clone(), wallet, chain);
        deployed = Some(sender.send(&call).await.wrap_err("deploying the bank")?);
    }
    Ok((Reader::open(provider, place.bank).await?, deployed))
}
