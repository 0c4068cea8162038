//! Upkeep of a running gateway: what follows from time and from the chain, not from requests.

use crate::{host::terms::terms_of, ledger::LedgerFault, seller::Seller, wire::PayeeTerms};
use cheque::{
    Bank, DepositId,
    payee::{HoldingQuery, HoldingState, PayeeService, PayeeServiceError},
};
use std::{collections::BTreeMap, pin::pin, time::Duration};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

/// The pause between two looks at leases, stored answers and lost deposits.
const SWEEP: Duration = Duration::from_secs(10);

/// The pause between two looks at the terms.
const TERMS: Duration = Duration::from_secs(30);

/// The pause between two looks for deposits whose ids are needed no more.
const PRUNE: Duration = Duration::from_secs(3_600);

/// The seconds for which the chain must have been without a deposit before its money is taken back. What a node says once is
/// no reason.
const LOST_AFTER: u64 = 60;

/// The deposits that are read at a time.
const PAGE: usize = 256;

/// The state of a deposit that a reorganisation has removed.
const NOT_ON_CHAIN: &str = "not_on_chain";

/// Does the upkeep of a gateway. Several workers of a store may each do it.
#[derive(Clone, Debug)]
pub struct Keeper {
    seller: Seller,
    payees: Vec<PayeeService>,
    pay_url: Option<String>,
    now: fn() -> u64,
}

#[derive(Debug, thiserror::Error)]
enum KeeperError {
    #[error(transparent)]
    Ledger(#[from] LedgerFault),
    #[error(transparent)]
    Payee(#[from] PayeeServiceError),
}

impl Keeper {
    /// Keeps a seller whose ledger judges by these payees. `pay_url` is where clients post proofs that buy no request; `now`
    /// is the clock, in seconds since 1970.
    pub const fn new(
        seller: Seller,
        payees: Vec<PayeeService>,
        pay_url: Option<String>,
        now: fn() -> u64,
    ) -> Self {
        Self {
            seller,
            payees,
            pay_url,
            now,
        }
    }

    /// Works until `stop` resolves. Logs errors, and tries again at the next look.
    pub async fn run(&self, stop: impl Future<Output = ()>) {
        let sweep = each(SWEEP, async || {
            if let Err(error) = self.sweep().await {
                warn!(event = "ledger_not_swept", reason = %error);
            }
        });
        let prune = each(PRUNE, async || {
            if let Err(error) = self.seller.ledger().prune_all().await {
                warn!(event = "ledger_not_pruned", reason = %error);
            }
        });
        let terms = each(TERMS, async || self.refresh_terms().await);
        let mut stop = pin!(stop);
        tokio::select! {
            () = &mut stop => {}
            () = sweep => {}
            () = prune => {}
            () = terms => {}
        }
    }

    /// Reads the terms of all tokens of the present offers. Keeps the old ones of a token while the chain cannot be read.
    pub async fn refresh_terms(&self) {
        let offers = self.seller.offers();
        let mut terms: BTreeMap<String, PayeeTerms> = BTreeMap::new();
        for token in offers.tokens() {
            let bank = Bank::new(token.currency.chain_id, token.bank);
            let mut payees = self.payees.iter().map(PayeeService::payee);
            let Some(payee) = payees.find(|payee| *payee.reader().bank() == bank) else {
                warn!(event = "token_without_payee", token = %token.name, bank = %token.bank);
                continue;
            };
            let max_unused = self.seller.ledger().settings().max_unused;
            let pay_url = self.pay_url.clone();
            payee.rates().refresh(payee.reader().provider()).await;
            let read = terms_of(payee, token.currency.token, max_unused, pay_url);
            let known = match read.await {
                Ok(Some(terms)) => Some(terms),
                Ok(None) => {
                    let fault = payee.rates().of(token.currency.token).err();
                    let reason = fault.map(|fault| fault.to_string());
                    let reason = reason
                        .as_deref()
                        .unwrap_or("the payee's policy does not take it");
                    warn!(event = "token_not_sold", token = %token.name, reason);
                    None
                }
                Err(error) => {
                    warn!(event = "terms_not_read", token = %token.name, reason = %error);
                    self.seller.terms().of(&token.name)
                }
            };
            if let Some(known) = known {
                terms.insert(token.name.clone(), known);
            }
        }
        self.seller.terms().set(terms);
    }

    async fn sweep(&self) -> Result<(), KeeperError> {
        let swept = self.seller.ledger().sweep((self.now)()).await?;
        if swept.released > 0 {
            warn!(
                event = "leases_ended",
                released = swept.released,
                "their worker has stopped; nothing is charged"
            );
        }
        for payee in &self.payees {
            self.take_back_lost(payee).await?;
        }
        Ok(())
    }

    /// Takes back what deposits were credited that the chain has lost.
    async fn take_back_lost(&self, payee: &PayeeService) -> Result<(), KeeperError> {
        let mut after: Option<DepositId> = None;
        loop {
            let query = HoldingQuery {
                state: Some(NOT_ON_CHAIN),
                after,
                max: PAGE,
            };
            let page = payee.status_page(&query).await?;
            for holding in &page.holdings {
                let HoldingState::NotOnChain { since } = holding.state else {
                    continue;
                };
                if since.saturating_add(LOST_AFTER) > (self.now)() {
                    continue;
                }
                let id = holding.position.deposit_id();
                let lost = self.seller.ledger().lose_deposit(id).await?;
                if !lost.is_zero() {
                    warn!(event = "deposit_lost", deposit = %id.0, units = %lost);
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => return Ok(()),
            }
        }
    }
}

/// Does `work` at once and then after each pause.
async fn each(pause: Duration, work: impl AsyncFn()) {
    let mut interval = interval(pause);
    interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        interval.tick().await;
        work().await;
    }
}
