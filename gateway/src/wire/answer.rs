//! Answers: offers, refusals and receipts, in the headers of all protocols.

use crate::{
    discovery::bazaar,
    ledger::{LedgerFault, Receipt, Refusal},
    offers::Tariff,
    wire::{
        BALANCE, CHARGED, PAYMENT_RECEIPT, PAYMENT_REQUIRED, PAYMENT_RESPONSE,
        encoding::json,
        key::offered,
        mpp::{Challenge, ChallengeEcho, Intent, MppReceipt},
        offer::{ShownState, WireOffer, exact_offers},
        problem::{Problem, Verdict, balance, of_fault, of_refusal, of_shown},
        shown::{Paying, Protocol, ShownError, payment},
        terms::TokenTerms,
        x402::{PaymentRequired, Resource, SettleResponse},
    },
};
use cheque::{Address, Amount};
use http::{
    HeaderMap, HeaderName, HeaderValue, StatusCode,
    header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde_json::Value;
use std::{
    fmt,
    time::{Duration, UNIX_EPOCH},
};

/// The life of a challenge, in seconds.
const CHALLENGE_LIFE: u64 = 3_600;

/// The seconds after which a client asks again for a request that no token buys at present.
const CLOSED_RETRY: u64 = 30;

/// What a gateway says on the wire.
pub struct Wire {
    /// The payee.
    pub payee: Address,
    /// The server's name in challenges.
    pub realm: String,
    /// The key of the server's challenges. All workers of a payee have the same.
    pub key: [u8; 32],
    /// The header in which clients of MPP send credentials, where `Authorization` is taken by something else.
    pub credential_header: Option<String>,
    /// The payee's terms for each token.
    pub terms: TokenTerms,
}

/// An answer of the gateway's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
}

/// Hides the key.
impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wire")
            .field("payee", &self.payee)
            .field("realm", &self.realm)
            .finish_non_exhaustive()
    }
}

impl Wire {
    /// Reads the payment of a request; `None`: the request has none.
    ///
    /// # Errors
    ///
    /// [`ShownError`] if it cannot be read, or is not of ours.
    pub fn payment(&self, headers: &HeaderMap, now: u64) -> Result<Option<Paying>, ShownError> {
        payment(headers, self.payee, &self.key, now)
    }

    /// Answers a request without a payment: all offers, in all protocols.
    pub fn required(&self, tariff: &Tariff, url: &str, now: u64) -> Reply {
        let offers = self.offers(tariff, None);
        if offers.is_empty() && tariff.exact().next().is_none() {
            return self.closed(now);
        }
        let verdict = Verdict {
            status: StatusCode::PAYMENT_REQUIRED,
            kind: "payment-required",
            retry_after: None,
        };
        let detail = "the request is sold; pay by one of the offers".to_owned();
        let problem = Problem::new(&verdict, "payment_required", detail);
        let error = "PAYMENT-SIGNATURE header is required".to_owned();
        self.reply(&verdict, &problem, Some((tariff, offers, error)), url, now)
    }

    /// Answers a request whose tokens all are without terms at present. Offers nothing, so that no client signs a payment.
    pub(crate) fn closed(&self, now: u64) -> Reply {
        let verdict = Verdict {
            status: StatusCode::SERVICE_UNAVAILABLE,
            kind: "payment-required",
            retry_after: Some(CLOSED_RETRY),
        };
        let detail = "the token cannot be taken now, because the cost of redeeming in it is unknown; send the same request again later".to_owned();
        let problem = Problem::new(&verdict, "no_terms", detail);
        self.reply(&verdict, &problem, None, "", now)
    }

    /// Answers a payment that the ledger refuses. Of a stale payment, the offer in its token shows the newest cheque.
    pub fn refused(&self, tariff: &Tariff, refusal: &Refusal, url: &str, now: u64) -> Reply {
        let verdict = of_refusal(refusal);
        let mut problem = Problem::new(&verdict, refusal.code(), refusal.to_string());
        problem.balance = balance(refusal);
        let offers = self.offers(tariff, Some(refusal));
        let error = format!("invalid_cheque_evm_{}", refusal.code());
        self.reply(&verdict, &problem, Some((tariff, offers, error)), url, now)
    }

    /// Answers a payment that cannot be read.
    pub fn unreadable(&self, tariff: &Tariff, error: &ShownError, url: &str, now: u64) -> Reply {
        let verdict = of_shown(error);
        let problem = Problem::new(&verdict, error.code(), error.to_string());
        let offers = self.offers(tariff, None);
        let code = format!("invalid_cheque_evm_{}", error.code());
        self.reply(&verdict, &problem, Some((tariff, offers, code)), url, now)
    }

