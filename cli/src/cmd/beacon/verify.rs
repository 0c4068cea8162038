//! `cheque beacon verify`: a signature from anywhere, without a network.

use clap::Args;
use eyre::{Report, Result};

use super::round::print;
use crate::{
    exit::{Exit, Failure},
    opts::beacon::{Bytes, KeyOpts, parse_bytes},
    output::Output,
};

/// Verify the signature of a round, offline
///
/// Prints the randomness, which is sha256 of the signature, and the proof for the bank. Exit code 1 if the signature is
/// wrong.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  signature=$(curl -s https://api.drand.sh/v2/beacons/quicknet/rounds/1000 | jq -r .signature)
  cheque beacon verify --round 1000 --signature $signature
  cheque beacon verify --round 1000 --signature $signature --json | jq -r .randomness")]
pub(super) struct VerifyArgs {
    /// Number of the round
    #[arg(long, value_name = "NUMBER")]
    round: u64,

    /// Compressed signature, 48 bytes in hexadecimal
    #[arg(long, value_name = "HEX", value_parser = parse_bytes)]
    signature: Bytes,

    #[command(flatten)]
    key: KeyOpts,
}

impl VerifyArgs {
    pub(super) fn run(self, out: &Output) -> Result<()> {
        let beacon = self.key.beacon()?;
        let verified = beacon.verify(self.round, &self.signature.0);
        let round = verified.map_err(|error| {
            Report::new(Failure {
                exit: Exit::Failed,
                code: "invalid_round".to_owned(),
                text: format!("{error}; compare the round, the signature and the beacon's key"),
            })
        })?;
        print(&round, out)
    }
}
