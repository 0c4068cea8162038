//! `cheque deposit show`.

use cheque::Amount;
use clap::Args;
use eyre::Result;
use serde_json::{Map, json};

use super::state::{add_state, state_text, update_states};
use crate::{
    format,
    id::IdText,
    opts::{beacon::BeaconOpts, chain::ChainOpts, store::StoreOpts, time::show_time},
    output::{Output, fields, table},
    token::token_at,
};

/// Show a deposit: terms, state, how long it can pay, allowances left
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit show 0x5f3c...
  cheque deposit show 0x5f3c... --payees --json    with the allowance left to each payee")]
pub(super) struct ShowArgs {
    /// Deposit
    id: IdText,

    /// List the payees and the allowances left
    #[arg(long)]
    payees: bool,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,
}

impl ShowArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let payer = self
            .store
            .payer(self.chain.reader().await?, &self.relays)
            .await?;
        update_states(&payer, out).await?;
        let id = self.id.of_payer(&payer).await?;
        let record = payer.deposit(id).await?;
        let terms = &record.deposit;
        let token = token_at(terms.token, payer.reader()).await?;
        let expiry = payer.estimated_expiry(id).await?;
        let left = payer.allowances_left(id).await?;
        let names = payer.payee_names(id).await?;
        // All allowances add up to the deposit, so sums of their parts cannot overflow.
        let all_left = left
            .values()
            .try_fold(Amount::ZERO, |sum, left| sum.checked_add(*left))
            .unwrap_or(Amount::MAX);
        let paid = Amount::new(terms.amount).saturating_sub(all_left);

        let mut json = format::terms(terms);
        json["id"] = json!(id);
        add_state(&mut json, &record.state);
        json["estimated_expiry"] = json!(expiry);
        json["payees"] = json!(left.len());
        json["paid"] = json!(paid);
        json["left"] = json!(all_left);
        if self.payees {
            let left: Map<_, _> = left
                .iter()
                .map(|(payee, left)| (format!("{payee:#x}"), json!(left)))
                .collect();
            json["allowances_left"] = left.into();
            let names: Map<_, _> = names
                .iter()
                .map(|(payee, name)| (format!("{payee:#x}"), json!(name.as_str())))
                .collect();
            json["names"] = names.into();
        }
        out.result(&json, || {
            let mut lines = vec![
                ("deposit", id.to_string()),
                ("state", state_text(&record.state, &token)),
            ];
            if let Some(expiry) = expiry {
                lines.push(("pays until", format!("{} (estimate)", show_time(expiry))));
            }
            lines.extend([
                ("payer", terms.payer.to_string()),
                ("signer", terms.signer.to_string()),
                ("lane", terms.lane.to_string()),
                ("amount", token.show_amount(Amount::new(terms.amount))),
                (
                    "min payout",
                    token.show_amount(Amount::new(terms.minPayout)),
                ),
                ("draw time", show_time(terms.drawTime)),
                ("redeem until", show_time(terms.redeemUntil)),
                ("payees", left.len().to_string()),
                ("paid", token.show_amount(paid)),
                ("left", token.show_amount(all_left)),
            ]);
            let mut text = fields(&lines);
            if self.payees {
                let name = |payee| names.get(payee).map(ToString::to_string);
                let rows: Vec<_> = left
                    .iter()
                    .map(|(payee, left)| {
                        let name = name(payee).unwrap_or_default();
                        vec![payee.to_string(), token.show_amount(*left), name]
                    })
                    .collect();
                text.push('\n');
                text.push_str(&table(&["payee", "left", "name"], &rows));
            }
            text
        })
    }
}