    /// Answers a payment that could not be judged. Offers nothing, so that no client signs a second payment.
    pub fn unavailable(&self, fault: &LedgerFault, now: u64) -> Reply {
        let verdict = of_fault(fault);
        // The fault's own words are for the operator: they name the store and its nodes.
        let detail = "payments cannot be judged now; send the same payment again".to_owned();
        let problem = Problem::new(&verdict, "unavailable", detail);
        self.reply(&verdict, &problem, None, "", now)
    }

    /// Answers a payment by `exact` that is not good, with a reason of x402.
    pub(crate) fn refused_exact(
        &self,
        tariff: &Tariff,
        reason: &str,
        url: &str,
        now: u64,
    ) -> Reply {
        let verdict = Verdict {
            status: StatusCode::PAYMENT_REQUIRED,
            kind: "verification-failed",
            retry_after: None,
        };
        let detail =
            format!("the payment by exact is not good: {reason}; pay by one of the offers");
        let problem = Problem::new(&verdict, "exact_refused", detail);
        let offers = self.offers(tariff, None);
        let error = reason.to_owned();
        self.reply(&verdict, &problem, Some((tariff, offers, error)), url, now)
    }

    /// Answers a top-up that the ledger refuses.
    pub fn refused_top_up(&self, refusal: &Refusal) -> Reply {
        let verdict = of_refusal(refusal);
        let mut problem = Problem::new(&verdict, refusal.code(), refusal.to_string());
        problem.balance = balance(refusal);
        self.reply(&verdict, &problem, None, "", 0)
    }

    /// Answers a top-up with a line that is no proof.
    pub fn unreadable_top_up(&self, error: cheque::WireError) -> Reply {
        let error = ShownError::Native(error.into());
        let verdict = of_shown(&error);
        let problem = Problem::new(&verdict, error.code(), error.to_string());
        self.reply(&verdict, &problem, None, "", 0)
    }

    /// Answers a top-up: 204 with the balance.
    pub fn topped_up(&self, balance: Amount) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        set(&mut headers, BALANCE, &balance.to_string());
        Reply {
            status: StatusCode::NO_CONTENT,
            headers,
            body: Vec::new(),
        }
    }

    /// Sets the receipt of an answer: balance and charge always, and the protocol's own receipt if the request was charged and
    /// `status` is one of success.
    pub fn receipt(
        &self,
        headers: &mut HeaderMap,
        receipt: &Receipt,
        protocol: &Protocol,
        status: StatusCode,
        now: u64,
    ) {
        set(headers, BALANCE, &receipt.balance.to_string());
        set(headers, CHARGED, &receipt.charged.to_string());
        headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
        // 101 is the success of a WebSocket.
        let is_success = status.is_success() || status == StatusCode::SWITCHING_PROTOCOLS;
        if !receipt.released && is_success {
            self.own_receipt(headers, receipt, protocol, now);
        }
    }

    /// Sets the receipt of the payment's own protocol.
    pub(crate) fn own_receipt(
        &self,
        headers: &mut HeaderMap,
        receipt: &Receipt,
        protocol: &Protocol,
        now: u64,
    ) {
        match protocol {
            Protocol::X402 => set(headers, PAYMENT_RESPONSE, &settled(receipt).encode()),
            Protocol::Mpp(_) => {
                let encoded = stream_receipt(receipt, protocol, now).encode();
                set(headers, PAYMENT_RECEIPT, &encoded);
            }
            Protocol::Native => {}
        }
    }

    fn offers(&self, tariff: &Tariff, refusal: Option<&Refusal>) -> Vec<WireOffer> {
        let offer = |(token, amount): (&crate::offers::Token, Amount)| {
            let mut terms = self.terms.of(&token.name)?;
            terms.unit = tariff.unit().map(str::to_owned);
            if let Some(Refusal::Stale(state)) = refusal
                && state.currency == token.currency
            {
                terms.cheque_state = Some(ShownState::of(state));
            }
            Some(WireOffer {
                currency: token.currency,
                amount,
                pay_to: self.payee,
                terms,
            })
        };
        tariff.prices().filter_map(offer).collect()
    }

    fn reply(
        &self,
        verdict: &Verdict,
        problem: &Problem,
        offers: Option<(&Tariff, Vec<WireOffer>, String)>,
        url: &str,
        now: u64,
    ) -> Reply {
        let mut headers = HeaderMap::new();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        let json_type = HeaderValue::from_static("application/problem+json");
        headers.insert(CONTENT_TYPE, json_type);
        if let Some(seconds) = verdict.retry_after {
            set(&mut headers, RETRY_AFTER, &seconds.to_string());
        }
        if let Some(balance) = problem.balance {
            set(&mut headers, BALANCE, &balance.to_string());
        }
        if let (StatusCode::PAYMENT_REQUIRED, Some((tariff, offers, error))) =
            (verdict.status, offers)
        {
            let accepts = offers.iter().map(WireOffer::requirements);
            let accepts = accepts.chain(exact_offers(tariff));
            let required = PaymentRequired {
                x402_version: 2,
                error: Some(error),
                resource: Resource {
                    url: url.to_owned(),
                    description: tariff.description().map(str::to_owned),
                },
                accepts: accepts.collect(),
                extensions: bazaar(tariff).into_iter().chain([offered()]).collect(),
            };
            set(&mut headers, PAYMENT_REQUIRED, &required.encode());
            for offer in &offers {
                let challenge = self.challenge(tariff, offer, now);
                if let Ok(value) = HeaderValue::from_str(&challenge.to_string()) {
                    headers.append(WWW_AUTHENTICATE, value);
                }
            }
        }
        Reply {
            status: verdict.status,
            headers,
            body: json(problem),
        }
    }

    fn challenge(&self, tariff: &Tariff, offer: &WireOffer, now: u64) -> Challenge {
        let intent = match tariff.is_variable() {
            true => Intent::Session,
            false => Intent::Charge,
        };
        let mut echo = ChallengeEcho {
            id: String::new(),
            realm: self.realm.clone(),
            method: "cheque".to_owned(),
            intent: intent.name().to_owned(),
            request: offer.mpp_request(intent).encode(),
            expires: Some(rfc3339(now.saturating_add(CHALLENGE_LIFE))),
            digest: None,
            opaque: None,
        };
        echo.id = echo.compute_id(&self.key);
        Challenge {
            echo,
            header: self.credential_header.clone(),
        }
    }
}

