#![doc = include_str!("../README.md")]

pub mod capacity;
pub mod forward;
pub mod ledger;
pub mod offers;
pub mod proxy;
mod seller;
pub mod wire;

pub use seller::{
    Seller, SellerError,
    request::{Offer, QuoteRefusal, Request},
    sale::{End, Entry, Sale},
};
