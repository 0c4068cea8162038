//! `cheque write`: payments by cheque.

mod bulk;

use std::path::PathBuf;

use alloy::primitives::Address;
use cheque::{
    DepositId, Proof,
    payer::{Payer, Payment},
};
use clap::Args;
use eyre::{ContextCompat, Result, WrapErr, ensure, eyre};

use super::payment::{print, token_of, unpaid};
use crate::{
    amount::AmountText,
    id::IdText,
    input::text_of,
    opts::{
        beacon::BeaconOpts,
        chain::ChainOpts,
        store::StoreOpts,
        wallet::{WalletOpts, signing_key},
    },
    output::Output,
    payee_text::PayeeText,
};

/// Pay a payee by cheque and print the proof of payment
///
/// The new total is on disk before the proof is printed. Send the proof to the payee in any way; --reprint prints a
/// lost proof again. The first proof for a payee is an opening, which includes the deposit's terms.
///
/// With --file, pays every payee of a list and prints a JSON object for each, in the order of the list: with `proof`, or with
/// `error` and `code`. The whole list is checked before the first payment. Exit code 6: some payments were not made. A
/// repeated list pays again.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque write 0x5f3c... 0xd8dA... 0.001ether --account alice > proof.txt
  cheque write 0x5f3c... bob 20gwei                        a name of the deposit's list
  cheque write 0x5f3c... 0xd8dA... --reprint               the last proof; pays nothing
  cheque write 0x5f3c... 0xd8dA... --reprint --with-terms  an opening, for a payee without records
  cheque --json write 0x5f3c... 0xd8dA... 20gwei           with the totals spent and left
  cheque write 0x5f3c... --file payments.csv > proofs.jsonl")]
pub(crate) struct WriteArgs {
    /// Deposit
    id: IdText,

    /// Payee's address, or its name in the deposit's list of payees
    #[arg(required_unless_present = "file", conflicts_with = "file")]
    payee: Option<PayeeText>,

    /// Amount to add to the payee's total
    #[arg(required_unless_present_any = ["reprint", "file"], conflicts_with_all = ["reprint", "file"])]
    amount: Option<AmountText>,

    /// Pay the payees of FILE, or - for stdin
    ///
    /// CSV lines `address,amount` or `name,address,amount`, or JSON {"address": "amount", ...}.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["reprint", "resume"])]
    file: Option<PathBuf>,

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
    /// True with --file.
    pub(crate) const fn pays_a_list(&self) -> bool {
        self.file.is_some()
    }

    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let payer = self
            .store
            .payer(self.chain.reader().await?, &self.relays)
            .await?;
        let id = self.id.of_payer(&payer).await?;
        let key = || signing_key(&self.wallet.unlock()?);
        if let Some(file) = &self.file {
            let payer = payer.with_key(key()?);
            return bulk::pay_all(&payer, id, file, self.with_terms, out).await;
        }
        let payee = self.payee.as_ref();
        let payee = payee.wrap_err("the payee is missing; name its address")?;
        let payee = payee.of_deposit(&payer, id).await?;
        let Some(text) = &self.amount else {
            return self.reprint(&payer, id, payee, out).await;
        };
        let payer = payer.with_key(key()?);
        let token = token_of(&payer, id, &[text]).await?;
        let amount = text.in_units_of(&token)?;
        if !self.resume.is_empty() {
            self.resume(&payer, id, payee).await?;
        }
        let mut payment = match payer.write_cheque(id, payee, amount).await {
            Ok(payment) => payment,
            Err(error) => return Err(unpaid(&payer, error, id).await),
        };
        if self.with_terms {
            let opening = payer.opening_proof(id, payee).await?;
            payment.proof = opening.ok_or_else(|| {
                eyre!("the payment is made, but its cheque is not in the store; check --store")
            })?;
        }
        print(&payment, payee, out)
    }

    async fn resume(&self, payer: &Payer, id: DepositId, payee: Address) -> Result<()> {
        let (mut newest, mut shown) = (None, Default::default());
        for proof in &self.resume {
            let text = text_of(proof, "proof of payment")?;
            let proof: Proof = text.parse().wrap_err("--resume")?;
            ensure!(
                proof.deposit_id() == id,
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
        payer.resume_from(id, payee, &newest, shown).await?;
        Ok(())
    }

    async fn reprint(
        &self,
        payer: &Payer,
        id: DepositId,
        payee: Address,
        out: &Output,
    ) -> Result<()> {
        let nothing =
            || eyre!("{payee} was paid nothing from deposit {id} yet; pay an amount first");
        let last = payer.last_proof(id, payee).await?.ok_or_else(nothing)?;
        let account = payer.spent_and_left(id, payee).await?;
        let (spent, left) = account.ok_or_else(nothing)?;
        let mut payment = Payment {
            deposit: id,
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
            let opening = payer.opening_proof(id, payee).await?;
            payment.proof = opening.ok_or_else(nothing)?;
        }
        print(&payment, payee, out)
    }
}
