//! The network of a client, by which free requests are counted: addresses cost nothing, networks do.

use std::net::IpAddr;

/// Returns the first 24 bits of an IPv4 address, or 48 of an IPv6 address, as bytes.
pub fn network_prefix(address: IpAddr) -> Vec<u8> {
    match address.to_canonical() {
        IpAddr::V4(address) => address.octets()[..3].to_vec(),
        IpAddr::V6(address) => address.octets()[..6].to_vec(),
    }
}

/// The network whose part of the memory is bounded. Those of this machine are not: a proxy that is not listed would stand for all clients.
pub(super) fn bounded_network(address: IpAddr) -> Option<Vec<u8>> {
    let is_own = address.to_canonical().is_loopback() || address.is_unspecified();
    (!is_own).then(|| network_prefix(address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_networks_and_no_addresses() {
        let of = |text: &str| network_prefix(text.parse().unwrap());
        assert_eq!(of("192.0.2.1"), of("192.0.2.254"));
        assert_eq!(of("::ffff:192.0.2.1"), of("192.0.2.9"));
        assert_ne!(of("192.0.2.1"), of("192.0.3.1"));
        assert_eq!(of("2001:db8:1:2::1"), of("2001:db8:1:ffff::9"));
        assert_ne!(of("2001:db8:1::1"), of("2001:db8:2::1"));
    }
}
