//! The relays of the beacon.

use cheque::{
    B256, Beacon, BeaconParameters,
    bank::Reader,
    beacon::{BeaconClient, QUICKNET_RELAYS},
};
use clap::Args;
use eyre::{Result, bail, ensure};
use std::time::Duration;

use super::time::{parse_duration, parse_time};

/// Where rounds of the beacon come from. A relay can delay rounds, and cannot change them.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Beacon")]
pub(crate) struct BeaconOpts {
    /// Fetch rounds from the drand relays at URL by http or https [default: quicknet's public relays]
    ///
    /// Several relays, separated by commas or by repeating the flag, stand in for each other. Signatures are verified
    /// here, so one good relay is enough.
    #[arg(
        long,
        value_name = "URL",
        env = "CHEQUE_BEACON",
        hide_env_values = true,
        value_delimiter = ','
    )]
    beacon: Vec<String>,
}

impl BeaconOpts {
    /// Makes the client of a beacon: over the relays of the flag, else over the public ones of quicknet.
    pub(crate) fn client(&self, beacon: &Beacon, chain_hash: B256) -> Result<BeaconClient> {
        if !self.beacon.is_empty() {
            return Ok(BeaconClient::new(beacon.clone(), chain_hash, &self.beacon)?);
        }
        ensure!(
            *beacon == Beacon::quicknet(),
            "the relays of this beacon are unknown; name them with --beacon"
        );
        Ok(BeaconClient::new(
            beacon.clone(),
            chain_hash,
            &QUICKNET_RELAYS,
        )?)
    }

    /// Makes the client of a bank's beacon. `None` on a development chain with a beacon of its own, unless the flag
    /// names its relays: everything but draws works without.
    pub(crate) fn of_bank(&self, reader: &Reader) -> Result<Option<BeaconClient>> {
        let beacon = reader.beacon();
        let is_unknown = self.beacon.is_empty() && *beacon != Beacon::quicknet();
        if is_unknown && reader.profile().freshness.is_none() {
            return Ok(None);
        }
        self.client(beacon, beacon.chain_hash()).map(Some)
    }
}

/// Another beacon than quicknet.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Another beacon than quicknet")]
pub(crate) struct KeyOpts {
    /// Verify rounds with the compressed public key HEX, 96 bytes [default: quicknet's]
    #[arg(long, value_name = "HEX", value_parser = parse_bytes, requires_all = ["genesis", "period"])]
    beacon_key: Option<Bytes>,

    /// Count rounds from 1 at TIME, a date or seconds since 1970 [default: quicknet's]
    #[arg(long, value_name = "TIME", value_parser = parse_time, requires_all = ["beacon_key", "period"])]
    genesis: Option<u64>,

    /// Expect a round every DURATION [default: quicknet's 3s]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, requires_all = ["beacon_key", "genesis"])]
    period: Option<Duration>,
}

/// The name of a beacon at its relays.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Another beacon than quicknet")]
pub(crate) struct HashOpts {
    /// Ask relays for the chain of HASH [default: quicknet's, else that of a local beacon]
    #[arg(long, value_name = "HASH", requires = "beacon_key")]
    chain_hash: Option<B256>,
}

/// Bytes of a flag.
#[derive(Clone, Debug)]
pub(crate) struct Bytes(pub(crate) Vec<u8>);

/// Parses hexadecimal digits, with or without 0x.
pub(crate) fn parse_bytes(text: &str) -> Result<Bytes, String> {
    let bytes = alloy::hex::decode(text.trim());
    bytes.map(Bytes).map_err(|error| {
        format!("the text is not hexadecimal ({error}); write an even number of hex digits")
    })
}

impl KeyOpts {
    /// Returns the beacon of the flags, else quicknet.
    pub(crate) fn beacon(&self) -> Result<Beacon> {
        Ok(match (&self.beacon_key, self.genesis, self.period) {
            (None, None, None) => Beacon::quicknet(),
            (Some(key), Some(genesis), Some(period)) => {
                Beacon::new(&key.0, genesis, period.as_secs())?
            }
            _ => bail!("--beacon-key, --genesis and --period go together; name all three"),
        })
    }

    /// Returns the beacon of the flags, else quicknet, as a bank's settings.
    pub(crate) fn parameters(&self) -> Result<BeaconParameters> {
        Ok(self.beacon()?.parameters())
    }
}

impl HashOpts {
    /// Returns the hash of the flag, else that of the beacon.
    pub(crate) fn of(&self, beacon: &Beacon) -> B256 {
        self.chain_hash.unwrap_or_else(|| beacon.chain_hash())
    }
}
