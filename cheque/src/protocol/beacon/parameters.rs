//! A beacon's settings in the form of a bank: its public key uncompressed, c0 before c1.

use super::{
    Beacon, InvalidBeacon, backend,
    point::{FIELD, G2, PRIME, PointError},
};
use cheque_bindings::BeaconParameters;

/// The length of an uncompressed point of G2.
const KEY: usize = 2 * G2;

/// The first bits of a compressed point, with y the smaller or the larger of its two values.
const SIGNS: [u8; 2] = [0x80, 0xa0];

impl Beacon {
    /// Returns the settings of a bank that draws by this beacon.
    pub fn parameters(&self) -> BeaconParameters {
        BeaconParameters {
            public_key: swapped(&backend::uncompressed_key(&self.key)),
            genesis: self.genesis,
            period: self.period,
        }
    }
}

impl TryFrom<&BeaconParameters> for Beacon {
    type Error = InvalidBeacon;

    /// Reads a bank's settings.
    ///
    /// # Errors
    ///
    /// [`InvalidBeacon`] names the first condition that fails.
    fn try_from(bank: &BeaconParameters) -> Result<Self, InvalidBeacon> {
        let key = &bank.public_key;
        if key.iter().all(|byte| *byte == 0) {
            return Err(InvalidBeacon::PublicKey(PointError::Identity));
        }
        if key.chunks_exact(FIELD).any(|part| part >= &PRIME[..]) {
            return Err(InvalidBeacon::PublicKey(PointError::NotCanonical));
        }
        // The sign of y is found by trying both.
        for sign in SIGNS {
            let mut x = [0; G2];
            x.copy_from_slice(&swapped(key)[..G2]);
            x[0] |= sign;
            let beacon = Self::new(&x, bank.genesis, bank.period)?;
            if beacon.parameters().public_key == *key {
                return Ok(beacon);
            }
        }
        Err(InvalidBeacon::PublicKey(PointError::OffCurve))
    }
}

/// Exchanges c0 and c1 of both coordinates: the bank has c0 first, the usual form of points c1.
fn swapped(key: &[u8; KEY]) -> [u8; KEY] {
    let mut other = [0; KEY];
    for (to, from) in [(0, 1), (1, 0), (2, 3), (3, 2)] {
        other[to * FIELD..][..FIELD].copy_from_slice(&key[from * FIELD..][..FIELD]);
    }
    other
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::beacon::local::LocalBeacon;
    use alloy_primitives::hex;
    use cheque_bindings::QUICKNET;

    #[test]
    fn converts_quicknet_to_its_bank_and_back() {
        let quicknet = Beacon::quicknet();
        assert_eq!(quicknet.parameters(), QUICKNET);
        assert_eq!(Beacon::try_from(&QUICKNET), Ok(quicknet));
    }

    #[test]
    fn has_the_key_of_the_vectors_in_both_forms() {
        let text = include_str!("../../../../contracts/test/vectors/quicknet.json");
        let file: serde_json::Value = serde_json::from_str(text).unwrap();
        let quicknet = Beacon::try_from(&QUICKNET).unwrap();
        assert_eq!(hex::encode_prefixed(QUICKNET.public_key), file["publicKey"]);
        assert_eq!(
            hex::encode_prefixed(quicknet.public_key()),
            file["publicKeyCompressed"]
        );
    }

    #[test]
    fn converts_keys_with_either_sign_of_y() {
        let mut larger = 0;
        for secret in 1..=16 {
            let local = LocalBeacon::new(&[secret; 32], 1_000, 5).unwrap();
            let beacon = local.beacon();
            assert_eq!(Beacon::try_from(&beacon.parameters()).as_ref(), Ok(beacon));
            larger += u8::from(beacon.public_key()[0] & 0x20 != 0);
        }
        assert!((1..16).contains(&larger), "{larger} of 16");
    }

    #[test]
    fn refuses_keys_that_no_bank_takes() {
        let error = |change: &dyn Fn(&mut [u8; KEY])| {
            let mut bank = QUICKNET;
            change(&mut bank.public_key);
            Beacon::try_from(&bank).unwrap_err()
        };
        let reason = InvalidBeacon::PublicKey;
        assert_eq!(error(&|key| *key = [0; KEY]), reason(PointError::Identity));
        for part in 0..4 {
            let put = |value: [u8; FIELD]| {
                error(&move |key| key[part * FIELD..][..FIELD].copy_from_slice(&value))
            };
            assert_eq!(put(PRIME), reason(PointError::NotCanonical));
            assert_eq!(put([0xff; FIELD]), reason(PointError::NotCanonical));
        }
        // Another y than the two of this x.
        assert_eq!(
            error(&|key| key[KEY - 1] ^= 1),
            reason(PointError::OffCurve)
        );
        let of_other_x = error(&|key| key[FIELD - 1] ^= 1);
        assert!(matches!(
            of_other_x,
            InvalidBeacon::PublicKey(PointError::OffCurve | PointError::OutsideSubgroup)
        ));
        let endless = BeaconParameters {
            period: 0,
            ..QUICKNET
        };
        assert_eq!(Beacon::try_from(&endless), Err(InvalidBeacon::ZeroPeriod));
    }
}
