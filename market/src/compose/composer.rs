//! Composition of deposits.

use super::{
    error::{ComposeError, OpenedError},
    meter::Meter,
    share::{Claim, divide},
    types::{Allowance, Changes, Composition, Credit, Due, Member, OpenDeposit, Plan},
};
use crate::id::PeerId;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::{NonZeroU64, NonZeroU128},
};

/// Waiting time for more candidates, in seconds.
const RETRY_PRIORS_S: u64 = 20;
/// Waiting time after a deposit that could not be opened, in seconds.
const RETRY_FAILED_S: u64 = 30 * 60;
/// Maximum time of opening a deposit, in seconds.
const CREATION_S: u64 = 5 * 60;
/// Time before a deposit's last payment at which the next deposit is due, in seconds.
const EARLY_S: u64 = 20 * 60;

/// Composes the deposits of one payer in one token; see the [module](super).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composer<Id> {
    /// Number of the last composition.
    pub(super) round: u64,
    pub(super) waiting_until_s: u64,
    pub(super) plan: Option<Plan<Id>>,
    pub(super) futures: BTreeMap<Id, u128>,
    /// Deposits in the order of opening.
    pub(super) deposits: Vec<OpenDeposit<Id>>,
    /// Count of changes, which make quotes stale. Neither the count nor quotes are stored.
    pub(super) revision: u64,
}

impl<Id> Default for Composer<Id> {
    fn default() -> Self {
        Self {
            round: 0,
            waiting_until_s: 0,
            plan: None,
            futures: BTreeMap::new(),
            deposits: Vec::new(),
            revision: 0,
        }
    }
}

impl<Id: PeerId> Composer<Id> {
    /// Returns a composer without payments and deposits.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the reason for composing the next deposit at `now_s`. `None` if no deposit is due, a deposit is being
    /// opened, or another attempt would be too early.
    pub fn due(&self, now_s: u64) -> Option<Due> {
        if self.may_compose(now_s).is_err() {
            return None;
        }
        let Some(newest) = self.deposits.last() else {
            return Some(Due::First);
        };
        let left_s = newest.end_s.saturating_sub(now_s);
        if left_s <= EARLY_S {
            return Some(Due::NearEnd { left_s });
        }
        newest.meter.is_full().then_some(Due::Charged)
    }

    /// Composes a deposit of `size` token units for `candidates` with the weights of `prior`. `threshold` is the
    /// minimum sum of weights.
    ///
    /// Open the deposit and report the outcome. Does not check that a deposit is [due](Self::due), nor that the money
    /// is available.
    ///
    /// # Errors
    ///
    /// [`ComposeError`] if the weights are too small, another attempt is too early, or a deposit is being opened.
    pub fn compose(
        &mut self,
        size: NonZeroU128,
        threshold: NonZeroU64,
        candidates: impl IntoIterator<Item = Id>,
        mut prior: impl FnMut(&Id) -> u64,
        now_s: u64,
    ) -> Result<Composition<Id>, ComposeError> {
        self.may_compose(now_s)?;
        let candidates: BTreeSet<Id> = candidates.into_iter().collect();
        let claim = |id: &Id| Claim {
            future: self.future(id),
            prior: prior(id),
        };
        let claims: Vec<Claim> = candidates.iter().map(claim).collect();
        let sum = claims.iter().map(|claim| u128::from(claim.prior)).sum();
        let shares = divide(size.get(), &claims).filter(|_| sum >= threshold.get().into());
        let Some(shares) = shares else {
            let retry_at_s = now_s.saturating_add(RETRY_PRIORS_S);
            self.waiting_until_s = retry_at_s;
            return Err(ComposeError::PriorsTooSmall {
                sum,
                threshold: threshold.get(),
                retry_at_s,
            });
        };

        let member = |(claim, &amount): (&Claim, &u128)| Member {
            future: claim.future,
            carried: match shares.all_served {
                true => 0,
                false => claim.future.saturating_sub(amount) / 4,
            },
            amount,
        };
        let members = claims.iter().zip(&shares.amounts).map(member);
        let members: BTreeMap<Id, Member> = candidates.into_iter().zip(members).collect();
        let allowances = granted(&members);
        self.round = self.round.saturating_add(1);
        self.plan = Some(Plan {
            since_s: now_s,
            members,
        });
        Ok(Composition {
            round: self.round,
            allowances,
        })
    }

