//! `cheque receive`: a payment, checked and recorded.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use cheque::{
    Proof, Rejection, WireError,
    payee::{Accepted, ReceiveError},
    store::{StoreError, StoredError},
};
use clap::Args;
use eyre::{Report, Result, WrapErr, eyre};
use serde_json::json;

use crate::{
    allowances::parse_address,
    exit::{Exit, Failure},
    format,
    input::text_of,
    opts::{
        beacon::BeaconOpts,
        chain::ChainOpts,
        payee::{PayeeOpts, PolicyOpts},
        store::{CreateOpts, StoreOpts},
        time::{show_duration, show_time},
        wallet::WalletOpts,
    },
    output::{Output, fields},
    token::token_at,
};

/// Check and record a proof of payment
///
/// Checks signature, allowance, deposit and terms against the chain and the payee's policy. An accepted payment is on
/// disk before the command ends. Prints the added value, net of the expected cost to redeem. A proof received twice
/// counts once. A rejection ends with exit code 3 and changes nothing.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque receive proof.txt --payee 0xd8dA...
  cheque write ID PAYEE 0.001ether | ssh payee cheque receive - --account shop
  cheque receive Aqw... --from 0x5aAe...          reject other signers
  cheque receive proof.txt --token 0xA0b8... --tokens-per-coin 2500.0 --max-exposure 100.0")]
pub(crate) struct ReceiveArgs {
    /// Proof, a file with the proof, or - for stdin
    proof: String,

    /// Reject the payment unless this authenticated sender is the deposit's signer
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    from: Option<Address>,

    #[command(flatten)]
    payee: PayeeOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    create: CreateOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    wallet: WalletOpts,

    #[command(flatten)]
    policy: PolicyOpts,
}

impl ReceiveArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let text = text_of(&self.proof, "proof of payment")?;
        let proof: Proof = match text.parse() {
            Ok(proof) => proof,
            Err(error) => return Err(unreadable(&self.proof, &text, &error)),
        };
        let address = self.payee.address(&self.wallet)?;
        let reader = self.chain.reader().await?;
        let opened = self.create.open_or_begin(&self.store).await?;
        opened.announce(out);
        let payee = self
            .policy
            .payee(address, reader, opened.store, &self.relays)
            .await?;
        let received = payee.receive_payment(self.from, &proof).await;
        let accepted = received.map_err(|error| failure(&proof, error))?;
        let token = token_at(accepted.position.deposit().token, payee.reader()).await;
        print(
            &accepted,
            address,
            token.wrap_err("the payment is accepted and recorded, but not shown")?,
            out,
        )
    }
}

/// The fewest characters of a proof: a stream step's 64 bytes in base64.
const MIN_PROOF: usize = 86;

/// The error of a text that is no proof. An argument that is most likely the name of a missing file is wrong usage, and no
/// rejected payment.
fn unreadable(argument: &str, text: &str, error: &WireError) -> Report {
    let is_encoded = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    let is_name = text.len() < MIN_PROOF || !text.chars().all(is_encoded);
    if text == argument.trim() && is_name {
        return eyre!(
            "`{argument}` is neither a proof of payment nor an existing file; check the name"
        );
    }
    let failure = Failure {
        exit: Exit::Rejected,
        code: "malformed".to_owned(),
        text: format!("rejected: the text is not a proof of payment: {error}"),
    };
    failure.into()
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
        "credit_to": accepted.credit_to,
        "token": terms.token,
        "value": accepted.value,
        "total": accepted.total,
        "credited": position.credited(),
        "allowance": position.allowance(),
        "draw_time": terms.drawTime,
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
            ("draw time", show_time(terms.drawTime)),
        ];
        if let Some(payout) = payout {
            let chance = format::percent(payout.range.to_u256(), U256::from(terms.amount));
            lines.push((
                "payout",
                format!("{}, chance {chance}", token.show_amount(payout.amount)),
            ));
        }
        fields(&lines)
    })
}

/// Converts an error of `receive`. A rejection ends with [`Exit::Rejected`] and names the payer's next step.
fn failure(proof: &Proof, error: ReceiveError) -> Report {
    let rejection = match error {
        ReceiveError::Rejected(rejection) => rejection,
        ReceiveError::Stored(StoredError::Store(StoreError::Unknown { .. })) => {
            return Report::new(error)
                .wrap_err("the payment may be recorded; receive it again: it counts at most once");
        }
        error => {
            return Report::new(error)
                .wrap_err("the payment is not checked and not recorded; receive it again");
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
                "; if the payer lost its records, it continues from the newest cheque with `cheque write {resume}`"
            )
        }
        Rejection::UnknownDeposit(id) => {
            format!("; the payer prints it with `cheque write {id} PAYEE --reprint --with-terms`")
        }
        Rejection::NotConfirmed(_) => {
            "; the payer's `cheque deposit wait` tells when it is".to_owned()
        }
        _ => String::new(),
    };
    let failure = Failure {
        exit: Exit::Rejected,
        code: rejection.code().to_owned(),
        text: format!("rejected: {}{hint}", explained(&rejection)),
    };
    failure.into()
}

/// Explains a rejection, with times as dates.
fn explained(rejection: &Rejection) -> String {
    match rejection {
        Rejection::PastCutoff {
            now,
            draw_time,
            cutoff,
        } => format!(
            "the draw at {} is less than {} after {}, or over; use a deposit with a later draw",
            show_time(*draw_time),
            show_duration(Duration::from_secs(*cutoff)),
            show_time(*now)
        ),
        Rejection::HorizonTooLong { draw_time, latest } => format!(
            "the draw at {} is later than {}; use a deposit with an earlier draw",
            show_time(*draw_time),
            show_time(*latest)
        ),
        rejection => rejection.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cheque::DepositId;

    fn text_for(error: StoreError) -> String {
        let proof = Proof::Step {
            deposit: DepositId::default(),
            k: 1,
            x: Default::default(),
        };
        let error = ReceiveError::Stored(StoredError::Store(error));
        format!("{:#}", failure(&proof, error))
    }

    #[test]
    fn claims_nothing_was_recorded_only_if_certain() {
        let path = || "store.redb".into();
        let cause = || std::sync::Arc::new(std::io::Error::other("the disk is full"));
        let unknown = text_for(StoreError::Unknown {
            path: path(),
            cause: cause(),
        });
        assert!(unknown.contains("may be recorded"), "{unknown}");
        assert!(!unknown.contains("not recorded"), "{unknown}");
        assert!(unknown.contains("the disk is full"), "{unknown}");
        let unreachable = text_for(StoreError::Unreachable {
            path: path(),
            cause: cause(),
        });
        assert!(unreachable.contains("not recorded"), "{unreachable}");
    }
}
