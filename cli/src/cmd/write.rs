//! `cheque write`: a payment by cheque.

use alloy::primitives::Address;
use cheque::{
    DepositId, Proof,
    payer::{DepositState, Payer, PayerError, Payment},
};
use clap::Args;
use eyre::{Report, Result, WrapErr, ensure, eyre};
use serde_json::json;

use crate::{
    allowances::parse_address,
    amount::{AmountText, Token},
    input::text_of,
    opts::{
        beacon::BeaconOpts,
        chain::ChainOpts,
        store::StoreOpts,
        wallet::{WalletOpts, signing_key},
    },
    output::Output,
    token::token_at,
};

/// Pay a payee by cheque and print the proof of payment
///
/// The new total is on disk before the proof is printed. Send the proof to the payee in any way; --reprint prints a
/// lost proof again. The first proof for a payee is an opening, which includes the deposit's terms.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque write 0x5f3c... 0xd8dA... 0.001ether --account alice > proof.txt
  cheque write 0x5f3c... 0xd8dA... --reprint               the last proof; pays nothing
  cheque write 0x5f3c... 0xd8dA... --reprint --with-terms  an opening, for a payee without records
  cheque --json write 0x5f3c... 0xd8dA... 20gwei           with the totals spent and left")]
pub(crate) struct WriteArgs {
    /// Deposit
    id: DepositId,

    /// Payee's address
    #[arg(value_parser = parse_address)]
    payee: Address,

    /// Amount to add to the payee's total
    #[arg(required_unless_present = "reprint", conflicts_with = "reprint")]
    amount: Option<AmountText>,

    /// Print the last proof of payment again; pay nothing
    #[arg(long)]
    reprint: bool,

    /// Print an opening: the newest cheque with the deposit's terms
    #[arg(long)]
    with_terms: bool,

    /// Continue from a payee's cheque that the store has lost
    ///
    /// Repeat the flag with the payee's last stream step, if any.
    #[arg(long, value_name = "PROOF", conflicts_with = "reprint")]
    resume: Vec<String>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    wallet: WalletOpts,
}

impl WriteArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let payer = self
            .store
            .payer(self.chain.reader().await?, &self.relays)
            .await?;
        let Some(text) = &self.amount else {
            return self.reprint(&payer, out).await;
        };
        let payer = payer.with_key(signing_key(&self.wallet.unlock()?)?);
        let token = token_of(&payer, self.id, &[text]).await?;
        let amount = text.in_units_of(&token)?;
        if !self.resume.is_empty() {
            self.resume(&payer).await?;
        }
        let mut payment = match payer.write_cheque(self.id, self.payee, amount).await {
            Ok(payment) => payment,
            Err(error) => return Err(unpaid(&payer, error, &token).await),
        };
        if self.with_terms {
            let opening = payer.opening_proof(self.id, self.payee).await?;
            payment.proof = opening.ok_or_else(|| {
                eyre!("the payment is made, but its cheque is not in the store; check --store")
            })?;
        }
        print(&payment, self.payee, out)
    }

    async fn resume(&self, payer: &Payer) -> Result<()> {
        let (mut newest, mut shown) = (None, Default::default());
        for proof in &self.resume {
            let text = text_of(proof, "proof of payment")?;
            let proof: Proof = text.parse().wrap_err("--resume")?;
            ensure!(
                proof.deposit_id() == self.id,
                "--resume is a proof of deposit {}; name one of the same deposit",
                proof.deposit_id()
            );
            match proof {
                Proof::Opening(opening) => newest = Some(opening.cheque),
                Proof::Cheque(_, cheque) => newest = Some(cheque),
                Proof::Step { k, x, .. } => shown = (k, x),
            }
        }
        let newest = newest.ok_or_else(|| {
            eyre!("--resume has a stream step without its cheque; name the cheque too")
        })?;
        payer
            .resume_from(self.id, self.payee, &newest, shown)
            .await?;
        Ok(())
    }

    async fn reprint(&self, payer: &Payer, out: &Output) -> Result<()> {
        let nothing = || {
            eyre!(
                "{} was paid nothing from deposit {} yet; pay an amount first",
                self.payee,
                self.id
            )
        };
        let last = payer
            .last_proof(self.id, self.payee)
            .await?
            .ok_or_else(nothing)?;
        let (spent, left) = payer
            .spent_and_left(self.id, self.payee)
            .await?
            .ok_or_else(nothing)?;
        let mut payment = Payment {
            deposit: self.id,
            spent,
            left,
            proof: last,
        };
        if self.with_terms {
            if matches!(payment.proof, Proof::Step { .. }) {
                out.warn(
                    "stream steps were paid after this cheque; also send the proof of --reprint without --with-terms",
                );
            }
            let opening = payer.opening_proof(self.id, self.payee).await?;
            payment.proof = opening.ok_or_else(nothing)?;
        }
        print(&payment, self.payee, out)
    }
}

/// Finds the token of a deposit. Queries its decimals only if an amount needs them.
pub(crate) async fn token_of(
    payer: &Payer,
    id: DepositId,
    amounts: &[&AmountText],
) -> Result<Token> {
    let address = payer.deposit(id).await?.deposit.token;
    if address.is_zero() || amounts.iter().any(|amount| amount.needs_decimals()) {
        return token_at(address, payer.reader()).await;
    }
    Ok(Token {
        address,
        decimals: 0,
        symbol: "units".to_owned(),
    })
}

/// Explains why nothing was paid, with the next step.
pub(crate) async fn unpaid(payer: &Payer, error: PayerError, token: &Token) -> Report {
    match error {
        PayerError::NotActive(id) => match inactive(payer, id).await {
            Ok(reason) | Err(reason) => reason,
        },
        PayerError::NotCoveredByDeposit { left, needed, .. } => eyre!(
            "nothing was paid: {} is left of the payee's allowance, less than {}",
            token.show_amount(left),
            token.show_amount(needed)
        ),
        error => error.into(),
    }
}

/// The reason why a deposit cannot be paid from, by its state on the chain.
async fn inactive(payer: &Payer, id: DepositId) -> Result<Report> {
    let polled = payer.poll().await?;
    if let Some((_, error)) = polled.errors.into_iter().find(|(of, _)| *of == id) {
        return Ok(eyre!(
            "nothing was paid: deposit {id} cannot be read from the chain: {error}"
        ));
    }
    Ok(match payer.deposit(id).await?.state {
        DepositState::Active => {
            eyre!("nothing was paid: deposit {id} is active only now; repeat the command")
        }
        DepositState::Pending => eyre!(
            "nothing was paid: deposit {id} is not confirmed yet; wait until `cheque deposit watch {id}` prints active"
        ),
        state => eyre!(
            "nothing was paid: deposit {id} is {}; open another with `cheque deposit create` or `reopen`",
            state.name()
        ),
    })
}

/// Prints a proof alone; with `--json` also its totals.
pub(crate) fn print(payment: &Payment, payee: Address, out: &Output) -> Result<()> {
    let proof = payment.proof.to_string();
    let json = json!({
        "deposit": payment.deposit,
        "payee": payee,
        "spent": payment.spent,
        "left": payment.left,
        "proof": proof,
    });
    out.result(&json, || proof.clone())
}
