//! Composing deposits, one after the other.

use super::{
    meter::Meter,
    share::{Claim, divide},
};
use crate::id::NodeId;
use std::{
    collections::{BTreeMap, BTreeSet},
    num::{NonZeroU64, NonZeroU128},
};

/// How long to wait for more nodes to choose from, in seconds.
const RETRY_PRIORS_S: u64 = 20;
/// How long to wait after a deposit that could not be opened, in seconds.
const RETRY_FAILED_S: u64 = 30 * 60;
/// How long opening a deposit may take, in seconds.
const CREATION_S: u64 = 5 * 60;
/// How many blocks before a deposit stops taking payments the next is due.
const EARLY_BLOCKS: u64 = 100;

/// Composes the deposits of one payer in one token; see the [module](super).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composer<Id> {
    /// The number of the last composition.
    pub(super) round: u64,
    pub(super) waiting_until_s: u64,
    pub(super) plan: Option<Plan<Id>>,
    pub(super) futures: BTreeMap<Id, u128>,
    /// In the order in which they were opened.
    pub(super) deposits: Vec<OpenDeposit<Id>>,
    /// Counts the changes that make quotes stale. Not stored, as no quote is.
    pub(super) revision: u64,
}

/// A composition whose deposit is not known to be open.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Plan<Id> {
    pub(super) since_s: u64,
    pub(super) members: BTreeMap<Id, Member>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Member {
    /// The future credit that the composition answers.
    pub(super) future: u128,
    /// What of it is carried over to the next.
    pub(super) carried: u128,
    pub(super) amount: u128,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OpenDeposit<Id> {
    pub(super) id: [u8; 32],
    pub(super) end_block: u64,
    pub(super) meter: Meter,
    pub(super) allowances: BTreeMap<Id, Allowance>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Allowance {
    pub(super) total: u128,
    pub(super) spent: u128,
    /// Nothing more can be paid from it.
    pub(super) closed: bool,
}

impl Allowance {
    pub(super) const fn remain(&self) -> u128 {
        if self.closed {
            return 0;
        }
        self.total.saturating_sub(self.spent)
    }
}

/// A deposit to be opened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Composition<Id> {
    /// Its number, to be given back to [`Composer::opened`] or [`Composer::failed`].
    pub round: u64,
    /// The allowances in token units, none of them 0. Their sum is exactly the size that was asked for.
    pub allowances: BTreeMap<Id, u128>,
}

/// What a new deposit changes for nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Changes<Id> {
    /// Who has an allowance in it, and how much, in token units.
    pub granted: BTreeMap<Id, u128>,
    /// Who had an allowance in the deposit before and has none in this one.
    pub dropped: BTreeSet<Id>,
}

/// Why the next deposit should be composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Due {
    /// There is no deposit.
    First,
    /// The fee of the newest is all charged.
    Charged,
    /// The newest takes payments only a little longer.
    NearEnd {
        /// How many blocks longer.
        blocks: u64,
    },
}

/// What can be paid to a node, in token units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Credit {
    /// What is left of its allowances in older deposits.
    pub old_remain: u128,
    /// Its allowance in the newest deposit.
    pub new_total: u128,
    /// What is left of that.
    pub new_remain: u128,
    /// Its future credit: what counts for the next deposit.
    pub future: u128,
}

/// Why no deposit was composed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ComposeError {
    /// There are too few nodes to try. This is remembered until it is time to try again.
    #[error(
        "the prior weights come to {sum}, and it takes {threshold}: find more nodes, and try again at {retry_at_s} s"
    )]
    PriorsTooSmall {
        /// The sum of all prior weights.
        sum: u128,
        /// The least sum.
        threshold: u64,
        /// When to try again: 20 s later.
        retry_at_s: u64,
    },
    /// The last attempt failed, and it is too early for another.
    #[error("the last attempt failed, and it is {now_s} s: try again at {until_s} s")]
    Waiting {
        /// The time.
        now_s: u64,
        /// When to try again.
        until_s: u64,
    },
    /// A deposit was composed, and what became of it is not known yet.
    #[error(
        "the deposit of round {round} is being opened: report what became of it, or try again at {until_s} s"
    )]
    Creating {
        /// Its number.
        round: u64,
        /// When it is given up: 5 min to be opened, and 30 min after that.
        until_s: u64,
    },
}

/// Why a report about a deposit was refused. Nothing changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum OpenedError {
    /// It is not about the composition that is being opened.
    #[error(
        "the report is about round {found}, and {expected:?} is being opened: report each round once, before composing the next"
    )]
    WrongRound {
        /// What was reported.
        found: u64,
        /// What is being opened, if anything is.
        expected: Option<u64>,
    },
    /// A deposit of this id is known.
    #[error("the deposit is known already: report each once")]
    Known,
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

