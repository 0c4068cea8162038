//! The beacon's public key in the two forms of a point: uncompressed as the bank has it, compressed as drand has it.

use alloy_primitives::hex;

/// The length of a field element, in bytes.
const FIELD: usize = 48;

/// The first bits of a compressed point: compressed, and with the larger y.
const COMPRESSED: u8 = 0x80;
const LARGER: u8 = 0x20;

/// (p - 1) / 2: y is the larger of the two points with the same x if it is greater.
const HALF: [u8; FIELD] = hex!(
    "0d0088f51cbff34d258dd3db21a5d66bb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555"
);

/// Compresses a point of G2 from x.c0, x.c1, y.c0, y.c1. `None` for another length. Does not check that this is a point:
/// whoever reads the result does.
pub(super) fn compressed(point: &[u8]) -> Option<[u8; 2 * FIELD]> {
    let ([x0, x1, y0, y1], []) = point.as_chunks::<FIELD>().0.split_first_chunk::<4>()? else {
        return None;
    };
    if point.len() != 4 * FIELD {
        return None;
    }
    // The order of the field's elements is that of their second coordinates, then of their first.
    let deciding = if y1.iter().all(|byte| *byte == 0) {
        y0
    } else {
        y1
    };
    let mut key = [0; 2 * FIELD];
    key[..FIELD].copy_from_slice(x1);
    key[FIELD..].copy_from_slice(x0);
    key[0] |= COMPRESSED | if *deciding > HALF { LARGER } else { 0 };
    Some(key)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::beacon::Beacon;
    use cheque_bindings::QUICKNET;

    #[test]
    fn compresses_quicknets_key() {
        let key = compressed(&QUICKNET.public_key).unwrap();
        let beacon = Beacon::new(&key, QUICKNET.genesis, QUICKNET.period);
        assert_eq!(beacon, Ok(Beacon::quicknet()));
    }

    #[test]
    fn refuses_another_length() {
        assert_eq!(compressed(&QUICKNET.public_key[1..]), None);
        assert_eq!(compressed(&[&QUICKNET.public_key[..], &[0]].concat()), None);
        assert_eq!(compressed(&[]), None);
    }
}
