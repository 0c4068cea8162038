#![doc = include_str!("../README.md")]

pub use generated::*;

mod generated {
    // `abigen!` documents calls and events, and nothing else.
    #![allow(missing_docs)]

    ::ethers::contract::abigen!(ChequeBank, "./ChequeBank.abi.json");
}
