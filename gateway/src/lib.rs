#![doc = include_str!("../README.md")]

pub mod capacity;
pub mod discovery;
pub mod exact;
pub mod forward;
pub mod host;
pub mod layer;
pub mod ledger;
mod meter;
pub mod offers;
pub mod proxy;
mod seller;
pub mod wire;

pub use seller::{
    Seller, SellerError,
    request::{Offer, QuoteRefusal, Request},
    sale::{End, Entry, Sale},
};
