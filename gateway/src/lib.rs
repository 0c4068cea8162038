#![doc = include_str!("../README.md")]

pub mod forward;
pub mod ledger;
pub mod offers;
pub mod proxy;
mod seller;
pub mod wire;

pub use seller::{End, Entry, Offer, QuoteRefusal, Request, Sale, Seller, SellerError};
