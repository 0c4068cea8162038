//! Paid HTTP: a gateway that takes payments for any HTTP or JSON-RPC service.

pub mod forward;
