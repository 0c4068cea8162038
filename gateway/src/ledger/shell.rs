//! The ledger: decisions upon a store, each with its batch durable before the answer.

use crate::ledger::{
    account::{AccountKey, Currencies},
    admission::{Credited, Decision, add, admit},
    book::Book,
    crediting::Judgement,
    fault::{LedgerFault, joined},
    judge::{Judge, Verdict},
    lookup::{Looked, Rules, Settings, look_up, look_up_credit, payer_of},
    payment::Payment,
    pipeline::{Begun, Pipeline},
    records::account::Sums,
    request::{Admission, Admitted, Ask, Outcome, Receipt, Refusal, Room, Terms},
    settlement::{Extended, extend, lose_deposit, renew, settle},
};
use cheque::{Amount, DepositId, Position, Proof, store::Store};
use std::{any::Any, collections::BTreeMap, fmt, sync::Arc};

/// The largest number of times that a decision is made again because records have changed.
const MAX_TRIES: usize = 64;

/// The function that tells a host's capacity for an account. May be called several times for one request.
pub type RoomFor = Arc<dyn Fn(&AccountKey) -> Room + Send + Sync>;

/// Sells answers for cheques: any order of N parallel payments buys exactly N answers, and a replay buys nothing.
///
/// All workers of a payee share one store, and each may serve any request. Cheap to clone. All durations are seconds.
///
/// The write of a call goes on if the caller drops its future. A request that was admitted unnoticed is released at the end
/// of its lease.
#[derive(Clone)]
pub struct Ledger {
    pub(super) shared: Arc<Shared>,
}

pub(super) struct Shared {
    pub(super) judge: Arc<dyn Judge>,
    pub(super) currencies: Currencies,
    pub(super) settings: Settings,
    pub(super) pipeline: Pipeline,
}

impl Shared {
    pub(super) fn rules(&self) -> Rules<'_> {
        Rules {
            banks: self.judge.banks(),
            currencies: &self.currencies,
            settings: &self.settings,
        }
    }
}

/// Hides the records, which are secret.
impl fmt::Debug for Ledger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ledger")
            .field("payee", &self.shared.judge.payee())
            .finish_non_exhaustive()
    }
}

type Holds = Vec<Box<dyn Any + Send>>;

/// The number of a proof, and the bytes of the position by which to judge it.
type Proofs = Vec<(usize, Option<Vec<u8>>)>;

/// What the first look at a payment wants.
enum Wanted<T> {
    Answer(T),
    /// The proofs to judge, each with the stored position of its deposit.
    Judge(Proofs),
    /// The lease of a reservation in the way has ended.
    Expired(crate::ledger::payment::PaymentId),
}

impl Ledger {
    /// Opens the ledger of the judge's payee in `store`, which must be the store of this payee alone: another one would
    /// credit every cheque a second time.
    pub fn new(
        store: Arc<dyn Store>,
        judge: Arc<dyn Judge>,
        currencies: Currencies,
        settings: Settings,
    ) -> Self {
        let pipeline = Pipeline::new(store);
        Self {
            shared: Arc::new(Shared {
                judge,
                currencies,
                settings,
                pipeline,
            }),
        }
    }

    /// Returns the currencies that count as equal.
    pub fn currencies(&self) -> &Currencies {
        &self.shared.currencies
    }

    /// Returns the settings.
    pub fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    /// Returns the sums of an account.
    ///
    /// # Errors
    ///
    /// Fails if the store cannot be read.
    pub async fn sums(&self, account: AccountKey) -> Result<Sums, LedgerFault> {
        let (sums, begun) = self
            .decide(move |book, _| Ok(book.account(&account)?.sums()))
            .await?;
        written(begun).await?;
        Ok(sums)
    }

