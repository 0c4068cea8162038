//! Headers that stop at the gateway: those of one connection, those of payments, and those by which a caller could claim an
//! identity.

use crate::{
    seller::sale::Sale,
    wire::{Reported, strip_answer, strip_request},
};
use cheque::{Address, Amount};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{
        CONNECTION, EXPECT, FORWARDED, HOST, PROXY_AUTHENTICATE, PROXY_AUTHORIZATION, TE, TRAILER,
        TRANSFER_ENCODING, UPGRADE,
    },
};

/// Headers of one connection (RFC 9110, section 7.6.1).
const OF_CONNECTION: [HeaderName; 9] = [
    CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    PROXY_AUTHENTICATE,
    PROXY_AUTHORIZATION,
    TE,
    TRAILER,
    TRANSFER_ENCODING,
    UPGRADE,
];

/// Request headers that only a proxy before the gateway may set.
const OF_PROXIES: [HeaderName; 6] = [
    FORWARDED,
    HeaderName::from_static("x-forwarded-for"),
    HeaderName::from_static("x-forwarded-host"),
    HeaderName::from_static("x-forwarded-port"),
    HeaderName::from_static("x-forwarded-proto"),
    HeaderName::from_static("x-real-ip"),
];

const PAYER: HeaderName = HeaderName::from_static("x-payer");
const CHARGED: HeaderName = HeaderName::from_static("x-charged");
const PAYMENT_ID: HeaderName = HeaderName::from_static("x-payment-id");
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_HOST: HeaderName = HeaderName::from_static("x-forwarded-host");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");

/// The payment of a request, for the upstream. Plain data.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paid {
    /// The signer of the deposits that pay, `X-Payer`.
    pub payer: Address,
    /// The payment, `X-Payment-Id`.
    pub payment: String,
    /// The sum reserved for the request, in token units, `X-Charged`: the price, or the most that it can be.
    pub reserved: Amount,
}

impl Paid {
    /// Returns the payment of a sale.
    pub fn of(sale: &Sale) -> Self {
        Self {
            payer: sale.account().signer,
            payment: sale.payment().to_string(),
            reserved: sale.most(),
        }
    }
}

/// The client's side of a request, for the upstream's `X-Forwarded-*` headers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Origin {
    /// The client's address.
    pub address: std::net::IpAddr,
    /// True if the client used TLS.
    pub is_secure: bool,
    /// True if the connection is from a listed proxy, so that its own `X-Forwarded-*` headers count.
    pub is_proxy: bool,
}

/// Removes headers of one connection, also those that `Connection` names.
fn remove_connection(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| name.trim().parse().ok())
        .collect();
    for name in named.iter().chain(&OF_CONNECTION) {
        headers.remove(name);
    }
}

/// Prepares a client's headers for the upstream. Nothing remains by which a caller could pose as the gateway or as another
/// payer.
pub(super) fn clean_request(headers: &mut HeaderMap, origin: &Origin, paid: Option<&Paid>) {
    let accepts_trailers = accepts_trailers(headers);
    remove_connection(headers);
    strip_request(headers);
    // The gateway's server answers it before the body arrives.
    headers.remove(EXPECT);
    let host = headers.remove(HOST);
    if !origin.is_proxy {
        // To CGI and its heirs `X_Real_IP` and `X-Real-IP` are one name.
        let is_claim = |name: &&HeaderName| {
            let name = name.as_str().replace('_', "-");
            OF_PROXIES.iter().any(|claim| *claim == name.as_str())
        };
        let claims: Vec<_> = headers.keys().filter(is_claim).cloned().collect();
        for name in claims {
            headers.remove(name);
        }
    }
    if let Ok(address) = HeaderValue::try_from(origin.address.to_string()) {
        headers.append(FORWARDED_FOR, address);
    }
    if !headers.contains_key(FORWARDED_PROTO) {
        let protocol = if origin.is_secure { "https" } else { "http" };
        headers.insert(FORWARDED_PROTO, HeaderValue::from_static(protocol));
    }
    if let Some(host) = host
        && !headers.contains_key(FORWARDED_HOST)
    {
        headers.insert(FORWARDED_HOST, host);
    }
    if accepts_trailers {
        headers.insert(TE, HeaderValue::from_static("trailers"));
    }
    if let Some(paid) = paid {
        let fields = [
            (PAYER, paid.payer.to_checksum(None)),
            (PAYMENT_ID, paid.payment.clone()),
            (CHARGED, paid.reserved.to_string()),
        ];
        for (name, text) in fields {
            // All three are printable.
            if let Ok(value) = HeaderValue::try_from(text) {
                headers.insert(name, value);
            }
        }
    }
}

/// Prepares the upstream's headers or trailers for the client, and returns the upstream's word on the price.
pub(super) fn clean_answer(headers: &mut HeaderMap, reserved: Amount) -> Reported {
    remove_connection(headers);
    strip_answer(headers, reserved)
}

