//! The verbs and the flags common to all of them.

use std::path::PathBuf;

use clap::{CommandFactory, Parser, Subcommand};
use eyre::Result;

use crate::{
    cmd::{
        balance::BalanceArgs, beacon::BeaconArgs, chain::ChainArgs, completions::CompletionsArgs,
        demo::DemoArgs, deploy::DeployArgs, deposit::DepositArgs, fund::FundArgs,
        gateway::GatewayArgs, holdings::HoldingsArgs, inspect::InspectArgs, market::MarketArgs,
        payee::PayeeArgs, payer::PayerArgs, receive::ReceiveArgs, redeem::RedeemArgs,
        seed::SeedArgs, status::StatusArgs, store::StoreArgs, stream::StreamArgs,
        withdraw::WithdrawArgs, write::WriteArgs,
    },
    exit::Exit,
    output::Output,
};

/// Pay many payees off-chain from one deposit; one draw decides who redeems
///
/// A payer locks one deposit for many payees and pays them with signed cheques. At the draw time, a public random
/// number picks at most one payee, who redeems its newest cheque on chain. Chance times payout equals the amount paid. A cheque is a
/// probabilistic lottery ticket as in Livepeer, Orchid or HOPR, not a cheque of Swarm.
#[derive(Debug, Parser)]
#[command(
    name = "cheque",
    version,
    after_help = "First look:
  cheque demo                                   everything on a private node, from deposit to draw

As a payer:
  cheque deposit create --allowances payees.csv --draw-in 1h --account alice
  cheque deposit wait ID                        until it is active
  cheque write ID PAYEE 0.001ether --account alice > proof.txt
  cheque deposit reclaim ID --account alice     after its window, if nobody redeemed it

As a payee:
  cheque receive proof.txt --account shop       check and keep a payment
  cheque holdings --account shop                chance, payout and expected value of each deposit
  cheque status ID --account shop && cheque redeem ID --account shop
  cheque withdraw --all --account shop

As a service (docs/operations.md):
  cheque payer run --help
  cheque payee run --help
  cheque gateway run --help                     sell an HTTP or JSON-RPC service (docs/gateway.md)

Payer and payee share a chain and the text that `write` prints, nothing else.

Settings:      flag, else environment variable, else file of --config, else default
Variables:     ETH_RPC_URL, CHEQUE_BANK, CHEQUE_STORE, CHEQUE_STORE_FILE, CHEQUE_PAYEE,
               CHEQUE_BEACON, ETH_KEYSTORE_ACCOUNT, ETH_KEYSTORE, CHEQUE_PASSWORD_FILE,
               ETH_PRIVATE_KEY
Store:         created by `deposit create` and `receive` where none is named; a named one by
               `store init` or --create-store alone
Before a verb: --store, --store-file, --rpc-url, --chain, --bank, --account, --keystore and
               --password-file, too; verbs that do not need them ignore them
Ids:           the first digits of a deposit of the store will do
Durations:     90 (seconds), 90s, 1h30m, 7d; times: 2026-12-01T12:00Z, or seconds since 1970
Amounts:       1500 (units), 20gwei, 0.5ether; 2.5 for a token (by its decimals)
Output:        results on stdout, the rest on stderr; --json changes the format only
Exit codes:    0 done, 1 failed, 2 wrong usage, 3 payment rejected, 4 not payable,
               5 not within --timeout, 6 some payments of a list not made, 130 interrupted"
)]
pub(crate) struct Cli {
    /// Print results and errors as JSON
    #[arg(long, global = true, display_order = 900)]
    pub(crate) json: bool,

    /// Print no progress
    #[arg(long, short, global = true, display_order = 901)]
    pub(crate) quiet: bool,

    /// Read settings from a TOML file
    ///
    /// Its keys are the long names of flags. Flags and environment variables take precedence.
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
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Demo(DemoArgs),
    Deploy(DeployArgs),
    Fund(FundArgs),
    Withdraw(WithdrawArgs),
    Balance(BalanceArgs),
    Deposit(DepositArgs),
    Write(WriteArgs),
    Stream(StreamArgs),
    Receive(ReceiveArgs),
    Inspect(InspectArgs),
    Holdings(HoldingsArgs),
    Status(StatusArgs),
    Seed(SeedArgs),
    Beacon(BeaconArgs),
    Chain(ChainArgs),
    Redeem(RedeemArgs),
    Payee(PayeeArgs),
    Payer(PayerArgs),
    Gateway(GatewayArgs),
    Store(StoreArgs),
    Market(MarketArgs),
    Completions(CompletionsArgs),
}

impl Command {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit> {
        match self {
            Self::Demo(args) => return args.run(out).await,
            Self::Deploy(args) => args.run(out).await?,
            Self::Fund(args) => args.run(out).await?,
            Self::Withdraw(args) => args.run(out).await?,
            Self::Balance(args) => args.run(out).await?,
            Self::Deposit(args) => args.run(out).await?,
            Self::Write(args) => args.run(out).await?,
            Self::Stream(args) => args.run(out).await?,
            Self::Receive(args) => args.run(out).await?,
            Self::Inspect(args) => args.run(out)?,
            Self::Holdings(args) => args.run(out).await?,
            Self::Status(args) => return args.run(out).await,
            Self::Seed(args) => args.run(out).await?,
            Self::Beacon(args) => args.run(out).await?,
            Self::Chain(args) => return args.run(out).await,
            Self::Redeem(args) => args.run(out).await?,
            Self::Payee(args) => args.run(out).await?,
            Self::Payer(args) => args.run(out).await?,
            Self::Gateway(args) => args.run(out).await?,
            Self::Store(args) => args.run(out).await?,
            Self::Market(args) => args.run(out).await?,
            Self::Completions(args) => args.run(Cli::command(), out)?,
        }
        Ok(Exit::Done)
    }

    /// True for services: they listen for signals themselves and shut down in order.
    pub(crate) const fn handles_signals(&self) -> bool {
        matches!(self, Self::Payee(_) | Self::Payer(_) | Self::Gateway(_))
    }

    /// Advice for after Ctrl-C: recorded payments and sent transactions stay.
    pub(crate) const fn interrupt_advice(&self) -> &'static str {
        match self {
            Self::Write(args) if args.pays_a_list() => {
                "the printed payments are made, and the next may be; check it with `cheque write ID PAYEE --reprint`, and leave them out of a repeated list"
            }
            Self::Write(_) | Self::Stream(_) => {
                "the payment may be made; check `cheque write ID PAYEE --reprint` before you repeat it, or you may pay twice"
            }
            Self::Deposit(args) if args.creates_deposit() => {
                "a transaction may be sent; check `cheque deposit list`, then continue with `cheque deposit open ID`"
            }
            Self::Fund(_) | Self::Withdraw(_) => {
                "a transaction may be sent; check `cheque balance` and the account's transactions before you repeat it"
            }
            Self::Market(args) if args.adds_to_balance() => {
                "the balance may be changed; check `cheque market clients ID` before you repeat it"
            }
            Self::Store(_) => {
                "an interrupted backup leaves no file; remove the store of an interrupted restore, which no command opens"
            }
            _ => "recorded and sent work stays; run the same command to continue",
        }
    }
}
