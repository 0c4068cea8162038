//! One offer on the wire: a price in one token, with the terms of the payee.

use crate::{
    ledger::{ChequeState, Currency},
    offers::Tariff,
    wire::{
        mpp::{Intent, MppRequest},
        x402::Requirements,
    },
};
use cheque::{Address, Amount, Proof};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// The time that an x402 client may take to pay, in seconds. Cheques do not expire, authorizations of `exact` do.
const MAX_TIMEOUT: u64 = 300;

/// The payee's terms for deposits in one token, which a payer needs to open one. Amounts are decimal units of the token, times
/// seconds. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayeeTerms {
    /// The version of these terms: 1.
    pub version: String,
    /// The bank that holds the deposits.
    pub bank: Address,
    /// The hash of the bank's beacon, in hexadecimal without a prefix.
    pub beacon: String,
    /// The smallest payout that the payee takes now.
    pub least_payout: Amount,
    /// The largest deposit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_deposit: Option<Amount>,
    /// The longest time to the draw.
    pub horizon: u64,
    /// The time before the draw in which no payment counts.
    pub cutoff: u64,
    /// The chain's finality.
    pub finality: u64,
    /// The least time to redeem.
    pub window: u64,
    /// The largest number of unused payments of a deposit.
    pub in_flight: u64,
    /// The name of our short header, which the gateway takes in place of the protocol's.
    pub header: String,
    /// The URL to which a client posts proofs that only add money.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pay_url: Option<String>,
    /// The unit of a variable price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// The newest payment, for a payer that has lost records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cheque_state: Option<ShownState>,
}

/// The newest payment of a deposit on the wire. Plain data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ShownState {
    /// The newest cheque, and its newest step if one was shown, as text.
    pub proofs: Vec<String>,
    /// The account's balance, in decimal units of the token.
    pub balance: Amount,
}

impl ShownState {
    /// Makes the form on the wire.
    pub fn of(state: &ChequeState) -> Self {
        let mut proofs = vec![Proof::Cheque(state.deposit, state.newest).to_string()];
        let (k, x) = state.shown;
        if k > 0 {
            let deposit = state.deposit;
            proofs.push(Proof::Step { deposit, k, x }.to_string());
        }
        Self {
            proofs,
            balance: state.balance,
        }
    }
}

/// Makes the offers of x402 by the scheme `exact`.
pub(crate) fn exact_offers(tariff: &Tariff) -> impl Iterator<Item = Requirements> {
    tariff.exact().map(|(token, terms, amount)| {
        let extra = [
            ("assetTransferMethod", "eip3009"),
            ("name", &*terms.name),
            ("version", &*terms.version),
        ];
        let extra = extra.map(|(name, text)| (name.to_owned(), text.into()));
        Requirements {
            scheme: "exact".to_owned(),
            network: format!("eip155:{}", token.currency.chain_id),
            amount: amount.to_string(),
            asset: token.currency.token.to_checksum(None),
            pay_to: terms.pay_to.to_checksum(None),
            max_timeout_seconds: MAX_TIMEOUT,
            extra: Map::from_iter(extra),
        }
    })
}

/// A price in one token, on the terms of the payee. Plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WireOffer {
    /// The token and its chain.
    pub currency: Currency,
    /// The most that the request can cost, in units of the token.
    pub amount: Amount,
    /// The payee.
    pub pay_to: Address,
    /// The payee's terms.
    pub terms: PayeeTerms,
}

impl WireOffer {
    /// Makes the offer of x402.
    pub fn requirements(&self) -> Requirements {
        Requirements {
            scheme: "cheque".to_owned(),
            network: format!("eip155:{}", self.currency.chain_id),
            amount: self.amount.to_string(),
            asset: self.currency.token.to_checksum(None),
            pay_to: self.pay_to.to_checksum(None),
            max_timeout_seconds: MAX_TIMEOUT,
            extra: self.extra(),
        }
    }

    /// Makes the offer of MPP.
    pub fn mpp_request(&self, intent: Intent) -> MppRequest {
        let mut details = self.extra();
        details.insert("chainId".to_owned(), self.currency.chain_id.into());
        let unit = self.terms.unit.clone();
        MppRequest {
            amount: self.amount.to_string(),
            currency: self.currency.token.to_checksum(None),
            recipient: self.pay_to.to_checksum(None),
            unit_type: unit.filter(|_| intent == Intent::Session),
            method_details: details,
        }
    }

    fn extra(&self) -> Map<String, Value> {
        match serde_json::to_value(&self.terms) {
            Ok(Value::Object(extra)) => extra,
            // The terms are a struct with text keys.
            _ => Map::new(),
        }
    }
}
