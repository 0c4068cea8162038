//! The operator's view of a market, and its JSON-RPC server (feature `rpc`): the `les` namespace of the LES server in
//! go-ethereum, second generation, with the tags and events of the first.
//!
//! [`Operator`] is the operator's view of a [`Hall`](crate::hall::Hall): the calls as functions, without a network and
//! with time as an argument. [`Service`] is the task that owns both, for the code that serves clients and for
//! [`serve`], which answers over HTTP and WebSocket:
//!
//! | call | returns |
//! |---|---|
//! | `les_serverInfo()` | [`Operator::server_info`] |
//! | `les_clientInfo([ids], [tags])` | by id: [`Operator::client_info`] |
//! | `les_priorityClientInfo(start, stop, max)` | by id: [`Operator::priority_client_info`]; a stop of zeros is the end, and the first client that is left out has an empty value |
//! | `les_addBalance(id, amount, meta)`, also without meta | `[before, after]`: [`Operator::add_balance`] |
//! | `les_setClientParams([ids], [tags], {params})`, also without tags | nothing: [`Operator::set_client_params`] |
//! | `les_setDefaultParams({params})` | nothing: [`Operator::set_default_params`] |
//! | `les_setConnectedBias(nanoseconds)` | nothing: [`Operator::set_connected_bias`] |
//! | `les_latestCheckpoint`, `les_getCheckpoint`, `les_getCheckpointContractAddress` | an error: a market has none |
//! | `les_subscribeEvent([tags], totalCapUnderrun)` | notifications `les_event` of [`Event::payload`], over WebSocket; ended by `les_unsubscribeEvent` |
//!
//! Ids are `0x` and bytes in hexadecimal. Tokens and capacities are whole numbers, and prices decimal numbers of at
//! most nine places. Prices are per second, as described at [`PriceFactors`](crate::balance::PriceFactors). Times are nanoseconds inside, and whole seconds,
//! rounded down, outside.
//!
//! The tags `$all`, `$connected`, `$disconnected`, `$priority` (with tokens) and `$free` (without) are automatic.
//! Other tags are set as `userTags`.
//!
//! # Durability
//!
//! Balances, tags, notices, capacities set by the operator, default prices and the bias are stored before the call
//! returns. Prices of connections are not stored, and end with their connections. A call with several clients or parameters changes all
//! or nothing.
//!
//! # Access
//!
//! Every caller of the server controls the market. The server listens on the loopback address only, unless it has a
//! [`Token`], which every request must then carry as `Authorization: Bearer`. The server does not encrypt: put an
//! encrypting proxy in front of it. Requests from web pages are refused, so that no page in the operator's browser
//! can make calls.

mod access;
mod assigned;
pub(crate) mod change;
pub(crate) mod defaults;
pub(crate) mod error;
pub(crate) mod event;
pub(crate) mod id_text;
mod meta;
pub(crate) mod names;
pub(crate) mod operator;
pub(crate) mod params;
mod raise;
pub(crate) mod server;
pub(crate) mod service;
pub(crate) mod show;
pub(crate) mod tags;
#[cfg(test)]
mod tests;

pub use cheque::service::access::{Token, TokenError};
pub use error::OperatorError;
pub use event::{Event, Subscription};
pub use names::Params;
pub use operator::Operator;
pub use server::{DEFAULT_ADDRESS, Listen, Running, ServeError, serve};
pub use service::{Service, SubmitError};
pub use show::PriorityClients;