    /// Credits the payment of a request, and reserves its price. An admission is durable: forward the request, then call
    /// [`Self::settle`].
    ///
    /// # Errors
    ///
    /// [`LedgerFault`] if nothing was decided; after a fault of the store the payment may be credited.
    pub async fn admit(
        &self,
        ask: &Ask,
        payment: &Payment,
        room: &RoomFor,
    ) -> Result<Admitted, LedgerFault> {
        let event = Arc::new((ask.clone(), payment.clone()));
        for _ in 0..MAX_TRIES {
            let looked = event.clone();
            let wanted = self.look(move |book, rules| {
                let (ask, payment) = &*looked;
                match look_up(book, rules, ask, payment)? {
                    Looked::Answer(answer) => Ok(Wanted::Answer(answer)),
                    Looked::Expired(holder) => Ok(Wanted::Expired(holder)),
                    Looked::Judge(looked) => {
                        let proofs = stored(book, rules, payment, &looked.proofs)?;
                        Ok(Wanted::Judge(proofs))
                    }
                }
            });
            let (wanted, begun) = wanted.await?;
            let proofs = match wanted {
                Wanted::Answer(answer) => match written(begun).await? {
                    true => return Ok(answer),
                    false => continue,
                },
                Wanted::Expired(holder) => {
                    self.release_expired(holder, ask.now).await?;
                    continue;
                }
                // The decision reads all records again.
                Wanted::Judge(proofs) => proofs,
            };
            let (judgements, holds) = self.judge(payment, proofs).await?;
            let (judged, room) = (event.clone(), room.clone());
            let decided = self.decide(move |book, rules| {
                let (ask, payment) = &*judged;
                admit(book, rules, (ask, payment), &judgements, &*room)
            });
            if let Some(admitted) = finish(decided.await?, holds).await? {
                return Ok(admitted);
            }
        }
        Err(LedgerFault::Contended(MAX_TRIES))
    }

    /// Credits a payment that buys no request. A payment that is shown again adds nothing, and is no error.
    ///
    /// # Errors
    ///
    /// As [`Self::admit`].
    pub async fn add(
        &self,
        ask: &Ask,
        payment: &Payment,
    ) -> Result<Result<Credited, Refusal>, LedgerFault> {
        let event = Arc::new((ask.clone(), payment.clone()));
        for _ in 0..MAX_TRIES {
            let looked = event.clone();
            let wanted = self.look(move |book, rules| {
                let (ask, payment) = &*looked;
                match look_up_credit(book, rules, ask, payment)? {
                    Err(refusal) => Ok(Wanted::Answer(Err(refusal))),
                    Ok(looked) => {
                        let proofs = stored(book, rules, payment, &looked.proofs)?;
                        Ok(Wanted::Judge(proofs))
                    }
                }
            });
            let (wanted, begun) = wanted.await?;
            let proofs = match wanted {
                Wanted::Answer(answer) => match written(begun).await? {
                    true => return Ok(answer),
                    false => continue,
                },
                Wanted::Expired(_) => continue,
                Wanted::Judge(proofs) => proofs,
            };
            let (judgements, holds) = self.judge(payment, proofs).await?;
            let judged = event.clone();
            let decided = self.decide(move |book, rules| {
                let (ask, payment) = &*judged;
                add(book, rules, (ask, payment), &judgements)
            });
            if let Some(added) = finish(decided.await?, holds).await? {
                return Ok(added);
            }
        }
        Err(LedgerFault::Contended(MAX_TRIES))
    }

    /// Ends a request by the upstream's outcome, and keeps `answer` for a client that lost it. `None`: the lease had ended
    /// and the reservation was released; nothing is charged.
    ///
    /// # Errors
    ///
    /// Fails if the store fails; call again then.
    pub async fn settle(
        &self,
        admission: &Admission,
        outcome: (Outcome, Terms),
        answer: Option<Vec<u8>>,
        now: u64,
    ) -> Result<Option<Receipt>, LedgerFault> {
        let (admission, answer) = (admission.clone(), answer.map(Arc::<[u8]>::from));
        self.repeat(move |book, rules| {
            settle(book, rules, &admission, outcome, answer.as_deref(), now)
        })
        .await
    }

