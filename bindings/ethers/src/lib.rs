#![doc = include_str!("../README.md")]

pub use generated::*;

mod generated {
    // `abigen!` documents calls and events only.
    #![allow(missing_docs)]

    ::ethers::contract::abigen!(
        ChequeBank,
        "./ChequeBank.abi.json";
        DrandBank,
        "./DrandBank.abi.json"
    );
}
