//! Stored records of a payer: its deposits.

use crate::{
    protocol::{amount::Amount, draw::Seed, terms::Deposit},
    store::codec::{RecordError, decode, encode},
};
use alloy_primitives::{Address, B256};
use alloy_rlp::{RlpDecodable, RlpEncodable};

/// State of a deposit, in the usual order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum DepositState {
    /// Stored, sent, or mined and not yet confirmed.
    Pending,
    /// Confirmed: cheques can be written.
    Active,
    /// Too close to the draw for another cheque; the beacon's round is not yet verified.
    PastCutoff,
    /// Drawn. The range of `winner`'s newest cheque holds the roll; `None`: no payee's does. The result is final.
    Drawn {
        /// The payee that can redeem.
        winner: Option<Address>,
    },
    /// Won and paid out.
    Redeemed {
        /// The winner.
        payee: Address,
        /// The payout, in token units.
        payout: Amount,
    },
    /// The redemption window is over; the payer can reclaim the money.
    Reclaimable,
    /// The payer got the money back.
    Reclaimed,
    /// Never opened, and too late to open. The money never left the payer.
    NeverOpened,
}

impl DepositState {
    /// The names of all states, in the usual order.
    pub const NAMES: [&'static str; 8] = [
        "pending",
        "active",
        "past_cutoff",
        "drawn",
        "redeemed",
        "reclaimable",
        "reclaimed",
        "never_opened",
    ];

    /// Stable name in lower case, for files and programs.
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Active => "active",
            Self::PastCutoff => "past_cutoff",
            Self::Drawn { .. } => "drawn",
            Self::Redeemed { .. } => "redeemed",
            Self::Reclaimable => "reclaimable",
            Self::Reclaimed => "reclaimed",
            Self::NeverOpened => "never_opened",
        }
    }
}

/// One deposit of a payer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DepositRecord {
    /// The terms.
    pub deposit: Deposit,
    /// The number of the newest block when the record was made: the deposit cannot have been opened before.
    pub since: u64,
    /// The time when the record was made, in seconds since 1970.
    pub created: u64,
    /// A block that held the deposit. `None` until the deposit is confirmed.
    pub open_at: Option<OpenAt>,
    /// The result of the draw, once its round is verified.
    pub draw: Option<DrawResult>,
    /// State at the last poll.
    pub state: DepositState,
    /// True if the state is final: no reorganisation can change it.
    pub settled: bool,
}

/// A block at whose end a deposit was open. Proves the opening as long as the block is in the chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenAt {
    /// The block's number.
    pub block: u64,
    /// The block's hash.
    pub hash: B256,
}

/// The result of a draw. No reorganisation changes it: the seed comes from a verified round of the beacon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DrawResult {
    /// The seed of the draw time.
    pub seed: Seed,
    /// The payee whose newest cheque wins. `None`: no payee's does.
    pub winner: Option<Address>,
}

impl DepositRecord {
    /// Encodes the record for the store.
    pub fn to_bytes(&self) -> Vec<u8> {
        let terms = &self.deposit;
        let (state, payee, payout) = match self.state {
            DepositState::Pending => (0, Address::ZERO, Amount::ZERO),
            DepositState::Active => (1, Address::ZERO, Amount::ZERO),
            DepositState::PastCutoff => (2, Address::ZERO, Amount::ZERO),
            DepositState::Drawn { winner: None } => (3, Address::ZERO, Amount::ZERO),
            DepositState::Drawn {
                winner: Some(payee),
            } => (4, payee, Amount::ZERO),
            DepositState::Redeemed { payee, payout } => (5, payee, payout),
            DepositState::Reclaimable => (6, Address::ZERO, Amount::ZERO),
            DepositState::Reclaimed => (7, Address::ZERO, Amount::ZERO),
            DepositState::NeverOpened => (8, Address::ZERO, Amount::ZERO),
        };
        let open_at = self.open_at;
        let draw = self.draw;
        encode(&DepositRow {
            payer: terms.payer,
            signer: terms.signer,
            token: terms.token,
            lane: terms.lane,
            amount: terms.amount,
            min_payout: terms.minPayout,
            draw_time: terms.drawTime,
            redeem_until: terms.redeemUntil,
            root: terms.root,
            since: self.since,
            created: self.created,
            open_block: open_at.map_or(0, |open| open.block),
            open_hash: open_at.map_or(B256::ZERO, |open| open.hash),
            is_drawn: draw.is_some(),
            seed: draw.map_or(B256::ZERO, |draw| draw.seed.0),
            winner: draw.and_then(|draw| draw.winner).unwrap_or_default(),
            state,
            payee,
            payout: payout.get(),
            settled: self.settled,
        })
    }

