#![doc = include_str!("../README.md")]

pub mod ledger;
pub mod offers;
mod seller;
pub mod wire;

pub use seller::{End, Entry, Offer, QuoteRefusal, Request, Sale, Seller, SellerError};
