//! The names of all metrics. They are stable, because dashboards and alarms depend on them.

use metrics::{Unit, describe_counter, describe_gauge};

/// Gauge: number of the newest block seen by the payer.
pub const PAYER_HEAD: &str = "cheque_payer_head_block";
/// Gauge: the payer's deposits, with label `state`.
pub const PAYER_DEPOSITS: &str = "cheque_payer_deposits";
/// Gauge: units locked in open deposits, with label `token`. Rounded to a float.
pub const PAYER_LOCKED: &str = "cheque_payer_locked_units";
/// Counter: payments made.
pub const PAYER_PAYMENTS: &str = "cheque_payer_payments_total";
/// Counter: payments refused, with label `reason`.
pub const PAYER_REFUSED: &str = "cheque_payer_payments_refused_total";
/// Counter: mined transactions, with label `purpose`.
pub const PAYER_TRANSACTIONS: &str = "cheque_payer_transactions_total";
/// Counter: cost of these transactions, in wei. Rounded.
pub const PAYER_FEES: &str = "cheque_payer_fees_wei_total";
/// Counter: failed steps, which the service retries, with label `step`.
pub const PAYER_ERRORS: &str = "cheque_payer_errors_total";
/// Gauge: 1 while the next round is needed and cannot be opened or waits behind a stuck transaction, else 0.
pub const PAYER_ROUND_BLOCKED: &str = "cheque_payer_round_blocked";
/// Gauge: the payer's transactions pending for long, by three pauses before a fee bump.
pub const PAYER_STUCK: &str = "cheque_payer_transactions_stuck";

/// Gauge: number of the newest block seen by the payee.
pub const PAYEE_HEAD: &str = "cheque_payee_head_block";
/// Gauge: the payee's holdings, with label `state`.
pub const PAYEE_DEPOSITS: &str = "cheque_payee_deposits";
/// Gauge: unredeemed wins with a window about to close.
pub const PAYEE_CLOSING: &str = "cheque_payee_wins_closing";
/// Gauge: the payee's transactions pending for long, by three pauses before a fee bump.
pub const PAYEE_STUCK: &str = "cheque_payee_transactions_stuck";
/// Counter: payments accepted.
pub const PAYEE_PAYMENTS: &str = "cheque_payee_payments_total";
/// Counter: payments refused, with label `reason`: the rejection's code, `chain` or `store`.
pub const PAYEE_REFUSED: &str = "cheque_payee_payments_refused_total";
/// Counter: mined and confirmed transactions, with label `purpose`.
pub const PAYEE_TRANSACTIONS: &str = "cheque_payee_transactions_total";
/// Counter: cost of these transactions, in wei. Rounded.
pub const PAYEE_FEES: &str = "cheque_payee_fees_wei_total";
/// Counter: failed steps, which the service retries, with label `step`.
pub const PAYEE_ERRORS: &str = "cheque_payee_errors_total";

/// Counter: the gateway's answers to customers, with label `status`.
pub const GATEWAY_ANSWERS: &str = "cheque_gateway_answers_total";
/// Counter: the gateway's settled sales by cheque, with label `outcome`: `charged` or `released`.
pub const GATEWAY_SALES: &str = "cheque_gateway_sales_total";

/// Counter: connections and requests that the HTTP server refused, with label `reason`.
pub const HTTP_REFUSED: &str = "cheque_http_refused_total";

/// Gives the recorder a description and a unit of each metric. Call once, after the recorder is installed.
pub fn describe() {
    describe_gauge!(PAYER_HEAD, Unit::Count, "newest block seen by the payer");
    describe_gauge!(PAYER_DEPOSITS, Unit::Count, "the payer's deposits by state");
    describe_gauge!(
        PAYER_LOCKED,
        "token units locked in the payer's open deposits"
    );
    describe_counter!(PAYER_PAYMENTS, Unit::Count, "payments made by the payer");
    describe_counter!(
        PAYER_REFUSED,
        Unit::Count,
        "payments that the payer refused to make, by reason"
    );
    describe_counter!(
        PAYER_TRANSACTIONS,
        Unit::Count,
        "the payer's mined transactions by purpose"
    );
    describe_counter!(PAYER_FEES, "cost of the payer's mined transactions in wei");
    describe_counter!(
        PAYER_ERRORS,
        Unit::Count,
        "failed steps of the payer, by step"
    );
    describe_gauge!(
        PAYER_ROUND_BLOCKED,
        "1 while the payer's next round is needed and blocked"
    );
    describe_gauge!(
        PAYER_STUCK,
        Unit::Count,
        "the payer's transactions pending for long, by three pauses before a fee bump"
    );
    describe_gauge!(PAYEE_HEAD, Unit::Count, "newest block seen by the payee");
    describe_gauge!(PAYEE_DEPOSITS, Unit::Count, "the payee's holdings by state");
    describe_gauge!(
        PAYEE_CLOSING,
        Unit::Count,
        "the payee's unredeemed wins with a window about to close"
    );
    describe_gauge!(
        PAYEE_STUCK,
        Unit::Count,
        "the payee's transactions pending for long, by three pauses before a fee bump"
    );
    describe_counter!(
        PAYEE_PAYMENTS,
        Unit::Count,
        "payments accepted by the payee"
    );
    describe_counter!(
        PAYEE_REFUSED,
        Unit::Count,
        "payments refused by the payee, by reason"
    );
    describe_counter!(
        PAYEE_TRANSACTIONS,
        Unit::Count,
        "the payee's mined transactions by purpose"
    );
    describe_counter!(PAYEE_FEES, "cost of the payee's mined transactions in wei");
    describe_counter!(
        PAYEE_ERRORS,
        Unit::Count,
        "failed steps of the payee, by step"
    );
    describe_counter!(
        GATEWAY_ANSWERS,
        Unit::Count,
        "the gateway's answers to customers, by status"
    );
    describe_counter!(
        GATEWAY_SALES,
        Unit::Count,
        "the gateway's settled sales by cheque, by outcome"
    );
    describe_counter!(
        HTTP_REFUSED,
        Unit::Count,
        "connections and requests refused by the HTTP server, by reason"
    );
}
