//! `cheque stream`: paying many times by one hash each.

use alloy::primitives::Address;
use cheque::{Amount, DepositId};
use clap::{Args, Subcommand, builder::RangedU64ValueParser};
use eyre::{Result, WrapErr};

use super::write::{print, proof_of, token_of};
use crate::{
    allowances::parse_address,
    amount::AmountText,
    opts::{ChainOpts, StoreOpts, WalletOpts},
    output::Output,
    payer::signing_key,
};

/// Pay in equal steps, each a single hash to check
///
/// A stream begins with a cheque that names the size of a step; each step after it is proven by 32 bytes. The next cheque
/// or stream for the same payee ends it.
#[derive(Args, Debug)]
pub(crate) struct StreamArgs {
    #[command(subcommand)]
    command: StreamCommand,
}

#[derive(Debug, Subcommand)]
enum StreamCommand {
    Open(OpenArgs),
    Step(StepArgs),
}

/// Begin a stream: prints the cheque that opens it and nothing else
///
/// The payee's allowance has to cover the whole stream. What is not taken stays in the allowance.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque stream open 0x5f3c... 0xd8dA... 20gwei --steps 500 > stream.txt
  cheque stream open 0x5f3c... 0xd8dA... 20gwei --pay 0.001ether    the cheque pays, too")]
struct OpenArgs {
    /// The deposit
    id: DepositId,

    /// Who is paid
    #[arg(value_parser = parse_address)]
    payee: Address,

    /// What one step pays
    step: AmountText,

    /// How many steps there can be; payees follow 1024 by default
    #[arg(long, value_name = "NUMBER", default_value_t = 100,
          value_parser = RangedU64ValueParser::<u32>::new().range(1..=4096))]
    steps: u32,

    /// Pay this much at once with the same cheque
    #[arg(long, value_name = "AMOUNT")]
    pay: Option<AmountText>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    wallet: WalletOpts,
}

/// Pay the next step, or several: prints the proof of payment and nothing else
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque stream step 0x5f3c... 0xd8dA...
  cheque stream step 0x5f3c... 0xd8dA... 10      ten steps in one proof
If a proof gets lost, `cheque write ID PAYEE --again` prints it once more; any later step pays for it, too.")]
struct StepArgs {
    /// The deposit
    id: DepositId,

    /// Who is paid
    #[arg(value_parser = parse_address)]
    payee: Address,

    /// How many steps
    #[arg(default_value_t = 1, value_parser = RangedU64ValueParser::<u32>::new().range(1..=4096))]
    steps: u32,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

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
        let payer = self.store.payer(self.chain.reader().await?).await?;
        let payer = payer.with_key(signing_key(&self.wallet.unlock()?)?);
        let texts: Vec<_> = self.pay.iter().chain([&self.step]).collect();
        let token = token_of(&payer, self.id, &texts).await?;
        let step = self.step.in_units_of(&token)?;
        let pay = match &self.pay {
            Some(pay) => pay.in_units_of(&token).wrap_err("--pay")?,
            None => Amount::ZERO,
        };
        let payment = payer
            .open_stream(self.id, self.payee, pay, step, self.steps)
            .await?;
        let whole = step.checked_mul(self.steps.into());
        let needed = whole.and_then(|whole| whole.checked_add(pay));
        let proof = proof_of(&payer, &payment, needed, &token).await?;
        print(&payment, &proof, self.payee, out)
    }
}

impl StepArgs {
    async fn run(self, out: &Output) -> Result<()> {
        let payer = self.store.payer(self.chain.reader().await?).await?;
        let payer = payer.with_key(signing_key(&self.wallet.unlock()?)?);
        let token = token_of(&payer, self.id, &[]).await?;
        let payment = payer.pay_steps(self.id, self.payee, self.steps).await?;
        let proof = proof_of(&payer, &payment, None, &token).await?;
        print(&payment, &proof, self.payee, out)
    }
}
