//! The payment modules on a node (feature `chain`).
//!
//! | identity | client | provider |
//! |---|---|---|
//! | `cheque/1` | [`ChequeSender`]: deposits by a [`Composer`](crate::compose::Composer), cheques by a [`Payer`](cheque::chain::Payer) | [`ChequeModule`]: judged by a [`Payee`](cheque::chain::Payee)'s view, which redeems what is won |
//! | `transfer/1` | [`TransferSender`]: one transaction for each payment | [`TransferModule`]: reads the transaction with a [`TransferReader`] |
//!
//! They need a tokio runtime with time enabled, and believe their node. Clocks stay with the caller: times are arguments.

mod cheque_module;
mod cheque_pay;
mod cheque_record;
mod cheque_sender;
mod transfer_reader;
mod transfer_sender;

pub use cheque_module::ChequeModule;
pub use cheque_sender::{ChequeSender, ChequeSenderError, Followed, NextDeposit};
pub use transfer_reader::{TransferModule, TransferReader};
pub use transfer_sender::{TransferSender, TransferSenderError};

use alloy_sol_types::sol;

sol! {
    /// The part of ERC-20 that a transfer needs.
    #[derive(Debug)]
    interface Erc20 {
        event Transfer(address indexed from, address indexed to, uint256 value);
        function transfer(address to, uint256 value) external returns (bool);
    }
}