/// The receipt of x402. The payer is the deposit's signer, to whom the balance belongs.
fn settled(receipt: &Receipt) -> SettleResponse {
    let payment = receipt.payment;
    let extra = [
        ("deposit", payment.deposit().0.to_string()),
        ("total", payment.total().to_string()),
        ("charged", receipt.charged.to_string()),
        ("balance", receipt.balance.to_string()),
        ("payment", payment.to_string()),
    ];
    SettleResponse {
        success: true,
        transaction: String::new(),
        network: format!("eip155:{}", receipt.account.currency.chain_id),
        payer: receipt.account.signer.to_checksum(None),
        amount: receipt.charged.to_string(),
        extra: extra
            .into_iter()
            .map(|(name, text)| (name.to_owned(), Value::String(text)))
            .collect(),
    }
}

/// The receipt of MPP, which streams of all protocols have at their end. Other protocols have no challenge.
pub(crate) fn stream_receipt(receipt: &Receipt, protocol: &Protocol, now: u64) -> MppReceipt {
    let payment = receipt.payment;
    let (intent, challenge_id) = match protocol {
        Protocol::Mpp(challenge) => (challenge.intent.clone(), challenge.id.clone()),
        Protocol::X402 | Protocol::Native => (Intent::Session.name().to_owned(), String::new()),
    };
    MppReceipt {
        method: "cheque".to_owned(),
        intent,
        status: "success".to_owned(),
        timestamp: rfc3339(now),
        reference: payment.to_string(),
        challenge_id,
        channel_id: payment.deposit().0.to_string(),
        accepted_cumulative: payment.total().to_string(),
        // Another deposit may have brought a part of the balance.
        spent: payment.total().saturating_sub(receipt.balance).to_string(),
        charged: receipt.charged.to_string(),
        balance: receipt.balance.to_string(),
        chain_id: receipt.account.currency.chain_id,
    }
}

fn rfc3339(seconds: u64) -> String {
    // humantime writes years up to 9999.
    let seconds = seconds.min(253_402_300_799);
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_secs(seconds)).to_string()
}

/// Sets a header to a text of our own, which is printable ASCII.
fn set(headers: &mut HeaderMap, name: HeaderName, text: &str) {
    if let Ok(value) = HeaderValue::from_str(text) {
        headers.insert(name, value);
    }
}
