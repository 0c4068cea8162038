//! `cheque receive`: being paid.

use alloy::primitives::{Address, U256};
use cheque::{
    Proof, Rejection,
    payee::{Accepted, ReceiveError},
    store::{StoreError, StoredError},
};
use clap::Args;
use eyre::{Report, Result, WrapErr};
use serde_json::json;

use crate::{
    allowances::parse_address,
    exit::{Exit, Failure},
    input::text_of,
    opts::{ChainOpts, PayeeOpts, PolicyOpts, StoreOpts, WalletOpts},
    output::{Output, fields},
    show,
    token::token_at,
};

/// Check a proof of payment and keep it
///
/// Checks signature, allowance, deposit and terms against the chain and the payee's policy. What is accepted is on disk
/// before this ends. Prints what the payment adds, net of the expected cost of redeeming. Showing a proof twice counts it
/// once. A rejection ends with exit code 3 and changes nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque receive proof.txt --payee 0xd8dA...
  cheque write ID PAYEE 0.001ether | ssh payee cheque receive - --account shop
  cheque receive Aqw... --from 0x5aAe...          reject what another signer has signed
  cheque receive proof.txt --token 0xA0b8... --rate 2500.0 --max-deposit 1000.0")]
pub(crate) struct ReceiveArgs {
    /// The proof, a file that holds it, or - for stdin
    proof: String,

    /// Who says that it pays, if you have made sure that it does: the deposit's signer must be this one
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    from: Option<Address>,

    #[command(flatten)]
    payee: PayeeOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    wallet: WalletOpts,

    #[command(flatten)]
    policy: PolicyOpts,
}

impl ReceiveArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let text = text_of(&self.proof, "proof of payment")?;
        let proof: Proof = text.parse().map_err(|error| Failure {
            exit: Exit::Rejected,
            code: "malformed".to_owned(),
            text: format!("rejected: this is no proof of payment: {error}"),
        })?;
        let address = self.payee.address(&self.wallet)?;
        let reader = self.chain.reader().await?;
        let payee = self.policy.payee(address, reader, &self.store).await?;
        let received = payee.receive_payment(self.from, &proof).await;
        let accepted = received.map_err(|error| failure(&proof, error))?;
        let token = token_at(accepted.position.deposit().token, payee.reader()).await;
        print(
            &accepted,
            address,
            token.wrap_err("the payment is accepted and on disk")?,
            out,
        )
    }
}

fn print(
    accepted: &Accepted,
    payee: Address,
    token: crate::amount::Token,
    out: &Output,
) -> Result<()> {
    let position = &accepted.position;
    let terms = position.deposit();
    let payout = position.payout();
    let json = json!({
        "accepted": true,
        "deposit": accepted.deposit,
        "payee": payee,
        "from": accepted.credit_to,
        "token": terms.token,
        "value": accepted.value,
        "total": accepted.total,
        "credited": position.credited(),
        "allowance": position.allowance(),
        "draw_block": terms.drawBlock,
        "payout": payout.map(|payout| payout.amount),
        "range": payout.map(|payout| payout.range),
    });
    out.result(&json, || {
        let mut lines = vec![
            ("received", token.show_amount(accepted.value)),
            ("from", accepted.credit_to.to_string()),
            ("deposit", accepted.deposit.to_string()),
            ("paid so far", token.show_amount(accepted.total)),
            ("allowance", token.show_amount(position.allowance())),
            ("draw block", terms.drawBlock.to_string()),
        ];
        if let Some(payout) = payout {
            let chance = show::percent(payout.range.to_u256(), U256::from(terms.amount));
            lines.push((
                "a win pays",
                format!("{}, chance {chance}", token.show_amount(payout.amount)),
            ));
        }
        fields(&lines)
    })
}

/// A rejection has an exit code of its own, and says what the payer needs to go on.
fn failure(proof: &Proof, error: ReceiveError) -> Report {
    let rejection = match error {
        ReceiveError::Rejected(rejection) => rejection,
        ReceiveError::Stored(StoredError::Store(StoreError::Unknown { .. })) => {
            return Report::new(error).wrap_err(
                "nobody knows whether this was recorded; receive it again: it counts once, and is a replay if it was",
            );
        }
        error => {
            return Report::new(error).wrap_err("not checked, and nothing was recorded; try again");
        }
    };
    let hint = match &rejection {
        Rejection::Stale { newest, shown, .. } => {
            let deposit = proof.deposit_id();
            let mut resume = format!("--resume {}", Proof::Cheque(deposit, **newest));
            if let (k @ 1.., x) = *shown {
                resume += &format!(" --resume {}", Proof::Step { deposit, k, x });
            }
            format!(
                "; a payer that lost its records goes on from the newest one here with `cheque write {resume}`"
            )
        }
        Rejection::UnknownDeposit(id) => {
            format!("; the payer prints one with `cheque write {id} PAYEE --again --opening`")
        }
        Rejection::NotConfirmed(_) => {
            "; the payer may have to wait, see `cheque deposit watch`".to_owned()
        }
        _ => String::new(),
    };
    let failure = Failure {
        exit: Exit::Rejected,
        code: rejection.code().to_owned(),
        text: format!("rejected: {rejection}{hint}"),
    };
    failure.into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use cheque::DepositId;

    fn told(error: StoreError) -> String {
        let proof = Proof::Step {
            deposit: DepositId::default(),
            k: 1,
            x: Default::default(),
        };
        let error = ReceiveError::Stored(StoredError::Store(error));
        format!("{:#}", failure(&proof, error))
    }

    #[test]
    fn nothing_was_recorded_is_said_only_where_that_is_known() {
        let path = || "store.redb".into();
        let cause = || std::sync::Arc::new(std::io::Error::other("the disk is full"));
        let unknown = told(StoreError::Unknown {
            path: path(),
            cause: cause(),
        });
        assert!(unknown.contains("nobody knows"), "{unknown}");
        assert!(!unknown.contains("nothing was recorded"), "{unknown}");
        assert!(unknown.contains("the disk is full"), "{unknown}");
        let unreachable = told(StoreError::Unreachable {
            path: path(),
            cause: cause(),
        });
        assert!(
            unreachable.contains("nothing was recorded"),
            "{unreachable}"
        );
    }
}
