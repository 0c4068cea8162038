//! The command line of cheque: deposits, cheques, draws.

mod allowances;
mod amount;
mod clock;
mod cmd;
mod config;
mod exit;
mod handover;
mod holding;
mod input;
mod odds;
mod opts;
mod output;
mod payer;
mod place;
mod send;
mod service;
mod show;
mod token;

use std::{env, path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use eyre::Report;
use serde_json::json;

use crate::{
    exit::{Exit, Failure},
    output::Output,
};

/// Pay many payees off-chain from one deposit; one draw decides who cashes in
///
/// A payer locks one deposit for many payees and pays them with signed cheques. At the draw block, chance picks the one
/// payee who redeems its cheque on chain. Chance times payout is what each was paid.
#[derive(Debug, Parser)]
#[command(
    name = "cheque",
    version,
    after_help = "A first look:  cheque demo
A payer:       deploy, fund, deposit create, write, deposit watch, deposit reclaim
A payee:       receive, ledger, outcome, redeem, withdraw
Services:      payer run, payee run
Both:          store backup, store restore
They need to share nothing but a node and the text that `write` prints. Flags, or these variables,
say where and with which key: ETH_RPC_URL, CHEQUE_BANK, CHEQUE_STORE, CHEQUE_PAYEE,
ETH_KEYSTORE_ACCOUNT, ETH_KEYSTORE, ETH_PASSWORD, ETH_PRIVATE_KEY.

Settings:      a flag counts first, then its variable, then the file of --config, then the default
Amounts:       1500 (units), 20gwei, 0.5ether; 2.5 where a token is named (its decimals count)
Output:        results on stdout, all else on stderr; --json changes their format only
Exit codes:    0 done, 1 failed, 2 wrong usage, 3 payment rejected, 4 not payable, 130 interrupted"
)]
struct Cli {
    /// Print results and errors as JSON
    #[arg(long, global = true, display_order = 900)]
    json: bool,

    /// Print no progress
    #[arg(long, short, global = true, display_order = 901)]
    quiet: bool,

    /// Take what no flag and no variable says from this TOML file: its keys are the long names of flags
    #[arg(
        long,
        value_name = "FILE",
        global = true,
        display_order = 902,
        env = "CHEQUE_CONFIG",
        hide_env_values = true
    )]
    config: Option<PathBuf>,

    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Demo(cmd::demo::DemoArgs),
    Deploy(cmd::deploy::DeployArgs),
    Fund(cmd::fund::FundArgs),
    Withdraw(cmd::withdraw::WithdrawArgs),
    Balance(cmd::balance::BalanceArgs),
    Deposit(cmd::deposit::DepositArgs),
    Write(cmd::write::WriteArgs),
    Stream(cmd::stream::StreamArgs),
    Receive(cmd::receive::ReceiveArgs),
    Inspect(cmd::inspect::InspectArgs),
    Outcome(cmd::outcome::OutcomeArgs),
    Seed(cmd::seed::SeedArgs),
    Redeem(cmd::redeem::RedeemArgs),
    Ledger(cmd::ledger::LedgerArgs),
    Payee(cmd::payee::PayeeArgs),
    Payer(cmd::payer::PayerArgs),
    Store(cmd::store::StoreArgs),
    Market(cmd::market::MarketArgs),
    Completions(cmd::completions::CompletionsArgs),
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = config::parse(env::args_os().collect()).unwrap_or_else(|error| error.exit());
    let out = Output::new(cli.json, cli.quiet);
    let advice = cli.command.when_interrupted();
    let hears_signals = cli.command.hears_signals();
    let done = tokio::select! {
        // First, so that Ctrl-C is heard before the command begins.
        biased;
        // Records are written before anything is sent or printed, so a command can end anywhere.
        _ = tokio::signal::ctrl_c(), if !hears_signals => Err(interrupted(advice)),
        done = run(cli.command, &out) => done,
    };
    match done {
        Ok(exit) => exit.into(),
        Err(error) => fail(&error, &out).into(),
    }
}

async fn run(command: Command, out: &Output) -> eyre::Result<Exit> {
    match command {
        Command::Demo(args) => return args.run(out).await,
        Command::Deploy(args) => args.run(out).await?,
        Command::Fund(args) => args.run(out).await?,
        Command::Withdraw(args) => args.run(out).await?,
        Command::Balance(args) => args.run(out).await?,
        Command::Deposit(args) => args.run(out).await?,
        Command::Write(args) => args.run(out).await?,
        Command::Stream(args) => args.run(out).await?,
        Command::Receive(args) => args.run(out).await?,
        Command::Inspect(args) => args.run(out)?,
        Command::Outcome(args) => return args.run(out).await,
        Command::Seed(args) => args.run(out).await?,
        Command::Redeem(args) => args.run(out).await?,
        Command::Ledger(args) => args.run(out).await?,
        Command::Payee(args) => args.run(out).await?,
        Command::Payer(args) => args.run(out).await?,
        Command::Store(args) => args.run(out).await?,
        Command::Market(args) => args.run(out).await?,
        Command::Completions(args) => args.run(out)?,
    }
    Ok(Exit::Done)
}

impl Command {
    /// Whether the command ends itself in order when a signal comes, as services do.
    const fn hears_signals(&self) -> bool {
        matches!(self, Self::Payee(_) | Self::Payer(_))
    }

    /// What to do after Ctrl-C: what was recorded or sent stays so.
    const fn when_interrupted(&self) -> &'static str {
        match self {
            Self::Write(_) | Self::Stream(_) => {
                "it may have paid: see `cheque write ID PAYEE --again` first, repeating it pays once more"
            }
            Self::Deposit(args) if args.makes_a_deposit() => {
                "it may have sent a transaction: see `cheque deposit list` first, and go on with `cheque deposit open ID`"
            }
            Self::Fund(_) | Self::Withdraw(_) => {
                "it may have sent a transaction: see `cheque balance` and the account's transactions before repeating it"
            }
            Self::Market(args) if args.adds_to_a_balance() => {
                "it may have been done: see `cheque market clients ID` before repeating it"
            }
            Self::Store(_) => {
                "an interrupted backup leaves no file; a store whose restore was interrupted is refused, so remove it"
            }
            _ => "what was recorded or sent stays so, and the same command picks it up",
        }
    }
}

fn interrupted(advice: &str) -> Report {
    let failure = Failure {
        exit: Exit::Interrupted,
        code: "interrupted".to_owned(),
        text: format!("interrupted; {advice}"),
    };
    failure.into()
}

fn fail(error: &Report, out: &Output) -> Exit {
    let failure = error
        .chain()
        .find_map(|cause| cause.downcast_ref::<Failure>());
    let (exit, code) = failure.map_or((Exit::Failed, "failed"), |failure| {
        (failure.exit, failure.code.as_str())
    });
    let text = format!("{error:#}");
    out.error(
        &text,
        &json!({ "error": text, "code": code, "exit": exit as u8 }),
    );
    exit
}
