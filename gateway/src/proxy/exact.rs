//! Sales by the scheme `exact`: verify, serve, settle, then answer.
//!
//! Nothing of an answer leaves before its transfer was made, and nothing is transferred for an answer that failed.

use super::{
    body::{ProxyBody, full},
    claims::Exact,
    reply::{busy, no_capacity, problem, response},
    sale::{Whole, whole},
    selling::failure,
    shared::{HEAD_BYTES, Shared},
    stored::{self, Lost},
};
use crate::{
    capacity::Metered,
    exact::{ExactPayment, Facilitator, Settled, Verified},
    forward::{Answer, Origin, Paid},
    ledger::{AccountKey, Currency, Holding, LedgerFault, Standing},
    seller::request::Offer,
    wire::{PAYMENT_RESPONSE, to_header},
};
use http::{
    HeaderValue, Response, StatusCode,
    header::{CACHE_CONTROL, RETRY_AFTER},
};
use http_body::Body;
use http_body_util::BodyExt;
use std::{pin::pin, sync::Arc, time::Duration};
use tokio::{sync::oneshot, time::sleep};
use tracing::{error, warn};

/// A lease is renewed this long before its end.
const RENEW_BEFORE: u64 = 10;

/// A request with a payment by `exact`.
pub(super) struct ExactSale {
    pub(super) shared: Arc<Shared>,
    pub(super) offer: Offer,
    pub(super) payment: ExactPayment,
}

type Reply = Response<ProxyBody>;

/// The attempts to have a transfer made.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Turn {
    First,
    /// Behind one whose outcome is unknown.
    Later,
}

impl ExactSale {
    /// Serves the sale in a task of its own: the upstream's outcome counts, not the client's connection.
    pub(super) async fn start(self, request: Whole, origin: Origin) -> Reply {
        let (tell, told) = oneshot::channel();
        let sales = self.shared.sales.clone();
        sales.spawn(async move {
            let reply = match self.shared.exact.get() {
                Some(exact) => self.run(exact, request, &origin).await,
                None => self.refused("unsupported_scheme"),
            };
            let _ = tell.send(reply);
        });
        told.await.unwrap_or_else(|_| {
            let detail = "the gateway failed; send the same payment again";
            problem(StatusCode::INTERNAL_SERVER_ERROR, "internal", detail)
        })
    }

    async fn run(&self, exact: &Exact, request: Whole, origin: &Origin) -> Reply {
        let Some(_claim) = exact.claim(self.payment.paid.id) else {
            return in_progress(1);
        };
        match self.serve(exact, request, origin).await {
            Ok(reply) => reply,
            Err(fault) => {
                let now = self.now();
                response(self.shared.seller.unavailable(&fault, now))
            }
        }
    }

    async fn serve(
        &self,
        exact: &Exact,
        request: Whole,
        origin: &Origin,
    ) -> Result<Reply, LedgerFault> {
        let (ledger, paid) = (self.shared.seller.ledger(), self.payment.paid);
        let standing = ledger.authorization(paid, self.now()).await?;
        match standing {
            Standing::New => {}
            Standing::Unsettled { answer } => {
                let kept = match stored::decode(&answer, self.shared.budget.share(None)) {
                    Ok(kept) => kept,
                    // Later there may be memory for it.
                    Err(Lost::Busy) => return Ok(busy()),
                    Err(lost) => lost.reply(),
                };
                return match ledger.reserve_authorization(paid, self.now()).await? {
                    Ok(holding) => {
                        self.settle(&exact.facilitator, (holding, Turn::Later), &answer, kept)
                            .await
                    }
                    Err(standing) => Ok(self.known(standing)),
                };
            }
            known => return Ok(self.known(known)),
        }
        let payment = &self.payment;
        let (payload, offer) = (&payment.payload, &payment.requirements);
        let verified = exact.facilitator.verify(payload, offer, payment.payer);
        match verified.await {
            Verified::Valid => {}
            Verified::Invalid(reason) => return Ok(self.refused(&reason)),
            Verified::Unknown(reason) => {
                warn!(payment = %payment.name(), %reason, "the facilitator did not verify a payment");
                let detail = "the facilitator does not answer; send the same payment again";
                let status = StatusCode::SERVICE_UNAVAILABLE;
                return Ok(again(status, "facilitator_unavailable", detail, 5));
            }
        }
        match ledger.reserve_authorization(paid, self.now()).await? {
            Ok(holding) => self.enter(exact, holding, request, origin).await,
            Err(standing) => Ok(self.known(standing)),
        }
    }

