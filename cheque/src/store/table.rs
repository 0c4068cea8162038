//! The tables of a store, and the bound on their keys.

/// The longest key in bytes, for every store.
pub const MAX_KEY: usize = 1024;

/// A table of a store. The same key in two tables names two records.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Table {
    /// A payer's deposits.
    Deposits,
    /// A payer's allowance lists, one per deposit.
    Trees,
    /// A payer's accounts, one per deposit and payee.
    Accounts,
    /// A payee's positions, one per bank, deposit and payee.
    Positions,
    /// Transactions that may have been sent.
    Outbox,
    /// Records of the application under keys of its own, written together with others of the store.
    App,
    /// Signatures of the beacon's rounds, one per beacon and draw time. Public, and kept so that no relay is needed later.
    Seeds,
    /// A payer's answers to payments that callers have named, one per bank and name, kept for some days.
    Receipts,
    /// Notes that hold in this store only, such as an unfinished restore or the last block read. Not records, so
    /// backups leave them out and [`Self::ALL`] does not list them.
    Marks,
}

impl Table {
    /// All tables with records, in the order of backups.
    pub const ALL: [Self; 8] = [
        Self::Deposits,
        Self::Trees,
        Self::Accounts,
        Self::Positions,
        Self::Outbox,
        Self::App,
        Self::Seeds,
        Self::Receipts,
    ];

    /// The table's name in files, databases and messages.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Deposits => "deposits",
            Self::Trees => "trees",
            Self::Accounts => "accounts",
            Self::Positions => "positions",
            Self::Outbox => "outbox",
            Self::App => "app",
            Self::Seeds => "seeds",
            Self::Receipts => "receipts",
            Self::Marks => "marks",
        }
    }
}
