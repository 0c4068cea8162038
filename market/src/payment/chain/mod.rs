//! Payment modules that query a node (feature `chain`).
//!
//! | identity | client | provider |
//! |---|---|---|
//! | `cheque/1` | [`ChequeSender`]: deposits by a [`Composer`](crate::compose::Composer), cheques by a [`Payer`](cheque::payer::Payer) | [`ChequeModule`]: judged by a [`Payee`](cheque::payee::Payee)'s view, which redeems what is won |
//! | `transfer/1` | [`TransferSender`]: one transaction for each payment | [`TransferModule`]: reads the transaction with a [`TransferReader`] |
//!
//! Both ends, without the application's own parts:
//!
//! ```no_run
//! use alloy_primitives::Address;
//! use cheque::{bank::NativeRate, payee::Payee, payer::Payer};
//! use cheque_market::{
//!     balance::{BalanceTracker, ChangeBalanceError},
//!     payment::{chain::{ChequeModule, ChequeSender, NextDeposit}, *},
//!     store::{ChequeStore, Store},
//! };
//! use std::{error::Error, sync::Arc};
//!
//! const COIN: Address = Address::ZERO;
//!
//! async fn client(payer: Payer, next: NextDeposit, provider: Address) -> Result<(), Box<dyn Error>> {
//!     let sender = ChequeSender::open(payer, COIN, NativeRate::NATIVE, b"composer").await?;
//!     if sender.due().await?.is_some() {
//!         sender.compose(&next).await?;
//!     }
//!     sender.follow().await?; // after every poll of the payer
//!     let paid = sender.request_payment(provider, 1_000, 5_000).await?;
//!     for proof in paid.proofs {
//!         // ... send it to the provider
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
//!     (modules, theirs): (&Receivers, &Offer), // the offer of the client
//!     store: ChequeStore, // over the payee's own store
//!     tracker: &mut BalanceTracker<Address, ChequeStore>,
//!     (client, proof, now_ns): (Address, Vec<u8>, u64),
//! ) -> Result<(), Box<dyn Error>> {
//!     let module = modules.agree(theirs)?;
//!     let prepared = prepare(&**module, &store, b"market:", client, &proof).await?;
//!     let credited = tracker.operation(&client, None, now_ns, |balance| {
//!         match prepared.store_received(&store, balance.extra_writes()) {
//!             // At a price of 1.
//!             Ok(incoming) => balance.add(incoming.value.try_into().unwrap_or(i64::MAX)).map(Ok),
//!             Err(rejection) => Ok::<_, ChangeBalanceError>(Err(rejection)),
//!         }
//!     });
//!     if credited.is_err() {
//!         prepared.settle(store.get(prepared.key())?.as_deref());
//!     }
//!     credited??;
//!     Ok(())
//! }
//! // And a `PayeeService` of the payee, which redeems the wins.
//! ```
//!
//! The modules need a tokio runtime with time enabled, and trust their node. Those of cheques go by the clocks of their
//! payer and payee, those of transfers by the times of blocks.

pub(crate) mod cheque_module;
pub(crate) mod cheque_pay;
pub(crate) mod cheque_record;
pub(crate) mod cheque_sender;
mod erc20;
pub(crate) mod transfer_reader;
pub(crate) mod transfer_sender;

pub use cheque_module::ChequeModule;
pub use cheque_sender::{ChequeSender, ChequeSenderError, NextDeposit, OpeningStatus};
pub use transfer_reader::{TransferModule, TransferReader};
pub use transfer_sender::{TransferSender, TransferSenderError};
