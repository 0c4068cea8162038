//! The client of a request: the other end of the connection, or whom a listed reverse proxy names.

use crate::forward::Origin;
use cheque::service::http::{Caller, Networks};
use http::{HeaderMap, HeaderName};
use std::net::{IpAddr, SocketAddr};

const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// Returns the client of a request. Proxies append the address that they see to `X-Forwarded-For`, so its last address that is
/// no proxy's is the client's; what stands before it is the client's own word.
pub(super) fn origin(caller: &Caller, headers: &HeaderMap, proxies: &Networks) -> Origin {
    let address = caller.address();
    if !proxies.contain(address) {
        return Origin {
            address,
            is_secure: caller.is_secure(),
            is_proxy: false,
        };
    }
    let proto = headers.get_all(FORWARDED_PROTO).iter().next_back();
    let proto = proto.and_then(|proto| proto.to_str().ok()?.rsplit(',').next());
    Origin {
        address: client(headers, proxies).unwrap_or(address),
        is_secure: proto.is_some_and(|proto| proto.trim().eq_ignore_ascii_case("https")),
        is_proxy: true,
    }
}

/// The last address that is no proxy's. `None` if the chain breaks off at something else than an address.
fn client(headers: &HeaderMap, proxies: &Networks) -> Option<IpAddr> {
    let lines = headers.get_all(FORWARDED_FOR).iter().rev();
    let mut last = None;
    for line in lines {
        for hop in line.to_str().ok()?.rsplit(',') {
            let address = address(hop.trim())?;
            last = Some(address);
            if !proxies.contain(address) {
                return last;
            }
        }
    }
    last
}

/// Reads an address, which some proxies write with its port.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.trim_start_matches('[').trim_end_matches(']');
    bare.parse()
        .or_else(|_| hop.parse::<SocketAddr>().map(|socket| socket.ip()))
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    #[test]
    fn the_client_is_the_last_address_before_the_proxies() {
        let proxies: Networks = "10.0.0.0/8".parse().unwrap();
        let of = |lines: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(FORWARDED_FOR, HeaderValue::from_static(line));
            }
            client(&headers, &proxies).map(|address| address.to_string())
        };
        let found = |text: &str| Some(text.to_owned());
        assert_eq!(of(&["192.0.2.1"]), found("192.0.2.1"));
        assert_eq!(of(&["6.6.6.6, 192.0.2.1, 10.0.0.2"]), found("192.0.2.1"));
        assert_eq!(of(&["6.6.6.6", "192.0.2.1, 10.0.0.2"]), found("192.0.2.1"));
        assert_eq!(of(&["[2001:db8::1]:443"]), found("2001:db8::1"));
        assert_eq!(of(&["192.0.2.1:99"]), found("192.0.2.1"));
        assert_eq!(of(&["192.0.2.1, unknown, 10.0.0.2"]), None);
        assert_eq!(of(&[]), None);
    }
}
