//! The binding of a login to the TLS session: `tls-server-end-point` of RFC 5929, a hash of the server's certificate.

use sha2::{Digest, Sha256, Sha384, Sha512};

/// The tags of DER.
const SEQUENCE: u8 = 0x30;
const OBJECT_IDENTIFIER: u8 = 0x06;

/// `md5WithRSAEncryption`, `sha1WithRSAEncryption` and the others of PKCS #1 differ in the last byte.
const RSA: &[u8] = &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01];
const ECDSA_SHA1: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x01];
/// `ecdsa-with-SHA256` and the others differ in the last byte.
const ECDSA_SHA2: &[u8] = &[0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03];

/// Hashes a certificate by the hash of its signature, or by SHA-256 in place of an older hash. `None` for signatures with no
/// hash of their own, such as Ed25519: the login is then not bound.
pub(super) fn server_end_point(certificate: &[u8]) -> Option<Vec<u8>> {
    let algorithm = signature_algorithm(certificate)?;
    let (last, family) = algorithm.split_last()?;
    match (family, *last) {
        (_, _) if algorithm == ECDSA_SHA1 => Some(Sha256::digest(certificate).to_vec()),
        (RSA, 4 | 5 | 11) | (ECDSA_SHA2, 2) => Some(Sha256::digest(certificate).to_vec()),
        (RSA, 12) | (ECDSA_SHA2, 3) => Some(Sha384::digest(certificate).to_vec()),
        (RSA, 13) | (ECDSA_SHA2, 4) => Some(Sha512::digest(certificate).to_vec()),
        _ => None,
    }
}

/// Reads the object identifier of the algorithm that signed an X.509 certificate.
fn signature_algorithm(certificate: &[u8]) -> Option<&[u8]> {
    let (body, _) = element(SEQUENCE, certificate)?;
    let (_, after_contents) = element(SEQUENCE, body)?;
    let (algorithm, _) = element(SEQUENCE, after_contents)?;
    let (identifier, _) = element(OBJECT_IDENTIFIER, algorithm)?;
    Some(identifier)
}

/// Splits the contents of the first element off, if it has the tag.
fn element(tag: u8, der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (first, rest) = der.split_first()?;
    let (short, rest) = rest.split_first()?;
    if *first != tag {
        return None;
    }
    let (length, rest) = match short {
        0..=0x7f => (usize::from(*short), rest),
        // The number of bytes of the length. No certificate has 16 MB.
        0x81..=0x83 => {
            let (bytes, rest) = rest.split_at_checked(usize::from(short & 0x7f))?;
            let length = bytes
                .iter()
                .fold(0, |length, byte| length << 8 | usize::from(*byte));
            (length, rest)
        }
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrapped(tag: u8, contents: &[u8]) -> Vec<u8> {
        let length = contents.len();
        let length = match u8::try_from(length) {
            Ok(length @ ..=0x7f) => vec![length],
            Ok(length) => vec![0x81, length],
            Err(_) => vec![0x82, (length >> 8) as u8, length as u8],
        };
        [&[tag][..], &length, contents].concat()
    }

    fn certificate(size: usize, algorithm: &[u8]) -> Vec<u8> {
        let contents = wrapped(SEQUENCE, &vec![0; size]);
        let algorithm = wrapped(SEQUENCE, &wrapped(OBJECT_IDENTIFIER, algorithm));
        wrapped(SEQUENCE, &[contents, algorithm, vec![3, 1, 0]].concat())
    }

    #[test]
    fn hashes_by_the_hash_of_the_signature() {
        for size in [0, 127, 128, 255, 256, 40_000] {
            for (family, last, length) in [
                (RSA, 4, Some(32)),
                (RSA, 5, Some(32)),
                (RSA, 10, None),
                (RSA, 11, Some(32)),
                (RSA, 12, Some(48)),
                (RSA, 13, Some(64)),
                (&ECDSA_SHA1[..6], 1, Some(32)),
                (ECDSA_SHA2, 2, Some(32)),
                (ECDSA_SHA2, 3, Some(48)),
                (ECDSA_SHA2, 4, Some(64)),
                // Ed25519.
                (&[0x2b, 0x65], 0x70, None),
            ] {
                let certificate = certificate(size, &[family, &[last]].concat());
                let hash = server_end_point(&certificate);
                assert_eq!(hash.map(|hash| hash.len()), length, "{family:?} {last}");
            }
        }
    }

    #[test]
    fn reads_no_certificate_that_is_cut() {
        let whole = certificate(300, &[RSA, &[11]].concat());
        for length in 0..whole.len() {
            assert_eq!(server_end_point(&whole[..length]), None, "{length}");
        }
        assert_eq!(
            server_end_point(&[SEQUENCE, 0x84, 0xff, 0xff, 0xff, 0xff]),
            None
        );
    }
}
