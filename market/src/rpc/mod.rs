//! The operator's view of a market, and its JSON-RPC (feature `rpc`): the `les` namespace of the LES server in
//! go-ethereum in its final form, with the tags and events of its first.
//!
//! [`Operator`] is the calls as functions: no network, and time is an argument. [`Service`] shares it between those who
//! serve clients and [`serve`], which answers over HTTP and WebSocket:
//!
//! | call | returns |
//! |---|---|
//! | `les_serverInfo()` | [`Operator::server_info`] |
//! | `les_clientInfo([ids], [tags])` | by id: [`Operator::client_info`] |
//! | `les_priorityClientInfo(start, stop, max)` | by id: [`Operator::priority_client_info`]; a stop of zeros is the end, and the first client that is left out has an empty value |
//! | `les_addBalance(id, amount)` | `[before, after]`: [`Operator::add_balance`] |
//! | `les_setClientParams([ids], [tags], {params})`, also without tags | nothing: [`Operator::set_client_params`] |
//! | `les_setDefaultParams({params})` | nothing: [`Operator::set_default_params`] |
//! | `les_setConnectedBias(nanoseconds)` | nothing: [`Operator::set_connected_bias`] |
//! | `les_subscribeEvent([tags], totalCapUnderrun)` | notifications `les_event` of [`Event::payload`], over WebSocket; ended by `les_unsubscribeEvent` |
//!
//! Ids are `0x` and bytes in hexadecimal. Tokens, capacities and prices are whole numbers. Prices are per second on both
//! sides, and are what [`PriceFactors`](crate::balance::PriceFactors) says; times are nanoseconds inside and whole seconds,
//! rounded down, outside.
//!
//! The tags `$all`, `$connected`, `$disconnected`, `$priority` (with tokens) and `$free` (without) are automatic. Others are
//! given to clients as `userTags`.
//!
//! # What survives
//!
//! What a call has changed is stored before it is answered, except capacities and prices of connections, which end with
//! them: balances, tags, notices, default prices, the bias. A call with several clients or parameters changes all or
//! nothing.
//!
//! # Who may call
//!
//! Whoever reaches the server owns the market. It listens on this machine only unless it has a [`Token`], which every
//! request must then carry as `Authorization: Bearer`. It does not encrypt: put a proxy that does in front of it. Requests
//! from web pages are refused, so that no page that the operator visits can make calls.

mod access;
mod change;
mod defaults;
mod error;
mod event;
mod limits;
mod operator;
mod params;
mod server;
mod service;
mod show;
mod tags;
#[cfg(test)]
mod tests;

pub use access::{Token, TokenError};
pub use error::OperatorError;
pub use event::{Event, Subscription};
pub use operator::{Operator, PriorityClients};
pub use params::Params;
pub use server::{DEFAULT_ADDRESS, Listen, Running, ServeError, serve};
pub use service::Service;