impl<Id: NodeId> Composer<Id> {
    /// Nothing paid, and no deposit.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether and why to compose the next deposit, if the newest block is `head`. `None` while one is being opened or it
    /// is too early for another attempt.
    pub fn due(&self, head: u64, now_s: u64) -> Option<Due> {
        if self.may_compose(now_s).is_err() {
            return None;
        }
        let Some(newest) = self.deposits.last() else {
            return Some(Due::First);
        };
        let blocks = newest.end_block.saturating_sub(head);
        if blocks <= EARLY_BLOCKS {
            return Some(Due::NearEnd { blocks });
        }
        newest.meter.is_full().then_some(Due::Charged)
    }

    /// Composes a deposit of `size` token units for `candidates` with the weights that `prior` gives. `threshold` is the
    /// least sum of weights.
    ///
    /// Open the deposit and report what became of it. Whether one is [due](Self::due) is not checked, nor whether the
    /// money is there.
    ///
    /// # Errors
    ///
    /// [`ComposeError`]
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

    /// The deposit of a composition is open: payments can be made from it as long as the newest block is below
    /// `end_block`. `fee` is what it cost to open, in token units.
    ///
    /// Can be called until the next deposit is composed, even after opening took too long.
    ///
    /// # Errors
    ///
    /// [`OpenedError`]
    pub fn opened(
        &mut self,
        round: u64,
        deposit: [u8; 32],
        fee: u128,
        end_block: u64,
    ) -> Result<Changes<Id>, OpenedError> {
        self.check_round(round)?;
        if self.deposits.iter().any(|open| open.id == deposit) {
            return Err(OpenedError::Known);
        }
        let Some(plan) = self.plan.take() else {
            return Err(self.wrong_round(round));
        };
        self.settle_futures(&plan);
        let granted = granted(&plan.members);
        let before = self.deposits.last();
        let dropped = before.into_iter().flat_map(|open| open.allowances.keys());
        let dropped = dropped.filter(|id| !granted.contains_key(*id)).cloned();
        let dropped = dropped.collect();

        let allowance = |(id, &total): (&Id, &u128)| {
            let unspent = Allowance {
                total,
                spent: 0,
                closed: false,
            };
            (id.clone(), unspent)
        };
        self.deposits.push(OpenDeposit {
            id: deposit,
            end_block,
            meter: Meter::new(fee, granted.values().sum()),
            allowances: granted.iter().map(allowance).collect(),
        });
        self.waiting_until_s = 0;
        self.revision += 1;
        Ok(Changes { granted, dropped })
    }

    /// The deposit of a composition was not and will not be opened. The next attempt is due in 30 min.
    ///
    /// # Errors
    ///
    /// [`OpenedError::WrongRound`]
    pub fn failed(&mut self, round: u64, now_s: u64) -> Result<(), OpenedError> {
        self.check_round(round)?;
        self.plan = None;
        self.waiting_until_s = now_s.saturating_add(RETRY_FAILED_S);
        Ok(())
    }

    /// Forgets deposits from which nothing can be paid any more, except the newest.
    pub fn prune(&mut self, head: u64) {
        let newest = self.deposits.last().map(|open| open.id);
        self.deposits
            .retain(|open| head < open.end_block || Some(open.id) == newest);
        self.revision += 1;
    }

    /// Nothing more can be paid to a node from a deposit, because no payment could be made from it there.
    pub fn close(&mut self, deposit: &[u8; 32], node: &Id) {
        let open = self.deposits.iter_mut().find(|open| open.id == *deposit);
        if let Some(allowance) = open.and_then(|open| open.allowances.get_mut(node)) {
            allowance.closed = true;
            self.revision += 1;
        }
    }

    /// What can be paid to a node if the newest block is `head`.
    pub fn credit(&self, node: &Id, head: u64) -> Credit {
        let mut credit = Credit {
            future: self.future(node),
            ..Credit::default()
        };
        let last = self.deposits.len().saturating_sub(1);
        for (position, open) in self.deposits.iter().enumerate() {
            let Some(allowance) = open.allowances.get(node) else {
                continue;
            };
            let remain = match head < open.end_block {
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

    /// What of the newest deposit's fee has been charged, and all of it, in token units.
    pub fn charged(&self) -> Option<(u128, u128)> {
        let meter = &self.deposits.last()?.meter;
        Some((meter.charged(), meter.fee()))
    }

    pub(super) fn future(&self, node: &Id) -> u128 {
        self.futures.get(node).copied().unwrap_or_default()
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

    /// Takes the answered credit away, and leaves what was paid since.
    fn settle_futures(&mut self, plan: &Plan<Id>) {
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

fn granted<Id: NodeId>(members: &BTreeMap<Id, Member>) -> BTreeMap<Id, u128> {
    let amounts = members.iter().map(|(id, member)| (id, member.amount));
    amounts
        .filter(|(_, amount)| *amount > 0)
        .map(|(id, amount)| (id.clone(), amount))
        .collect()
}