    /// Prolongs the lease of an admission. `None`: it had ended, and the reservation was released.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn renew(
        &self,
        admission: &Admission,
        now: u64,
    ) -> Result<Option<Admission>, LedgerFault> {
        let admission = admission.clone();
        self.repeat(move |book, rules| renew(book, rules, &admission, now))
            .await
    }

    /// Reserves more of the account's balance for a request in progress, such as a stream.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn extend(
        &self,
        admission: &Admission,
        more: Amount,
    ) -> Result<Extended, LedgerFault> {
        let admission = admission.clone();
        self.repeat(move |book, _| extend(book, &admission, more))
            .await
    }

    /// Takes back what a deposit was credited, because a reorganisation has removed its opening. What was spent of it is a
    /// debt of the account. Returns the amount, in token units. A cheque of the deposit that is accepted later is credited
    /// with its whole total.
    ///
    /// # Errors
    ///
    /// Fails if the store fails.
    pub async fn lose_deposit(&self, id: DepositId) -> Result<Amount, LedgerFault> {
        self.repeat(move |book, _| lose_deposit(book, id)).await
    }

    /// Judges proofs in order, each by the position that the ones before have made.
    async fn judge(
        &self,
        payment: &Payment,
        proofs: Proofs,
    ) -> Result<(Vec<Judgement>, Holds), LedgerFault> {
        let mut positions: BTreeMap<DepositId, Position> = BTreeMap::new();
        let mut judgements = Vec::new();
        let mut holds = Vec::new();
        for (index, old) in proofs {
            let proof = &payment.proofs[index];
            let id = proof.deposit_id();
            if let Some(bytes) = &old
                && !positions.contains_key(&id)
            {
                positions.insert(id, Position::from_bytes(bytes)?);
            }
            let judging = self.shared.judge.judge(proof, positions.get(&id));
            let Verdict { judged, hold } = judging.await?;
            if let Ok(received) = &judged {
                positions.insert(id, received.position().clone());
            }
            holds.extend(hold);
            judgements.push(Judgement { index, old, judged });
        }
        Ok((judgements, holds))
    }

    /// Makes a decision and waits for its batch, again after a conflict.
    pub(super) async fn repeat<T: Send + 'static>(
        &self,
        decide: impl Fn(&mut Book<'_>, Rules<'_>) -> Result<T, LedgerFault> + Send + Sync + 'static,
    ) -> Result<T, LedgerFault> {
        let decide = Arc::new(decide);
        for _ in 0..MAX_TRIES {
            let again = decide.clone();
            let decided = self.decide(move |book, rules| again(book, rules)).await?;
            let (decision, begun) = decided;
            if let Some(decision) = finish((Decision::Done(decision), begun), Vec::new()).await? {
                return Ok(decision);
            }
        }
        Err(LedgerFault::Contended(MAX_TRIES))
    }

    /// Runs the first look at a payment. Only an answer is final.
    async fn look<T: Send + 'static>(
        &self,
        look: impl Fn(&mut Book<'_>, Rules<'_>) -> Result<Wanted<T>, LedgerFault> + Send + 'static,
    ) -> Result<(Wanted<T>, Begun), LedgerFault> {
        self.run(look, |wanted| matches!(wanted, Wanted::Answer(_)))
            .await
    }

    async fn decide<T: Send + 'static>(
        &self,
        decide: impl Fn(&mut Book<'_>, Rules<'_>) -> Result<T, LedgerFault> + Send + 'static,
    ) -> Result<(T, Begun), LedgerFault> {
        self.run(decide, |_| true).await
    }

    /// Runs a decision on a thread that may block.
    async fn run<T: Send + 'static>(
        &self,
        decide: impl Fn(&mut Book<'_>, Rules<'_>) -> Result<T, LedgerFault> + Send + 'static,
        is_final: impl Fn(&T) -> bool + Send + 'static,
    ) -> Result<(T, Begun), LedgerFault> {
        let shared = self.shared.clone();
        let work = move || {
            let payee = shared.judge.payee();
            let decide = |book: &mut Book<'_>| decide(book, shared.rules());
            shared.pipeline.decide(payee, decide, is_final)
        };
        joined(tokio::task::spawn_blocking(work).await)?
    }
}

/// Waits for the batch of a decision, and drops `holds` afterwards. Goes on if the caller drops the future. `None`: decide
/// again.
async fn finish<T>(
    (decision, begun): (Decision<T>, Begun),
    holds: Holds,
) -> Result<Option<T>, LedgerFault> {
    let writing = tokio::spawn(async move {
        let is_written = begun.finish().await;
        drop(holds);
        is_written
    });
    let is_written = joined(writing.await)??;
    match decision {
        Decision::Done(decision) if is_written => Ok(Some(decision)),
        Decision::Done(_) | Decision::Redo => Ok(None),
    }
}

/// Waits for a batch that changes nothing, of a decision that has read records of batches on their way.
async fn written(begun: Begun) -> Result<bool, LedgerFault> {
    Ok(begun.finish().await?)
}

/// Reads the stored positions by which proofs are to be judged.
fn stored(
    book: &mut Book<'_>,
    rules: Rules<'_>,
    payment: &Payment,
    proofs: &[usize],
) -> Result<Proofs, LedgerFault> {
    let read = |index: &usize| {
        let proof: &Proof = &payment.proofs[*index];
        let old = match payer_of(book, rules, proof)? {
            Some((bank, _)) => book.position_bytes(bank.address(), proof.deposit_id())?,
            None => None,
        };
        Ok((*index, old))
    };
    proofs.iter().map(read).collect()
}
