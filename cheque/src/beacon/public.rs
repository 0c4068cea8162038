//! The public relays of quicknet, as of <https://docs.drand.love/developer/http-api>.

/// The public HTTP relays of drand's quicknet, in order of preference. The first three speak versions 1 and 2 of the
/// API, the last one version 1 only.
pub const QUICKNET_RELAYS: [&str; 4] = [
    "https://api.drand.sh",
    "https://api2.drand.sh",
    "https://api3.drand.sh",
    "https://drand.cloudflare.com",
];
