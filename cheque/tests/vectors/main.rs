//! The library against `contracts/test/vectors/*.json`, shared with forge's tests. A third implementation
//! (`tools/vectors.mjs`) generates the files, with signatures of an outside signer and rounds of a real beacon.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod deposits;
mod draws;
mod file;
mod proofs;
mod redemptions;
mod seeds;
mod trees;
