//! The gateway's own document, `/.well-known/cheque.json`.

use crate::{
    offers::{ListedRoute, Offers},
    wire::{PayeeTerms, Wire},
};
use cheque::Address;
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// The document of a gateway, for payers before their first deposit. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct WellKnown {
    /// The version of this form: 1.
    pub version: u32,
    /// The payee.
    pub payee: Address,
    /// The URL to which a client posts proofs that only add money.
    pub pay_url: String,
    /// The banks whose deposits pay.
    pub banks: BTreeSet<ListedBank>,
    /// The tokens by their names.
    pub tokens: BTreeMap<String, ListedToken>,
    /// The payee's terms by the name of the token, as in offers.
    pub policy: BTreeMap<String, PayeeTerms>,
    /// The routes in the order in which they take requests.
    pub prices: Vec<ListedRoute>,
}

/// A bank. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct ListedBank {
    /// The chain, in CAIP-2.
    pub network: String,
    /// The bank.
    pub bank: Address,
}

/// A token. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ListedToken {
    /// The chain, in CAIP-2.
    pub network: String,
    /// The token; the native coin is the zero address.
    pub asset: Address,
    /// The token's decimals.
    pub decimals: u8,
}

impl WellKnown {
    /// Makes the document. `pay_url` counts where the terms name none.
    pub fn of(offers: &Offers, wire: &Wire, pay_url: String) -> Self {
        let network = |chain_id: u64| format!("eip155:{chain_id}");
        // A token without terms is not offered, so it is not listed either.
        let policy: BTreeMap<_, _> = offers
            .tokens()
            .filter_map(|token| Some((token.name.clone(), wire.terms.of(&token.name)?)))
            .collect();
        let tokens = || {
            let all = offers.tokens();
            all.filter(|token| policy.contains_key(&token.name))
        };
        let mut own = policy.values().filter_map(|terms| terms.pay_url.clone());
        let pay_url = own.next().unwrap_or(pay_url);
        let mut prices = offers.routes();
        for route in &mut prices {
            route.prices.retain(|token, _| policy.contains_key(token));
        }
        Self {
            version: 1,
            payee: wire.payee,
            pay_url,
            banks: tokens()
                .map(|token| ListedBank {
                    network: network(token.currency.chain_id),
                    bank: token.bank,
                })
                .collect(),
            tokens: tokens()
                .map(|token| {
                    let listed = ListedToken {
                        network: network(token.currency.chain_id),
                        asset: token.currency.token,
                        decimals: token.decimals,
                    };
                    (token.name.clone(), listed)
                })
                .collect(),
            prices,
            policy,
        }
    }
}
