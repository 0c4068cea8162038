//! `cheque write`: paying.

use alloy::primitives::Address;
use cheque::{
    Amount, DepositId, Proof,
    payer::{DepositState, Payer, Payment},
};
use clap::Args;
use eyre::{Result, WrapErr, bail, ensure, eyre};
use serde_json::json;

use crate::{
    allowances::parse_address,
    amount::{AmountText, Token},
    input::text_of,
    opts::{ChainOpts, StoreOpts, WalletOpts},
    output::Output,
    payer::signing_key,
    token::token_at,
};

/// Pay a payee by a cheque: prints the proof of payment and nothing else
///
/// The new total is on disk before the proof is printed. Hand the proof to the payee in any way you like; if it gets lost,
/// --again prints it once more. The first proof for a payee is an opening, which also tells it the deposit's terms.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque write 0x5f3c... 0xd8dA... 0.001ether --account alice > proof.txt
  cheque write 0x5f3c... 0xd8dA... --again                 the last proof once more, paying nothing
  cheque write 0x5f3c... 0xd8dA... --again --opening       so that a payee can begin afresh with it
  cheque --json write 0x5f3c... 0xd8dA... 20gwei           with what is spent and left")]
pub(crate) struct WriteArgs {
    /// The deposit
    id: DepositId,

    /// Who is paid
    #[arg(value_parser = parse_address)]
    payee: Address,

    /// How much more
    #[arg(required_unless_present = "again", conflicts_with = "again")]
    amount: Option<AmountText>,

    /// Pay nothing, and print the last proof of payment again
    #[arg(long)]
    again: bool,

    /// Make the proof self-contained: the newest cheque with the deposit's terms
    #[arg(long)]
    opening: bool,

    /// Go on from this cheque first, which the payee has and this store has lost; repeat it with the payee's last stream
    /// step, if there is one
    #[arg(long, value_name = "PROOF", conflicts_with = "again")]
    resume: Vec<String>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    wallet: WalletOpts,
}

impl WriteArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let payer = self.store.payer(self.chain.reader().await?).await?;
        let Some(text) = &self.amount else {
            return self.again(&payer, out).await;
        };
        let payer = payer.with_key(signing_key(&self.wallet.unlock()?)?);
        let token = token_of(&payer, self.id, &[text]).await?;
        let amount = text.in_units_of(&token)?;
        if !self.resume.is_empty() {
            self.resume(&payer).await?;
        }
        let payment = payer.write_cheque(self.id, self.payee, amount).await?;
        let proof = proof_of(&payer, &payment, Some(amount), &token).await?;
        let proof = if self.opening {
            let opening = payer.opening(self.id, self.payee).await?;
            opening.ok_or_else(|| eyre!("the cheque is not in the store"))?
        } else {
            proof
        };
        print(&payment, &proof, self.payee, out)
    }

    async fn resume(&self, payer: &Payer) -> Result<()> {
        let (mut newest, mut shown) = (None, Default::default());
        for proof in &self.resume {
            let text = text_of(proof, "proof of payment")?;
            let proof: Proof = text.parse().wrap_err("--resume")?;
            ensure!(
                proof.deposit_id() == self.id,
                "--resume: this is a proof of deposit {}",
                proof.deposit_id()
            );
            match proof {
                Proof::Opening(opening) => newest = Some(opening.cheque),
                Proof::Cheque(_, cheque) => newest = Some(cheque),
                Proof::Step { k, x, .. } => shown = (k, x),
            }
        }
        let newest = newest.ok_or_else(|| {
            eyre!("--resume: a stream step alone is not enough, it takes the cheque")
        })?;
        payer
            .resume_from(self.id, self.payee, &newest, shown)
            .await?;
        Ok(())
    }

    async fn again(&self, payer: &Payer, out: &Output) -> Result<()> {
        let nothing = || {
            eyre!(
                "{} was paid nothing from deposit {} yet",
                self.payee,
                self.id
            )
        };
        let last = payer
            .last_proof(self.id, self.payee)
            .await?
            .ok_or_else(nothing)?;
        let (spent, left) = payer
            .last_cheque(self.id, self.payee)
            .await?
            .ok_or_else(nothing)?;
        let payment = Payment {
            deposit: self.id,
            spent,
            left,
            proof: None,
        };
        if !self.opening {
            return print(&payment, &last, self.payee, out);
        }
        if matches!(last, Proof::Step { .. }) {
            out.warn(
                "stream steps were taken since this cheque: hand over what --again prints without --opening, too",
            );
        }
        let opening = payer.opening(self.id, self.payee).await?;
        print(&payment, &opening.ok_or_else(nothing)?, self.payee, out)
    }
}

/// The token of a deposit; its decimals are asked for only where an amount needs them.
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

/// The proof of a payment, or why there is none.
pub(crate) async fn proof_of(
    payer: &Payer,
    payment: &Payment,
    needed: Option<Amount>,
    token: &Token,
) -> Result<Proof> {
    if let Some(proof) = &payment.proof {
        return Ok(proof.clone());
    }
    let id = payment.deposit;
    let polled = payer.poll().await?;
    if let Some((_, error)) = polled.errors.into_iter().find(|(of, _)| *of == id) {
        bail!("nothing was paid: deposit {id} cannot be followed: {error}");
    }
    match payer.deposit(id).await?.state {
        DepositState::Active => {}
        DepositState::Pending => bail!(
            "nothing was paid: deposit {id} is not confirmed yet; `cheque deposit watch {id}` tells when it is active"
        ),
        state => bail!(
            "nothing was paid: deposit {id} is {}; open another with `cheque deposit create` or `reopen`",
            state.name()
        ),
    }
    let needed = needed.map_or_else(String::new, |needed| {
        format!(", and this takes {}", token.show_amount(needed))
    });
    bail!(
        "nothing was paid: {} is left of the payee's allowance{needed}",
        token.show_amount(payment.left)
    )
}

/// Prints a proof and nothing else; with `--json` what it stands for, too.
pub(crate) fn print(payment: &Payment, proof: &Proof, payee: Address, out: &Output) -> Result<()> {
    let proof = proof.to_string();
    let json = json!({
        "deposit": payment.deposit,
        "payee": payee,
        "spent": payment.spent,
        "left": payment.left,
        "proof": proof,
    });
    out.result(&json, || proof.clone())
}
