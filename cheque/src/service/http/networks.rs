//! Networks of addresses, such as those of the reverse proxies before a server.

use std::{net::IpAddr, str::FromStr};

/// A list of networks: addresses, or prefixes such as `10.0.0.0/8`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    /// As an address of IPv6; one of IPv4 is mapped into it.
    bits: u128,
    /// The number of leading bits that count.
    length: u32,
}

/// The reason why a text is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is no network; write an address or a prefix such as 10.0.0.0/8 or 2001:db8::/32")]
pub struct NetworkError(String);

impl Networks {
    /// Adds a network.
    ///
    /// # Errors
    ///
    /// [`NetworkError`] if the text is neither an address nor a prefix, or if the address has bits behind the prefix.
    pub fn add(&mut self, text: &str) -> Result<(), NetworkError> {
        let network = Network::parse(text).ok_or_else(|| NetworkError(text.to_owned()))?;
        self.0.push(network);
        Ok(())
    }

    /// True if one of the networks has the address.
    pub fn contain(&self, address: IpAddr) -> bool {
        let bits = mapped(address);
        self.0.iter().any(|network| {
            let differing = (network.bits ^ bits).leading_zeros();
            differing >= network.length
        })
    }
}

impl FromStr for Networks {
    type Err = NetworkError;

    /// Reads networks that are separated by commas.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let mut networks = Self::default();
        for part in text.split(',') {
            networks.add(part.trim())?;
        }
        Ok(networks)
    }
}

impl Network {
    fn parse(text: &str) -> Option<Self> {
        let (address, length) = match text.split_once('/') {
            Some((address, length)) => (address, Some(length)),
            None => (text, None),
        };
        let address: IpAddr = address.parse().ok()?;
        let (width, skipped): (u32, u32) = match address {
            IpAddr::V4(_) => (32, 96),
            IpAddr::V6(_) => (128, 0),
        };
        let length = match length {
            Some(length) => length
                .parse()
                .ok()
                .filter(|length: &u32| *length <= width)?,
            None => width,
        };
        let network = Self {
            bits: mapped(address),
            length: length.checked_add(skipped)?,
        };
        let behind = network.bits.checked_shl(network.length).unwrap_or(0);
        (behind == 0).then_some(network)
    }
}

fn mapped(address: IpAddr) -> u128 {
    match address {
        IpAddr::V4(address) => address.to_ipv6_mapped().to_bits(),
        IpAddr::V6(address) => address.to_bits(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn contain_addresses_of_their_prefixes() {
        let networks: Networks = "10.0.0.0/8, 192.0.2.7,2001:db8::/32".parse().unwrap();
        for (address, is_inside) in [
            ("10.255.0.1", true),
            ("11.0.0.1", false),
            ("192.0.2.7", true),
            ("192.0.2.8", false),
            ("::ffff:10.1.2.3", true),
            ("2001:db8:ffff::1", true),
            ("2001:db9::1", false),
        ] {
            assert_eq!(
                networks.contain(address.parse().unwrap()),
                is_inside,
                "{address}"
            );
        }
        let all: Networks = "0.0.0.0/0".parse().unwrap();
        assert!(all.contain("203.0.113.1".parse().unwrap()));
        assert!(!all.contain("2001:db8::1".parse().unwrap()));
        assert!(!Networks::default().contain("127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn refuse_prefixes_with_bits_behind_them() {
        for wrong in [
            "",
            "10.0.0.1/8",
            "10.0.0.0/33",
            "10.0.0.0/",
            "a",
            "::1/-1",
            "::1/64",
        ] {
            assert!(wrong.parse::<Networks>().is_err(), "{wrong}");
        }
    }
}
