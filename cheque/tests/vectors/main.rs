//! The library against `contracts/test/vectors/*.json`, which forge's tests read as well. A third implementation
//! (`tools/vectors.mjs`) makes them, with signatures of an outside signer and headers of real blocks.

mod deposits;
mod draws;
mod file;
mod proofs;
mod redemptions;
mod trees;
