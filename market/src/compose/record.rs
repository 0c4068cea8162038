//! Stored record of a composer: one version byte, then one RLP list.
//!
//! The buckets of the fee follow from the spent allowances and are not stored.

use super::{
    composer::Composer,
    meter::Meter,
    types::{Allowance, Member, OpenDeposit, Plan},
};
use crate::id::PeerId;
use alloy_rlp::{Bytes, RlpDecodable, RlpEncodable};
use std::collections::BTreeMap;

const VERSION: u8 = 1;

#[derive(RlpEncodable, RlpDecodable)]
struct Record {
    round: u64,
    waiting_until_s: u64,
    /// At most one plan.
    plans: Vec<PlanRecord>,
    futures: Vec<FutureRecord>,
    deposits: Vec<DepositRecord>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct PlanRecord {
    since_s: u64,
    members: Vec<MemberRecord>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct MemberRecord {
    provider: Bytes,
    future: u128,
    carried: u128,
    amount: u128,
}

#[derive(RlpEncodable, RlpDecodable)]
struct FutureRecord {
    provider: Bytes,
    future: u128,
}

#[derive(RlpEncodable, RlpDecodable)]
struct DepositRecord {
    id: [u8; 32],
    end_s: u64,
    fee: u128,
    allowances: Vec<AllowanceRecord>,
}

#[derive(RlpEncodable, RlpDecodable)]
struct AllowanceRecord {
    provider: Bytes,
    total: u128,
    spent: u128,
    unusable: bool,
}

/// An error of reading a stored composer. State about money is never guessed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum LoadComposerError {
    /// A later version of this library wrote the record.
    #[error(
        "the stored composer has version {found} and this program reads version {VERSION}; use a newer program"
    )]
    Version {
        /// Version of the record.
        found: u8,
    },
    /// The record is damaged.
    #[error("the stored composer of {length} bytes is damaged; restore the store from a backup")]
    Damaged {
        /// Length of the record.
        length: usize,
    },
}

impl<Id: PeerId> Composer<Id> {
    /// Returns the bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let members = |plan: &Plan<Id>| -> Vec<MemberRecord> {
            let members = plan.members.iter();
            members
                .map(|(id, member)| MemberRecord {
                    provider: bytes(id),
                    future: member.future,
                    carried: member.carried,
                    amount: member.amount,
                })
                .collect()
        };
        let plan = self.plan.iter().map(|plan| PlanRecord {
            since_s: plan.since_s,
            members: members(plan),
        });
        let futures = self.futures.iter().map(|(id, &future)| FutureRecord {
            provider: bytes(id),
            future,
        });
        let record = Record {
            round: self.round,
            waiting_until_s: self.waiting_until_s,
            plans: plan.collect(),
            futures: futures.collect(),
            deposits: self.deposits.iter().map(deposit_record).collect(),
        };
        let mut bytes = vec![VERSION];
        bytes.append(&mut alloy_rlp::encode(&record));
        bytes
    }

    /// Reads the bytes of [`Composer::to_bytes`], which must come from the host's own store.
    ///
    /// # Errors
    ///
    /// [`LoadComposerError`] for another version or damaged bytes.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, LoadComposerError> {
        let length = bytes.len();
        let damaged = LoadComposerError::Damaged { length };
        let (&found, rest) = bytes.split_first().ok_or(damaged)?;
        if found != VERSION {
            return Err(LoadComposerError::Version { found });
        }
        let record = alloy_rlp::decode_exact::<Record>(rest).map_err(|_| damaged)?;
        load(record).ok_or(damaged)
    }
}

fn deposit_record<Id: PeerId>(open: &OpenDeposit<Id>) -> DepositRecord {
    let allowances = open.allowances.iter();
    DepositRecord {
        id: open.id,
        end_s: open.end_s,
        fee: open.meter.fee(),
        allowances: allowances
            .map(|(id, allowance)| AllowanceRecord {
                provider: bytes(id),
                total: allowance.total,
                spent: allowance.spent,
                unusable: allowance.unusable,
            })
            .collect(),
    }
}

fn load<Id: PeerId>(record: Record) -> Option<Composer<Id>> {
    if record.plans.len() > 1 {
        return None;
    }
    let plan = record.plans.into_iter().next();
    Some(Composer {
        round: record.round,
        waiting_until_s: record.waiting_until_s,
        plan: match plan {
            Some(plan) => Some(load_plan(plan)?),
            None => None,
        },
        futures: by_provider(
            record
                .futures
                .into_iter()
                .map(|of| (of.provider, of.future)),
        )?,
        deposits: record
            .deposits
            .into_iter()
            .map(load_deposit)
            .collect::<Option<_>>()?,
        revision: 0,
    })
}

fn load_plan<Id: PeerId>(plan: PlanRecord) -> Option<Plan<Id>> {
    let members = plan.members.into_iter().map(|of| {
        let member = Member {
            future: of.future,
            carried: of.carried,
            amount: of.amount,
        };
        (of.provider, member)
    });
    let members: BTreeMap<Id, Member> = by_provider(members)?;
    sum(members.values().map(|member| member.amount))?;
    Some(Plan {
        since_s: plan.since_s,
        members,
    })
}

fn load_deposit<Id: PeerId>(deposit: DepositRecord) -> Option<OpenDeposit<Id>> {
    let allowances = deposit.allowances.into_iter().map(|of| {
        let allowance = Allowance {
            total: of.total,
            spent: of.spent,
            unusable: of.unusable,
        };
        (of.provider, allowance)
    });
    let allowances: BTreeMap<Id, Allowance> = by_provider(allowances)?;
    let size = sum(allowances.values().map(|allowance| allowance.total))?;
    let mut meter = Meter::new(deposit.fee, size);
    for allowance in allowances.values() {
        if allowance.spent > allowance.total {
            return None;
        }
        meter.cover(allowance.total, 0, allowance.spent);
    }
    Some(OpenDeposit {
        id: deposit.id,
        end_s: deposit.end_s,
        meter,
        allowances,
    })
}

/// Collects rows by provider. `None` for an invalid or repeated id.
fn by_provider<Id: PeerId, V>(
    rows: impl ExactSizeIterator<Item = (Bytes, V)>,
) -> Option<BTreeMap<Id, V>> {
    let count = rows.len();
    let id = |(provider, value): (Bytes, V)| Some((Id::try_from(provider.as_ref()).ok()?, value));
    let found: BTreeMap<Id, V> = rows.map(id).collect::<Option<_>>()?;
    (found.len() == count).then_some(found)
}

fn sum(mut amounts: impl Iterator<Item = u128>) -> Option<u128> {
    amounts.try_fold(0u128, |sum, amount| sum.checked_add(amount))
}

fn bytes(id: &impl PeerId) -> Bytes {
    Bytes::copy_from_slice(id.as_ref())
}
