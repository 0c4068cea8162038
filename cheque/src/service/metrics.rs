//! The names of all metrics. They are stable: what is drawn and alarmed by them goes on working.

use metrics::{Unit, describe_counter, describe_gauge};

/// Gauge: the number of the newest block that the payer has seen.
pub const PAYER_HEAD: &str = "cheque_payer_head_block";
/// Gauge: the payer's deposits, with label `state`.
pub const PAYER_DEPOSITS: &str = "cheque_payer_deposits";
/// Gauge: what is locked in open deposits, in token units, with label `token`. Rounded.
pub const PAYER_LOCKED: &str = "cheque_payer_locked_units";
/// Counter: payments made.
pub const PAYER_PAYMENTS: &str = "cheque_payer_payments_total";
/// Counter: payments refused, with label `reason`.
pub const PAYER_REFUSED: &str = "cheque_payer_payments_refused_total";
/// Counter: transactions that were mined, with label `purpose`.
pub const PAYER_TRANSACTIONS: &str = "cheque_payer_transactions_total";
/// Counter: what these transactions cost, in wei. Rounded.
pub const PAYER_FEES: &str = "cheque_payer_fees_wei_total";
/// Counter: steps that failed and are tried again, with label `step`.
pub const PAYER_ERRORS: &str = "cheque_payer_errors_total";
/// Gauge: 1 while the next round is needed and cannot be opened, else 0.
pub const PAYER_ROUND_BLOCKED: &str = "cheque_payer_round_blocked";
/// Gauge: transactions of the payer that wait to be mined for more than 30 blocks.
pub const PAYER_STUCK: &str = "cheque_payer_transactions_stuck";

/// Gauge: the number of the newest block that the payee has seen.
pub const PAYEE_HEAD: &str = "cheque_payee_head_block";
/// Gauge: the deposits in the payee's ledger, with label `state`.
pub const PAYEE_DEPOSITS: &str = "cheque_payee_deposits";
/// Gauge: wins that are not redeemed and whose window is about to close.
pub const PAYEE_CLOSING: &str = "cheque_payee_wins_closing";
/// Gauge: transactions of the payee that wait to be mined for more than 30 blocks.
pub const PAYEE_STUCK: &str = "cheque_payee_transactions_stuck";
/// Counter: payments taken.
pub const PAYEE_PAYMENTS: &str = "cheque_payee_payments_total";
/// Counter: payments refused, with label `reason`: the rejection's code, or `chain` or `store`.
pub const PAYEE_REFUSED: &str = "cheque_payee_payments_refused_total";
/// Counter: transactions that were mined, with label `purpose`.
pub const PAYEE_TRANSACTIONS: &str = "cheque_payee_transactions_total";
/// Counter: what these transactions cost, in wei. Rounded.
pub const PAYEE_FEES: &str = "cheque_payee_fees_wei_total";
/// Counter: steps that failed and are tried again, with label `step`.
pub const PAYEE_ERRORS: &str = "cheque_payee_errors_total";

/// Tells the recorder what the metrics are. Call it once, after the recorder is installed.
pub fn describe() {
    describe_gauge!(PAYER_HEAD, Unit::Count, "newest block seen by the payer");
    describe_gauge!(
        PAYER_DEPOSITS,
        Unit::Count,
        "deposits of the payer by state"
    );
    describe_gauge!(
        PAYER_LOCKED,
        "token units locked in the payer's open deposits"
    );
    describe_counter!(PAYER_PAYMENTS, Unit::Count, "payments made by the payer");
    describe_counter!(
        PAYER_REFUSED,
        Unit::Count,
        "payments the payer could not make, by reason"
    );
    describe_counter!(
        PAYER_TRANSACTIONS,
        Unit::Count,
        "the payer's mined transactions by purpose"
    );
    describe_counter!(PAYER_FEES, "wei that the payer's mined transactions cost");
    describe_counter!(
        PAYER_ERRORS,
        Unit::Count,
        "steps of the payer that failed, by step"
    );
    describe_gauge!(
        PAYER_ROUND_BLOCKED,
        "1 while the payer's next round cannot be opened"
    );
    describe_gauge!(
        PAYER_STUCK,
        Unit::Count,
        "transactions of the payer that wait to be mined for more than 30 blocks"
    );
    describe_gauge!(PAYEE_HEAD, Unit::Count, "newest block seen by the payee");
    describe_gauge!(
        PAYEE_DEPOSITS,
        Unit::Count,
        "deposits in the payee's ledger by state"
    );
    describe_gauge!(
        PAYEE_CLOSING,
        Unit::Count,
        "wins of the payee that are not redeemed and whose window is about to close"
    );
    describe_gauge!(
        PAYEE_STUCK,
        Unit::Count,
        "transactions of the payee that wait to be mined for more than 30 blocks"
    );
    describe_counter!(PAYEE_PAYMENTS, Unit::Count, "payments taken by the payee");
    describe_counter!(
        PAYEE_REFUSED,
        Unit::Count,
        "payments the payee refused, by reason"
    );
    describe_counter!(
        PAYEE_TRANSACTIONS,
        Unit::Count,
        "the payee's mined transactions by purpose"
    );
    describe_counter!(PAYEE_FEES, "wei that the payee's mined transactions cost");
    describe_counter!(
        PAYEE_ERRORS,
        Unit::Count,
        "steps of the payee that failed, by step"
    );
}
