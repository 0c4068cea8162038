#![doc = include_str!("../README.md")]

pub mod ledger;
pub mod offers;
mod seller;
pub mod wire;

pub use seller::{
    Seller, SellerError,
    request::{Offer, QuoteRefusal, Request},
    sale::{End, Entry, Sale},
};