    /// Decodes a stored record.
    ///
    /// # Errors
    ///
    /// [`RecordError`] if the value is empty, damaged, or of a newer version.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, RecordError> {
        let row: DepositRow = decode(bytes)?;
        let state = match row.state {
            0 => DepositState::Pending,
            1 => DepositState::Active,
            2 => DepositState::PastCutoff,
            3 => DepositState::Drawn { winner: None },
            4 => DepositState::Drawn {
                winner: Some(row.payee),
            },
            5 => DepositState::Redeemed {
                payee: row.payee,
                payout: Amount::new(row.payout),
            },
            6 => DepositState::Reclaimable,
            7 => DepositState::Reclaimed,
            8 => DepositState::NeverOpened,
            _ => return Err(alloy_rlp::Error::Custom("unknown state").into()),
        };
        let deposit = Deposit {
            payer: row.payer,
            signer: row.signer,
            token: row.token,
            lane: row.lane,
            amount: row.amount,
            minPayout: row.min_payout,
            drawTime: row.draw_time,
            redeemUntil: row.redeem_until,
            root: row.root,
        };
        Ok(Self {
            deposit,
            since: row.since,
            created: row.created,
            // No block has the hash zero.
            open_at: (!row.open_hash.is_zero()).then_some(OpenAt {
                block: row.open_block,
                hash: row.open_hash,
            }),
            draw: row.is_drawn.then(|| DrawResult {
                seed: Seed(row.seed),
                // No tree has a leaf for the address zero.
                winner: (!row.winner.is_zero()).then_some(row.winner),
            }),
            state,
            settled: row.settled,
        })
    }
}

#[derive(RlpEncodable, RlpDecodable)]
struct DepositRow {
    payer: Address,
    signer: Address,
    token: Address,
    lane: u64,
    amount: u128,
    min_payout: u128,
    draw_time: u64,
    redeem_until: u64,
    root: B256,
    since: u64,
    created: u64,
    open_block: u64,
    open_hash: B256,
    is_drawn: bool,
    seed: B256,
    winner: Address,
    state: u8,
    payee: Address,
    payout: u128,
    settled: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(state: DepositState) -> DepositRecord {
        DepositRecord {
            deposit: Deposit {
                payer: Address::repeat_byte(1),
                signer: Address::repeat_byte(2),
                token: Address::repeat_byte(3),
                lane: 4,
                amount: u128::MAX,
                minPayout: 6,
                drawTime: 7,
                redeemUntil: u64::MAX,
                root: B256::repeat_byte(9),
            },
            since: 5,
            created: 1_800_000_000,
            open_at: None,
            draw: None,
            state,
            settled: true,
        }
    }

    #[test]
    fn round_trips_opening_and_draw() {
        let open = OpenAt {
            block: 0,
            hash: B256::repeat_byte(1),
        };
        let seed = Seed(B256::ZERO);
        let payee = Address::repeat_byte(7);
        for winner in [None, Some(payee)] {
            let full = DepositRecord {
                open_at: Some(open),
                draw: Some(DrawResult { seed, winner }),
                ..record(DepositState::Reclaimable)
            };
            assert_eq!(DepositRecord::from_bytes(&full.to_bytes()), Ok(full));
        }
    }

    #[test]
    fn round_trips_every_state_of_a_deposit() {
        let payee = Address::repeat_byte(7);
        for state in [
            DepositState::Pending,
            DepositState::Active,
            DepositState::PastCutoff,
            DepositState::Drawn { winner: None },
            DepositState::Drawn {
                winner: Some(payee),
            },
            DepositState::Redeemed {
                payee,
                payout: Amount::MAX,
            },
            DepositState::Reclaimable,
            DepositState::Reclaimed,
            DepositState::NeverOpened,
        ] {
            let bytes = record(state).to_bytes();
            assert_eq!(DepositRecord::from_bytes(&bytes), Ok(record(state)));
        }
    }

    #[test]
    fn rejects_empty_newer_cut_and_extended_values() {
        let good = record(DepositState::NeverOpened).to_bytes();
        assert_eq!(DepositRecord::from_bytes(&[]), Err(RecordError::Empty));
        let mut newer = good.clone();
        newer[0] = 2;
        assert_eq!(
            DepositRecord::from_bytes(&newer),
            Err(RecordError::Version { found: 2 })
        );
        let longer = [&good[..], &[0]].concat();
        for bad in [&good[..good.len() - 1], &longer] {
            assert!(matches!(
                DepositRecord::from_bytes(bad),
                Err(RecordError::Damaged(_))
            ));
        }
    }
}