    /// Waits for capacity, and forwards the request. Without capacity the authorization is free again.
    async fn enter(
        &self,
        exact: &Exact,
        mut holding: Holding,
        request: Whole,
        origin: &Origin,
    ) -> Result<Reply, LedgerFault> {
        let capacity = &self.shared.settings.capacity;
        let held = HEAD_BYTES.saturating_add(request.1.len() as u64);
        let account = self.account();
        let entering = capacity.enter(&account, self.offer.work(), held, self.payment.amount);
        let ticket = match self.holding(&mut holding, entering).await {
            Ok(ticket) => ticket,
            Err(refusal) => {
                self.release(&holding).await?;
                return Ok(no_capacity(&refusal));
            }
        };
        let reply = self.forward(exact, holding, request, origin).await?;
        Ok(match reply.body().size_hint().exact() {
            Some(bytes) => {
                ticket.give_back(bytes);
                reply
            }
            None => reply.map(|body| Metered::new(body, ticket).boxed_unsync()),
        })
    }

    async fn forward(
        &self,
        exact: &Exact,
        mut holding: Holding,
        request: Whole,
        origin: &Origin,
    ) -> Result<Reply, LedgerFault> {
        let paid = Paid {
            payer: self.payment.payer,
            payment: self.payment.name(),
            reserved: self.payment.amount,
        };
        let sending = self
            .shared
            .upstream
            .send(whole(request), origin, Some(&paid));
        let Answer { response, .. } = match self.holding(&mut holding, sending).await {
            Ok(answer) => answer,
            Err(error) => {
                self.release(&holding).await?;
                return Ok(failure(&error));
            }
        };
        let (head, body) = response.into_parts();
        if head.status.as_u16() >= 400 {
            self.release(&holding).await?;
            return Ok(Response::from_parts(head, body.boxed_unsync()));
        }
        let max = self.shared.settings.max_stored as u64;
        let is_small = body.size_hint().exact().is_some_and(|length| length <= max);
        if !is_small {
            // The upstream waits: nothing of the body is read before the transfer.
            let answer = Response::from_parts(head, body.boxed_unsync());
            let turn = (holding, Turn::First);
            return self.settle(&exact.facilitator, turn, &[], answer).await;
        }
        let bytes = match self.holding(&mut holding, body.collect()).await {
            Ok(collected) => collected.to_bytes(),
            Err(error) => {
                self.release(&holding).await?;
                return Ok(failure(&error));
            }
        };
        let kept = stored::encode(head.status, &head.headers, &bytes);
        let answer = Response::from_parts(head, full(bytes));
        self.settle(&exact.facilitator, (holding, Turn::First), &kept, answer)
            .await
    }