    /// Reports that the deposit of a composition is open. Payments can be made from the deposit before `end_s`. `fee`
    /// is the cost of opening, in token units.
    ///
    /// May be called until the next deposit is composed, even after opening took too long.
    ///
    /// # Errors
    ///
    /// [`OpenedError`] for another round or a deposit that is open already.
    pub fn opened(
        &mut self,
        round: u64,
        deposit: [u8; 32],
        fee: u128,
        end_s: u64,
    ) -> Result<Changes<Id>, OpenedError> {
        self.check_round(round)?;
        if self.deposits.iter().any(|open| open.id == deposit) {
            return Err(OpenedError::AlreadyOpen);
        }
        let Some(plan) = self.plan.take() else {
            return Err(self.wrong_round(round));
        };
        self.subtract_served(&plan);
        let granted = granted(&plan.members);
        let before = self.deposits.last();
        let dropped = before.into_iter().flat_map(|open| open.allowances.keys());
        let dropped = dropped.filter(|id| !granted.contains_key(*id)).cloned();
        let dropped = dropped.collect();

        let allowance = |(id, &total): (&Id, &u128)| {
            let unspent = Allowance {
                total,
                spent: 0,
                unusable: false,
            };
            (id.clone(), unspent)
        };
        self.deposits.push(OpenDeposit {
            id: deposit,
            end_s,
            meter: Meter::new(fee, granted.values().sum()),
            allowances: granted.iter().map(allowance).collect(),
        });
        self.waiting_until_s = 0;
        self.revision += 1;
        Ok(Changes { granted, dropped })
    }

    /// Reports that the deposit of a composition will never be open. The next attempt is due in 30 min.
    ///
    /// # Errors
    ///
    /// [`OpenedError::WrongRound`].
    pub fn failed(&mut self, round: u64, now_s: u64) -> Result<(), OpenedError> {
        self.check_round(round)?;
        self.plan = None;
        self.waiting_until_s = now_s.saturating_add(RETRY_FAILED_S);
        Ok(())
    }

    /// Removes deposits that take no more payments, except the newest.
    pub fn prune(&mut self, now_s: u64) {
        let newest = self.deposits.last().map(|open| open.id);
        self.deposits
            .retain(|open| now_s < open.end_s || Some(open.id) == newest);
        self.revision += 1;
    }

    /// Stops all further payments to a provider from a deposit, after a payment turned out to be impossible.
    pub fn mark_unusable(&mut self, deposit: &[u8; 32], provider: &Id) {
        let open = self.deposits.iter_mut().find(|open| open.id == *deposit);
        if let Some(allowance) = open.and_then(|open| open.allowances.get_mut(provider)) {
            allowance.unusable = true;
            self.revision += 1;
        }
    }

    /// Returns the credit of a provider at `now_s`.
    pub fn credit(&self, provider: &Id, now_s: u64) -> Credit {
        let mut credit = Credit {
            future: self.future(provider),
            ..Credit::default()
        };
        let last = self.deposits.len().saturating_sub(1);
        for (position, open) in self.deposits.iter().enumerate() {
            let Some(allowance) = open.allowances.get(provider) else {
                continue;
            };
            let remain = match now_s < open.end_s {
                true => allowance.remain(),
                false => 0,
            };
            if position == last {
                credit.new_total = allowance.total;
                credit.new_remain = remain;
            } else {
                credit.old_remain = credit.old_remain.saturating_add(remain);
            }
        }
        credit
    }

    /// Returns the charged part of the newest deposit's fee, and the whole fee, in token units.
    pub fn charged(&self) -> Option<(u128, u128)> {
        let meter = &self.deposits.last()?.meter;
        Some((meter.charged(), meter.fee()))
    }

    pub(super) fn future(&self, provider: &Id) -> u128 {
        self.futures.get(provider).copied().unwrap_or_default()
    }

    fn may_compose(&self, now_s: u64) -> Result<(), ComposeError> {
        if let Some(plan) = &self.plan {
            let until_s = plan.since_s.saturating_add(CREATION_S + RETRY_FAILED_S);
            if now_s < until_s {
                let round = self.round;
                return Err(ComposeError::Creating { round, until_s });
            }
        }
        let until_s = self.waiting_until_s;
        if now_s < until_s {
            return Err(ComposeError::Waiting { now_s, until_s });
        }
        Ok(())
    }

    fn check_round(&self, round: u64) -> Result<(), OpenedError> {
        if self.plan.is_none() || round != self.round {
            return Err(self.wrong_round(round));
        }
        Ok(())
    }

    fn wrong_round(&self, found: u64) -> OpenedError {
        let expected = self.plan.as_ref().map(|_| self.round);
        OpenedError::WrongRound { found, expected }
    }

    /// Subtracts the served credit, and keeps the credit of later payments.
    fn subtract_served(&mut self, plan: &Plan<Id>) {
        for (id, future) in &mut self.futures {
            *future = match plan.members.get(id) {
                Some(member) => future
                    .saturating_sub(member.future)
                    .saturating_add(member.carried),
                None => *future / 4,
            };
        }
        self.futures.retain(|_, future| *future > 0);
    }
}

fn granted<Id: PeerId>(members: &BTreeMap<Id, Member>) -> BTreeMap<Id, u128> {
    let amounts = members.iter().map(|(id, member)| (id, member.amount));
    amounts
        .filter(|(_, amount)| *amount > 0)
        .map(|(id, amount)| (id.clone(), amount))
        .collect()
}
