//! `cheque stream`: payments in equal steps, each a hash.

use cheque::Amount;
use clap::{Args, Subcommand, builder::RangedU64ValueParser};
use eyre::{Result, WrapErr};

use super::payment::{print, token_of, unpaid};
use crate::{
    amount::AmountText,
    id::IdText,
    opts::{
        beacon::BeaconOpts,
        chain::ChainOpts,
        store::StoreOpts,
        wallet::{WalletOpts, signing_key},
    },
    output::Output,
    payee_text::PayeeText,
};

/// Pay in equal steps, each proven by a hash
///
/// A stream begins with a cheque, which sets the amount of a step; 32 bytes prove each later step. The next cheque or
/// stream for the same payee ends the stream.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque stream open 0x5f3c... 0xd8dA... 20gwei --steps 500 > stream.txt
  cheque stream step 0x5f3c... 0xd8dA...          repeat for each payment")]
pub(crate) struct StreamArgs {
    #[command(subcommand)]
    command: StreamCommand,
}

#[derive(Debug, Subcommand)]
enum StreamCommand {
    Open(OpenArgs),
    Step(StepArgs),
}

/// Begin a stream and print its first cheque
///
/// The payee's allowance must cover the whole stream. Unused steps stay in the allowance.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque stream open 0x5f3c... 0xd8dA... 20gwei --steps 500 > stream.txt
  cheque stream open 0x5f3c... 0xd8dA... 20gwei --pay 0.001ether    pay at once, too")]
struct OpenArgs {
    /// Deposit
    id: IdText,

    /// Payee's address, or its name in the deposit's list of payees
    payee: PayeeText,

    /// Amount of a step
    step: AmountText,

    /// Limit the stream to this many steps; payees accept 1024 by default
    #[arg(long, value_name = "NUMBER", default_value_t = 100,
          value_parser = RangedU64ValueParser::<u32>::new().range(1..=4096))]
    steps: u32,

    /// Pay this much at once with the same cheque [default: 0]
    #[arg(long, value_name = "AMOUNT")]
    pay: Option<AmountText>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    wallet: WalletOpts,
}

/// Pay the next steps and print the proof of payment
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque stream step 0x5f3c... 0xd8dA...
  cheque stream step 0x5f3c... 0xd8dA... 10      ten steps in one proof
If a proof is lost, print it again with `cheque write ID PAYEE --reprint`; any later step includes it.")]
struct StepArgs {
    /// Deposit
    id: IdText,

    /// Payee's address, or its name in the deposit's list of payees
    payee: PayeeText,

    /// Number of steps
    #[arg(default_value_t = 1, value_parser = RangedU64ValueParser::<u32>::new().range(1..=4096))]
    steps: u32,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    wallet: WalletOpts,
}

impl StreamArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        match self.command {
            StreamCommand::Open(args) => args.run(out).await,
            StreamCommand::Step(args) => args.run(out).await,
        }
    }
}

impl OpenArgs {
    async fn run(self, out: &Output) -> Result<()> {
        let payer = self
            .store
            .payer(self.chain.reader().await?, &self.relays)
            .await?;
        let payer = payer.with_key(signing_key(&self.wallet.unlock()?)?);
        let id = self.id.of_payer(&payer).await?;
        let texts: Vec<_> = self.pay.iter().chain([&self.step]).collect();
        let token = token_of(&payer, id, &texts).await?;
        let step = self.step.in_units_of(&token)?;
        let pay = match &self.pay {
            Some(pay) => pay.in_units_of(&token).wrap_err("--pay")?,
            None => Amount::ZERO,
        };
        let payee = self.payee.of_deposit(&payer, id).await?;
        let opened = payer.open_stream(id, payee, pay, step, self.steps);
        match opened.await {
            Ok(payment) => print(&payment, payee, out),
            Err(error) => Err(unpaid(&payer, error, id).await),
        }
    }
}

impl StepArgs {
    async fn run(self, out: &Output) -> Result<()> {
        let payer = self
            .store
            .payer(self.chain.reader().await?, &self.relays)
            .await?;
        let payer = payer.with_key(signing_key(&self.wallet.unlock()?)?);
        let id = self.id.of_payer(&payer).await?;
        let payee = self.payee.of_deposit(&payer, id).await?;
        match payer.pay_steps(id, payee, self.steps).await {
            Ok(payment) => print(&payment, payee, out),
            Err(error) => Err(unpaid(&payer, error, id).await),
        }
    }
}