    /// Has the transfer made, and hands out the answer.
    async fn settle(
        &self,
        facilitator: &Facilitator,
        (holding, turn): (Holding, Turn),
        kept: &[u8],
        answer: Reply,
    ) -> Result<Reply, LedgerFault> {
        let (ledger, payment) = (self.shared.seller.ledger(), &self.payment);
        let settling = ledger.settle_authorization(&holding, kept, self.now());
        let Some(holding) = settling.await? else {
            return Ok(in_progress(1));
        };
        let (payload, offer) = (&payment.payload, &payment.requirements);
        match facilitator.settle(payload, offer, payment.payer).await {
            Settled::Made(receipt) => {
                // Without this record the same payment is settled again, and the token refuses that.
                let ended = ledger
                    .end_authorization(&holding, &receipt, self.now())
                    .await;
                if let Err(fault) = ended {
                    error!(payment = %payment.name(), %fault, "a settled payment was not recorded");
                }
                Ok(with_receipt(answer, &receipt))
            }
            // The turn before may have made the transfer, whose repetition the token refuses. The record stays, and nobody asks
            // the client for other money.
            Settled::Refused(reason) if turn == Turn::Later => {
                error!(payment = %payment.name(), %reason, "a transfer may be made without an answer; look for it on the chain");
                let detail = "the transfer may have been made before; look for it on the chain before you pay again";
                let left = holding.lease_until().saturating_sub(self.now()).max(1);
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Ok(again(status, "settlement_unknown", detail, left))
            }
            Settled::Refused(reason) => {
                warn!(payment = %payment.name(), %reason, "the facilitator did not settle a payment");
                self.release(&holding).await?;
                Ok(self.refused(&reason))
            }
            Settled::Unknown(reason) => {
                error!(payment = %payment.name(), %reason, "the outcome of a settlement is unknown");
                let detail =
                    "the outcome of the settlement is unknown; send the same payment again";
                let left = holding.lease_until().saturating_sub(self.now()).max(1);
                let status = StatusCode::SERVICE_UNAVAILABLE;
                Ok(again(status, "settlement_unknown", detail, left))
            }
        }
    }

    /// Does `work`, and renews the lease meanwhile.
    async fn holding<T>(&self, holding: &mut Holding, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        let ledger = self.shared.seller.ledger();
        loop {
            let until_end = holding.lease_until().saturating_sub(self.now());
            let pause = Duration::from_secs(until_end.saturating_sub(RENEW_BEFORE).max(1));
            tokio::select! {
                biased;
                done = &mut work => return done,
                () = sleep(pause) => match ledger.renew_authorization(holding, self.now()).await {
                    Ok(Some(renewed)) => *holding = renewed,
                    // The settlement finds it out.
                    Ok(None) => {}
                    Err(fault) => warn!(%fault, "a lease was not renewed"),
                }
            }
        }
    }

    async fn release(&self, holding: &Holding) -> Result<(), LedgerFault> {
        self.shared
            .seller
            .ledger()
            .release_authorization(holding)
            .await
    }

    /// Answers a payment that is in use, or has been used.
    fn known(&self, standing: Standing) -> Reply {
        match standing {
            Standing::InProgress { retry_after } => in_progress(retry_after),
            Standing::Bought { answer, receipt } => {
                match stored::decode(&answer, self.shared.budget.share(None)) {
                    Ok(answer) => with_receipt(answer, &receipt),
                    Err(lost) => lost.reply(),
                }
            }
            // Another worker settles it at the moment.
            Standing::New | Standing::Unsettled { .. } => in_progress(1),
            Standing::Used => self.refused("invalid_transaction_state"),
        }
    }

    fn refused(&self, reason: &str) -> Reply {
        let seller = &self.shared.seller;
        response(seller.refuse_exact(&self.offer, reason, self.now()))
    }

    fn account(&self) -> AccountKey {
        let offer = &self.payment.requirements;
        let chain_id = offer.network.strip_prefix("eip155:");
        AccountKey {
            signer: self.payment.payer,
            currency: Currency {
                chain_id: chain_id.and_then(|id| id.parse().ok()).unwrap_or_default(),
                token: offer.asset.parse().unwrap_or_default(),
            },
        }
    }

    fn now(&self) -> u64 {
        (self.shared.settings.now)()
    }
}

fn with_receipt(mut answer: Reply, receipt: &str) -> Reply {
    let headers = answer.headers_mut();
    headers.append(CACHE_CONTROL, HeaderValue::from_static("private"));
    if let Ok(value) = HeaderValue::try_from(to_header(receipt)) {
        headers.insert(PAYMENT_RESPONSE, value);
    }
    answer
}

fn in_progress(retry_after: u64) -> Reply {
    let detail = "the payment is in use; send the same payment again";
    again(StatusCode::CONFLICT, "in_progress", detail, retry_after)
}

/// Asks the client to send the same payment again.
fn again(status: StatusCode, code: &str, detail: &str, retry_after: u64) -> Reply {
    let mut reply = problem(status, code, detail);
    reply.headers_mut().insert(RETRY_AFTER, retry_after.into());
    reply
}
