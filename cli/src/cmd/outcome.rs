//! `cheque outcome`: who has won.

use alloy::primitives::U256;
use cheque::{
    Amount, DepositId, Outcome, Position, bank::RedeemError, outcome_text, payee::Payee, roll,
};
use clap::Args;
use eyre::{Report, Result, eyre};
use serde_json::json;

use crate::{
    exit::{Exit, Failure},
    opts::{ChainOpts, PayeeOpts, StoreOpts, WalletOpts},
    output::{Output, fields},
    show,
    token::token_at,
};

/// Tell whether the newest cheque of a deposit can be redeemed, and what it pays
///
/// Ends with exit code 0 if it can be redeemed now, and 4 if not: not yet, not any more, or because it does not win.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque outcome 0x5f3c... --payee 0xd8dA...
  cheque outcome 0x5f3c... && cheque redeem 0x5f3c...")]
pub(crate) struct OutcomeArgs {
    /// The deposit
    id: DepositId,

    #[command(flatten)]
    payee: PayeeOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    wallet: WalletOpts,
}

impl OutcomeArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<Exit> {
        let address = self.payee.address(&self.wallet)?;
        let payee = self
            .store
            .payee(address, self.chain.reader().await?)
            .await?;
        let (outcome, payout) = payee.outcome(self.id).await?;
        let position = payee.holding(self.id).await?;
        let position = position.ok_or_else(|| eyre!("the cheque is not in the store any more"))?;
        let drawn = roll_of(&payee, &position).await?;
        let token = token_at(position.deposit().token, payee.reader()).await?;
        let won = position.payout();
        let terms = position.deposit();
        let json = json!({
            "deposit": self.id,
            "payee": address,
            "outcome": name(outcome),
            "payout": payout,
            "total": position.total(),
            "draw_block": terms.drawBlock,
            "last_redeem_block": terms.lastRedeemBlock,
            "start": position.start(),
            "range": won.map(|won| won.range),
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
                ("draw block", terms.drawBlock.to_string()),
                ("redeem until", format!("block {}", terms.lastRedeemBlock)),
            ];
            if let Some(won) = won {
                let chance = show::percent(won.range.to_u256(), U256::from(terms.amount));
                lines.push((
                    "a win pays",
                    format!("{}, chance {chance}", token.show_amount(won.amount)),
                ));
                let end = position
                    .start()
                    .checked_add(won.range)
                    .unwrap_or(Amount::MAX);
                lines.push(("wins from", format!("{} to below {end}", position.start())));
            }
            if let Some(roll) = drawn {
                lines.push(("the roll", format!("{roll} of {}", terms.amount)));
            }
            fields(&lines)
        })?;
        Ok(match outcome {
            Outcome::Payable => Exit::Done,
            _ => Exit::NotPayable,
        })
    }
}

/// The point that the draw selected, once the draw block is there.
async fn roll_of(payee: &Payee, position: &Position) -> Result<Option<Amount>> {
    let terms = position.deposit();
    match payee.reader().seed(terms.drawBlock).await {
        Ok(seed) => {
            Ok(seed.map(|(seed, _)| roll(seed, position.deposit_id(), Amount::new(terms.amount))))
        }
        Err(RedeemError::SeedLost(_)) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

/// An outcome's name for programs.
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
        Outcome::BadHeader => "bad_header",
        Outcome::Loses => "loses",
        Outcome::ConsentMissing => "consent_missing",
        _ => "unknown",
    }
}

/// A redemption that would not be paid has an exit code of its own.
pub(crate) fn redeem_failure(error: RedeemError) -> Report {
    let RedeemError::NotPayable { outcome, .. } = error else {
        return error.into();
    };
    let failure = Failure {
        exit: Exit::NotPayable,
        code: name(outcome).to_owned(),
        text: format!("nothing was sent: {error}"),
    };
    failure.into()
}
