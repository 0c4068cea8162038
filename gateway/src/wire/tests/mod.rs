mod forms;
mod keys;
mod passing;
mod reading;

use super::*;
use crate::ledger::{Currency, MaxPrice};
use cheque::{Address, Amount};
use http::{HeaderMap, HeaderValue};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const USDC: &str = "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913";

/// The plain cheque of SPEC.md section 15.
const PROOF: &str = "AvhnoBjS4-nQW9c4X52o7v9zAQAQytcURZnPvYRyDmeeiLvfZICAuEHCdJCA-Mae7UZk8TJ6-nAXjEMSk5FPv2ZiuOxiDPl6\
                     Vg8TV84ANTDDf4IXOx6j8-Gzr4q7Ix6lmxwwXg3LIb8SGw";

/// A payment of x402 over 1000 units of USDC, as Python's json and base64 write it.
const PAYLOAD: &str = "eyJ4NDAyVmVyc2lvbiI6MiwiYWNjZXB0ZWQiOnsic2NoZW1lIjoiY2hlcXVlIiwibmV0d29yayI6ImVpcDE1NTo4NDUzIiwi\
YW1vdW50IjoiMTAwMCIsImFzc2V0IjoiMHg4MzM1ODlmQ0Q2ZURiNkUwOGY0YzdDMzJENGY3MWI1NGJkQTAyOTEzIiwicGF5VG8iOiIweDgzMzU4OWZDRDZ\
lRGI2RTA4ZjRjN0MzMkQ0ZjcxYjU0YmRBMDI5MTMiLCJtYXhUaW1lb3V0U2Vjb25kcyI6MzAwLCJleHRyYSI6eyJ4IjoieSJ9fSwicGF5bG9hZCI6eyJwcm9\
vZnMiOlsiQXZobm9CalM0LW5RVzljNFg1Mm83djl6QVFBUXl0Y1VSWm5QdllSeURtZWVpTHZmWklDQXVFSENkSkNBLU1hZTdVWms4VEo2LW5BWGpFTVNrNUZ\
QdjJaaXVPeGlEUGw2Vmc4VFY4NEFOVEREZjRJWE94Nmo4LUd6cjRxN0l4NmxteHd3WGczTEliOFNHdyJdfX0=";

/// The offer of [`offer`] in MPP, and the id of its challenge, as Python's json, base64 and hmac compute them.
const REQUEST: &str = "eyJhbW91bnQiOiIxMDAwIiwiY3VycmVuY3kiOiIweDgzMzU4OWZDRDZlRGI2RTA4ZjRjN0MzMkQ0ZjcxYjU0YmRBMDI5MTM\
iLCJtZXRob2REZXRhaWxzIjp7ImJhbmsiOiIweGJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmFiYWJhYmEiLCJiZWFjb24iOiI1MmRiIiwiY2hh\
aW5JZCI6ODQ1MywiY3V0b2ZmIjozMCwiZmluYWxpdHkiOjE4MDAsImhlYWRlciI6IkNoZXF1ZSIsImhvcml6b24iOjYwNDgwMCwiaW5GbGlnaHQiOjEwMjQsI\
mxlYXN0UGF5b3V0IjoiNTAwMDAiLCJtYXhEZXBvc2l0IjoiNTAwMDAwMDAwIiwidmVyc2lvbiI6IjEiLCJ3aW5kb3ciOjIxNjAwfSwicmVjaXBpZW50IjoiMH\
g4MzM1ODlmQ0Q2ZURiNkUwOGY0YzdDMzJENGY3MWI1NGJkQTAyOTEzIn0";
const ID: &str = "PV1jIfiwgT1oeaSybQXCZffl-NvwWQvjK-v7D-3HWZ8";
const KEY: [u8; 32] = [7; 32];

/// 2027-01-15T08:00:00Z.
const NOW: u64 = 1_800_000_000;

fn payee() -> Address {
    USDC.parse().unwrap()
}

fn currency() -> Currency {
    Currency {
        chain_id: 8453,
        token: payee(),
    }
}

fn terms() -> PayeeTerms {
    PayeeTerms {
        version: "1".to_owned(),
        bank: Address::repeat_byte(0xba),
        beacon: "52db".to_owned(),
        least_payout: Amount::new(50_000),
        max_deposit: Some(Amount::new(500_000_000)),
        horizon: 604_800,
        cutoff: 30,
        finality: 1_800,
        window: 21_600,
        in_flight: 1_024,
        header: "Cheque".to_owned(),
        pay_url: None,
        unit: None,
        cheque_state: None,
    }
}

fn offer() -> WireOffer {
    WireOffer {
        currency: currency(),
        amount: Amount::new(1_000),
        pay_to: payee(),
        terms: terms(),
    }
}

fn challenge() -> ChallengeEcho {
    ChallengeEcho {
        id: ID.to_owned(),
        realm: "api.example.com".to_owned(),
        method: "cheque".to_owned(),
        intent: "charge".to_owned(),
        request: REQUEST.to_owned(),
        expires: Some("2027-01-15T09:00:00Z".to_owned()),
        digest: None,
        opaque: None,
    }
}

fn credential(challenge: ChallengeEcho) -> String {
    let payload = json!({ "proofs": [PROOF] });
    Credential {
        challenge,
        source: None,
        payload,
    }
    .encode()
}

fn shown(lines: &[(&'static str, &str)], now: u64) -> Result<Option<Paying>, ShownError> {
    let mut headers = HeaderMap::new();
    for (name, value) in lines {
        headers.append(*name, HeaderValue::from_str(value).unwrap());
    }
    shown::payment(&headers, payee(), &KEY, now)
}
