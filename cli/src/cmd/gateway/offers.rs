//! The offers of a gateway: a file, or one price for every request.

use std::{fs, path::PathBuf};

use alloy::primitives::Address;
use cheque::payee::Payee;
use cheque_gateway::{
    ledger::Currency,
    offers::{Home, Offers, Token},
};
use clap::Args;
use eyre::{Result, WrapErr, ensure, eyre};

use crate::{amount::AmountText, opts::payee::PolicyOpts, token::token_at};

/// What a gateway sells, and for how much.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Offers")]
pub(super) struct OffersOpts {
    /// Sell by the prices in FILE, in TOML; SIGHUP reads it again
    ///
    /// docs/gateway.md has the form, with prices by path, by method of JSON-RPC, by size, time and units.
    #[arg(long, value_name = "FILE", required_unless_present = "price")]
    offers: Option<PathBuf>,

    /// Sell every request at this price, in the chain's coin or in --token
    #[arg(long, value_name = "AMOUNT", conflicts_with = "offers")]
    price: Option<AmountText>,

    /// Serve each client so many requests for nothing before it pays
    ///
    /// Clients are counted by network: 24 bits of an IPv4 address, 48 of an IPv6 address.
    #[arg(long, value_name = "REQUESTS", requires = "price")]
    first_free: Option<u32>,
}

impl OffersOpts {
    /// Reads the offers for a payee, and checks that the payee takes their tokens.
    pub(super) async fn read(&self, payee: &Payee, policy: &PolicyOpts) -> Result<Offers> {
        let offers = match &self.offers {
            Some(file) => {
                let text = fs::read_to_string(file)
                    .wrap_err_with(|| format!("cannot read the offers in {}", file.display()))?;
                let home = Home {
                    bank: *payee.reader().bank(),
                    min_payout_costs: payee.policy().min_payout_per_cost,
                };
                Offers::parse(&text, &home).wrap_err_with(|| file.display().to_string())?
            }
            None => self.uniform(payee, policy.token()).await?,
        };
        check(&offers, payee).await?;
        Ok(offers)
    }

    async fn uniform(&self, payee: &Payee, token: Address) -> Result<Offers> {
        let reader = payee.reader();
        let token = token_at(token, reader).await?;
        let price = self.price.as_ref();
        let price = price.ok_or_else(|| eyre!("the price is missing; name --price or --offers"))?;
        let price = price.in_units_of(&token).wrap_err("--price")?;
        ensure!(
            !price.is_zero(),
            "--price is zero; name a price, or sell routes for nothing with `free = true` in --offers"
        );
        let bank = reader.bank();
        let named = Token {
            name: token.symbol.clone(),
            currency: Currency {
                chain_id: bank.chain_id(),
                token: token.address,
            },
            bank: bank.address(),
            decimals: token.decimals,
            rate: None,
            exact: None,
        };
        Ok(Offers::uniform(named, price, self.first_free))
    }
}

/// Checks tokens against the payee and their contracts.
async fn check(offers: &Offers, payee: &Payee) -> Result<()> {
    let bank = payee.reader().bank();
    for token in offers.tokens() {
        let name = &token.name;
        ensure!(
            (token.currency.chain_id, token.bank) == (bank.chain_id(), bank.address()),
            "token {name} is paid at bank {} on chain {}, and the gateway's payee is at bank {} on chain {}; run a gateway for \
             each",
            token.bank,
            token.currency.chain_id,
            bank.address(),
            bank.chain_id()
        );
        let address = token.currency.token;
        ensure!(
            payee.policy().tokens.contains_key(&address),
            "the payee takes no payments in token {name}; name it with --token {address}, and its rate with tokens_per_coin here or with --tokens-per-coin"
        );
        let known = token_at(address, payee.reader()).await?;
        ensure!(
            known.decimals == token.decimals,
            "token {name} has {} decimals by its contract, not {}; correct decimals in the offers",
            known.decimals,
            token.decimals
        );
    }
    Ok(())
}
