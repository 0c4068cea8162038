//! `cheque status`: the outcome of a deposit's newest cheque.

use alloy::primitives::U256;
use cheque::{
    Amount, Outcome, Position,
    bank::{RedeemError, SeedError},
    outcome_text,
    payee::Payee,
    roll,
};
use clap::Args;
use eyre::{Report, Result, eyre};
use serde_json::json;

use crate::{
    exit::{Exit, Failure},
    format,
    id::IdText,
    opts::{
        beacon::BeaconOpts, chain::ChainOpts, payee::PayeeOpts, store::StoreOpts, time::show_time,
        wallet::WalletOpts,
    },
    output::{Output, fields},
    token::token_at,
};

/// Check whether a deposit's newest cheque can be redeemed, and its payout
///
/// Exit code 0: redeemable now. Exit code 4: not yet, too late, or not a winner.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque status 0x5f3c... --payee 0xd8dA...
  cheque status 0x5f3c... && cheque redeem 0x5f3c...")]
pub(crate) struct StatusArgs {
    /// Deposit
    id: IdText,

    #[command(flatten)]
    payee: PayeeOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,

    #[command(flatten)]
    wallet: WalletOpts,
}

impl StatusArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit> {
        let address = self.payee.address(&self.wallet)?;
        let payee = self
            .store
            .payee(address, self.chain.reader().await?, &self.relays)
            .await?;
        let id = self.id.of_payee(&payee).await?;
        let (outcome, payout) = payee.outcome(id).await?;
        let position = payee.position(id).await?;
        let position = position
            .ok_or_else(|| eyre!("the cheque was removed from the store; run the command again"))?;
        let drawn = roll_of(&payee, &position).await?;
        let token = token_at(position.deposit().token, payee.reader()).await?;
        let payout_if_drawn = position.payout();
        let terms = position.deposit();
        let json = json!({
            "deposit": id,
            "payee": address,
            "outcome": name(outcome),
            "payout": payout,
            "total": position.total(),
            "draw_time": terms.drawTime,
            "redeem_until": terms.redeemUntil,
            "start": position.start(),
            "range": payout_if_drawn.map(|payout| payout.range),
            "amount": terms.amount.to_string(),
            "roll": drawn,
        });
        out.result(&json, || {
            let mut lines = vec![
                (
                    "outcome",
                    format!("{}: {}", name(outcome), outcome_text(outcome)),
                ),
                ("total", token.show_amount(position.total())),
                ("draw time", show_time(terms.drawTime)),
                ("redeem until", show_time(terms.redeemUntil)),
            ];
            if let Some(payout) = payout_if_drawn {
                let chance = format::percent(payout.range.to_u256(), U256::from(terms.amount));
                lines.push((
                    "payout",
                    format!("{}, chance {chance}", token.show_amount(payout.amount)),
                ));
                let end = position
                    .start()
                    .checked_add(payout.range)
                    .unwrap_or(Amount::MAX);
                lines.push((
                    "wins at",
                    format!("rolls from {} to below {end}", position.start()),
                ));
            }
            if let Some(roll) = drawn {
                lines.push(("roll", format!("{roll} of {}", terms.amount)));
            }
            fields(&lines)
        })?;
        Ok(match outcome {
            Outcome::Payable => Exit::Done,
            _ => Exit::NotPayable,
        })
    }
}

/// Computes the roll of a deposit. `None` before the draw, and while its round is unknown.
async fn roll_of(payee: &Payee, position: &Position) -> Result<Option<Amount>> {
    let terms = position.deposit();
    let seed = match payee.reader().recorded_seed(terms.drawTime).await? {
        Some(recorded) => Some(recorded),
        None => match payee.seeds().round(terms.drawTime).await {
            Ok(round) => round.map(|round| round.seed()),
            Err(SeedError::NoClient(_)) => None,
            Err(error) => return Err(error.into()),
        },
    };
    Ok(seed.map(|seed| roll(seed, position.deposit_id(), Amount::new(terms.amount))))
}

/// An outcome's stable name for programs.
pub(crate) fn name(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Payable => "payable",
        Outcome::Malformed => "malformed",
        Outcome::NotOpen => "not_open",
        Outcome::TooEarly => "too_early",
        Outcome::TooLate => "too_late",
        Outcome::BadStream => "bad_stream",
        Outcome::NothingSpent => "nothing_spent",
        Outcome::OverAllowance => "over_allowance",
        Outcome::BadProof => "bad_proof",
        Outcome::BadSignature => "bad_signature",
        Outcome::SeedUnknown => "seed_unknown",
        Outcome::Loses => "loses",
        Outcome::ConsentMissing => "consent_missing",
        _ => "unknown",
    }
}

/// Converts a redemption's error; an outcome other than payable ends with [`Exit::NotPayable`].
pub(crate) fn redeem_failure(error: RedeemError) -> Report {
    let outcome = match &error {
        RedeemError::NotPayable { outcome, .. } => *outcome,
        RedeemError::ConsentTooEarly { safe_from, .. } => {
            return eyre!(
                "a consent is for the total of now, and payments may still raise it; sign after the draw at {}",
                show_time(*safe_from)
            );
        }
        _ => return error.into(),
    };
    let failure = Failure {
        exit: Exit::NotPayable,
        code: name(outcome).to_owned(),
        text: format!("nothing was sent: {error}"),
    };
    failure.into()
}