fn accepts_trailers(headers: &HeaderMap) -> bool {
    let values = headers.get_all(TE).iter();
    let values = values.filter_map(|value| value.to_str().ok());
    let mut tokens = values.flat_map(|value| value.split(','));
    tokens.any(|token| token.trim().eq_ignore_ascii_case("trailers"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{
        PaymentId,
        tests::{Payer, payee},
    };
    use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
    use std::net::{IpAddr, Ipv4Addr};

    const CLIENT: Origin = Origin {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 7)),
        is_secure: true,
        is_proxy: false,
    };

    fn headers(fields: &[(&'static str, &'static str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in fields {
            headers.append(
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            );
        }
        headers
    }

    fn paid() -> Paid {
        let proof = Payer::native(1).cheque(7);
        Paid {
            payer: payee(),
            payment: PaymentId::of(&proof).unwrap().to_string(),
            reserved: Amount::new(20),
        }
    }

    #[test]
    fn removes_identities_that_a_caller_claims() {
        let forged = [
            ("x-payer", "0xbb"),
            ("x-payment-id", "1:1"),
            ("x-charged", "999"),
            ("x-payment", "x"),
            ("payment-signature", "x"),
            ("cheque", "x"),
            ("x-http-method-override", "DELETE"),
            ("x-forwarded-for", "10.0.0.1"),
            ("x-real-ip", "10.0.0.1"),
            ("accept", "*/*"),
        ];
        let mut free = headers(&forged);
        clean_request(&mut free, &CLIENT, None);
        let expected = headers(&[
            ("accept", "*/*"),
            ("x-forwarded-for", "192.0.2.7"),
            ("x-forwarded-proto", "https"),
        ]);
        assert_eq!(free, expected);

        let mut sold = headers(&forged);
        clean_request(&mut sold, &CLIENT, Some(&paid()));
        let payers: Vec<_> = sold.get_all(PAYER).iter().collect();
        assert_eq!(payers, [&payee().to_checksum(None)]);
        assert_eq!(sold[CHARGED], "20");
        let payment = sold[PAYMENT_ID].to_str().unwrap();
        assert!(payment.ends_with(":7"), "{payment}");
    }

    #[test]
    fn keeps_credentials_of_other_schemes() {
        let mut request = headers(&[
            ("authorization", "Payment eyJ9"),
            ("authorization", "Bearer key"),
        ]);
        clean_request(&mut request, &CLIENT, None);
        let left: Vec<_> = request.get_all(AUTHORIZATION).iter().collect();
        assert_eq!(left, ["Bearer key"]);
        let mut answer = headers(&[
            ("www-authenticate", "payment id=\"1\""),
            ("www-authenticate", "Payments realm=\"other\""),
            ("www-authenticate", "Basic realm=\"x\""),
        ]);
        clean_answer(&mut answer, Amount::ZERO);
        assert_eq!(answer.get_all(WWW_AUTHENTICATE).iter().count(), 2);
    }

    #[test]
    fn removes_headers_of_one_connection_and_those_it_names() {
        let mut request = headers(&[
            ("connection", "close, X-Hop"),
            ("connection", "x-payer"),
            ("x-hop", "1"),
            ("te", "gzip, Trailers"),
            ("transfer-encoding", "chunked"),
            ("upgrade", "websocket"),
            ("keep-alive", "timeout=5"),
            ("expect", "100-continue"),
            ("host", "shop.example"),
        ]);
        clean_request(&mut request, &CLIENT, Some(&paid()));
        assert_eq!(request[TE], "trailers");
        assert_eq!(request[FORWARDED_HOST], "shop.example");
        assert!(request.contains_key(PAYER), "set after `Connection` counts");
        let gone = [
            "connection",
            "x-hop",
            "transfer-encoding",
            "upgrade",
            "keep-alive",
            "expect",
            "host",
        ];
        for name in gone {
            assert!(!request.contains_key(name), "{name}");
        }
    }

    #[test]
    fn takes_a_listed_proxy_at_its_word() {
        let proxy = Origin {
            is_proxy: true,
            ..CLIENT
        };
        let mut request = headers(&[
            ("x-forwarded-for", "198.51.100.1"),
            ("x-forwarded-proto", "http"),
            ("x-forwarded-host", "shop.example"),
            ("host", "inner"),
        ]);
        clean_request(&mut request, &proxy, None);
        let path: Vec<_> = request.get_all(FORWARDED_FOR).iter().collect();
        assert_eq!(path, ["198.51.100.1", "192.0.2.7"]);
        assert_eq!(request[FORWARDED_PROTO], "http");
        assert_eq!(request[FORWARDED_HOST], "shop.example");
    }
}
