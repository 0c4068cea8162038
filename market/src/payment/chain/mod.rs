//! The payment modules on a node (feature `chain`).
//!
//! | identity | client | provider |
//! |---|---|---|
//! | `cheque/1` | [`ChequeSender`]: deposits by a [`Composer`](crate::compose::Composer), cheques by a [`Payer`](cheque::payer::Payer) | [`ChequeModule`]: judged by a [`Payee`](cheque::payee::Payee)'s view, which redeems what is won |
//! | `transfer/1` | [`TransferSender`]: one transaction for each payment | [`TransferModule`]: reads the transaction with a [`TransferReader`] |
//!
//! Both ends, with what is the application's own left out:
//!
//! ```no_run
//! use alloy_primitives::Address;
//! use cheque::{bank::NativeRate, payee::Payee, payer::Payer};
//! use cheque_market::{
//!     balance::{BalanceTracker, ChangeBalanceError},
//!     payment::{chain::{ChequeModule, ChequeSender, NextDeposit}, *},
//!     store::ChequeStore,
//! };
//! use std::{error::Error, sync::Arc};
//!
//! const COIN: Address = Address::ZERO;
//!
//! async fn client(payer: Payer, next: NextDeposit, provider: Address, now_s: u64) -> Result<(), Box<dyn Error>> {
//!     let sender = ChequeSender::open(payer, COIN, Rate::NATIVE, b"composer").await?;
//!     if sender.due(now_s).await?.is_some() {
//!         sender.compose(&next, now_s).await?;
//!     }
//!     sender.follow(now_s).await?; // at every block
//!     let paid = sender.request_payment(provider, 1_000, 5_000).await?;
//!     for proof in paid.proofs {
//!         // ... goes to the provider
//!     }
//!     Ok(())
//! }
//!
//! fn modules(payee: &Payee) -> Receivers {
//!     let mut modules = Receivers::new();
//!     modules.register(Arc::new(ChequeModule::new(payee.clone(), COIN)));
//!     modules
//! }
//!
//! async fn provider(
//!     (modules, theirs): (&Receivers, &Offer), // which the client has sent
//!     store: ChequeStore, // over the payee's own
//!     tracker: &mut BalanceTracker<Address, ChequeStore>,
//!     (client, proof, now_ns): (Address, Vec<u8>, u64),
//! ) -> Result<(), Box<dyn Error>> {
//!     let module = modules.agree(theirs)?;
//!     let arrived = look_at(&**module, &store, b"market:", client, &proof).await?;
//!     tracker.operation(&client, None, now_ns, |balance| {
//!         match arrived.store_received(&store, balance.also()) {
//!             // At a price of 1.
//!             Ok(incoming) => balance.add(incoming.value.try_into().unwrap_or(i64::MAX)).map(Ok),
//!             Err(rejection) => Ok::<_, ChangeBalanceError>(Err(rejection)),
//!         }
//!     })??;
//!     Ok(())
//! }
//! // And at every block `payee.settle()`, which redeems what was won.
//! ```
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
