//! `cheque holdings`: a payee's deposits and cheques.

use std::collections::BTreeMap;

use alloy::primitives::Address;
use cheque::{
    format_tokens,
    payee::{PayeeService, PayeeSettings},
};
use clap::Args;
use eyre::Result;
use serde_json::json;

use crate::{
    format,
    holding::Holding,
    odds::Odds,
    opts::{
        beacon::BeaconOpts, chain::ChainOpts, payee::PayeeOpts, store::StoreOpts,
        wallet::WalletOpts,
    },
    output::{Output, table},
    token::Tokens,
};

/// List a payee's cheques: state, chance, payout and expected value
///
/// Reads the chain and sends nothing. The totals cover undrawn deposits. The table has the first digits of each id, which every
/// command takes for the id, and amounts rounded down; --json has all digits, and what was credited. While `cheque payee run` has the store open,
/// use its `GET /deposits`, which lists the same.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque holdings --payee 0xd8dA...
  cheque holdings --account shop --json")]
pub(crate) struct HoldingsArgs {
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

impl HoldingsArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let address = self.payee.address(&self.wallet)?;
        let payee = self
            .store
            .payee(address, self.chain.reader().await?, &self.relays)
            .await?;
        let settings = PayeeSettings::new(payee.policy(), payee.reader().profile());
        let service = PayeeService::new(payee, settings);
        service.observe().await?;
        let mut lines = Vec::new();
        let mut totals: BTreeMap<Address, Odds> = BTreeMap::new();
        for status in service.status().await? {
            let line = Holding::new(status);
            let address = line.position().deposit().token;
            if let Some(odds) = line.odds() {
                let total = totals.entry(address).or_default();
                *total = total.and(odds);
            }
            lines.push(line);
        }
        lines.sort_by_key(|line| {
            (
                line.position().deposit().drawTime,
                line.position().deposit_id(),
            )
        });
        let sums: Vec<_> = totals
            .iter()
            .map(|(token, odds)| {
                json!({
                    "token": token,
                    "expected": odds.expected.to_string(),
                    "variance": odds.variance.to_string(),
                    "deviation": odds.deviation().to_string(),
                })
            })
            .collect();
        let json = json!({
            "payee": address,
            "deposits": lines.iter().map(Holding::json).collect::<Vec<_>>(),
            "to_be_drawn": sums,
        });
        let tokens = lines.iter().map(|line| line.position().deposit().token);
        let tokens = Tokens::read(service.payee().reader(), tokens).await?;
        out.result(&json, || {
            if lines.is_empty() {
                return format!("{address} holds no cheques of this bank in the store");
            }
            let shown = |line: &Holding| line.row(&tokens.get(line.position().deposit().token));
            let rows: Vec<_> = lines.iter().map(shown).collect();
            let mut text = String::new();
            // The head has no reason below it.
            let reasons = [String::new()]
                .into_iter()
                .chain(lines.iter().map(Holding::reason));
            for (row, reason) in table(&Holding::HEAD, &rows).lines().zip(reasons) {
                text.push_str(&format!("{row}\n"));
                if !reason.is_empty() {
                    text.push_str(&format!("  {reason}\n"));
                }
            }
            for (address, odds) in &totals {
                let token = tokens.get(*address);
                let (decimals, unit) = token.unit_for(odds.expected);
                text.push_str(&format!(
                    "to be drawn: {} expected, standard deviation {}, in {}\n",
                    format_tokens(odds.expected, decimals),
                    format_tokens(odds.deviation(), decimals),
                    format::short_unit(unit)
                ));
            }
            text
        })
    }
}
