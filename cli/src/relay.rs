//! Signed texts for a relayer: agreements to open a deposit and consents to redeem a cheque, each a line of hex.
//!
//! The bytes are ABI-encoded parameters, which other programs can read too:
//!
//! - agreement: `(uint256 chainId, address bank, Deposit deposit, uint256 deadline, bytes signature)`
//! - consent: `(uint256 chainId, address bank, bytes redemption)`, with the redemption packed as the bank takes it

use std::{fmt, str::FromStr};

use alloy::{
    hex,
    primitives::{Address, Bytes, U256},
    sol_types::SolValue,
};
use cheque::{Bank, Deposit, PackError, Redemption, Signature, payer::SignedOpening};
use eyre::{Result, WrapErr, ensure};

/// A payer's signed agreement: anybody may open its deposit until the deadline.
#[derive(Clone, Debug)]
pub(crate) struct Agreement {
    chain_id: U256,
    bank: Address,
    /// Deposit, deadline and signature.
    pub(crate) opening: SignedOpening,
}

impl Agreement {
    pub(crate) fn new(bank: &Bank, opening: SignedOpening) -> Self {
        Self {
            chain_id: U256::from(bank.chain_id()),
            bank: bank.address(),
            opening,
        }
    }

    /// Rejects use at another bank or chain, where the signature is invalid.
    pub(crate) fn check_bank(&self, bank: &Bank) -> Result<()> {
        check_bank(self.chain_id, self.bank, bank)
    }
}

impl fmt::Display for Agreement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let signature = Bytes::copy_from_slice(self.opening.signature.as_bytes());
        let opening = &self.opening;
        let fields = (
            self.chain_id,
            self.bank,
            opening.deposit.clone(),
            opening.deadline,
            signature,
        );
        f.write_str(&hex::encode_prefixed(fields.abi_encode_params()))
    }
}

impl FromStr for Agreement {
    type Err = eyre::Report;

    fn from_str(text: &str) -> Result<Self> {
        type Fields = (U256, Address, Deposit, U256, Bytes);
        let bytes = hex::decode(text).wrap_err("the text is not hexadecimal")?;
        let (chain_id, bank, deposit, deadline, signature) =
            Fields::abi_decode_params_validate(&bytes).wrap_err("the text is not an agreement")?;
        let signature: [u8; 65] = signature[..]
            .try_into()
            .wrap_err("the signature is not 65 bytes long")?;
        let opening = SignedOpening {
            deposit,
            deadline,
            signature: Signature::from_bytes(signature),
        };
        let read = Self {
            chain_id,
            bank,
            opening,
        };
        check_canonical(&read.to_string(), &bytes)?;
        Ok(read)
    }
}

/// A payee's signed consent: anybody may redeem its cheque, which is included.
#[derive(Clone, Debug)]
pub(crate) struct SignedConsent {
    chain_id: U256,
    bank: Address,
    /// The redemption, as the payee signed it.
    pub(crate) redemption: Redemption,
}

impl SignedConsent {
    pub(crate) fn new(bank: &Bank, redemption: Redemption) -> Self {
        Self {
            chain_id: U256::from(bank.chain_id()),
            bank: bank.address(),
            redemption,
        }
    }

    /// Formats the line for the relayer.
    pub(crate) fn to_text(&self) -> Result<String, PackError> {
        let fields = (self.chain_id, self.bank, self.redemption.pack()?);
        Ok(hex::encode_prefixed(fields.abi_encode_params()))
    }

    /// Rejects use at another bank or chain, where the signature is invalid.
    pub(crate) fn check_bank(&self, bank: &Bank) -> Result<()> {
        check_bank(self.chain_id, self.bank, bank)
    }
}

impl FromStr for SignedConsent {
    type Err = eyre::Report;

    fn from_str(text: &str) -> Result<Self> {
        let bytes = hex::decode(text).wrap_err("the text is not hexadecimal")?;
        let (chain_id, bank, packed) = <(U256, Address, Bytes)>::abi_decode_params_validate(&bytes)
            .wrap_err("the text is not a consent")?;
        let redemption = Redemption::unpack(&packed).wrap_err("the text is not a consent")?;
        let read = Self {
            chain_id,
            bank,
            redemption,
        };
        check_canonical(&read.to_text()?, &bytes)?;
        Ok(read)
    }
}

/// Rejects any encoding but the canonical: the decoder ignores trailing bytes and padding.
fn check_canonical(read: &str, bytes: &[u8]) -> Result<()> {
    ensure!(
        read == hex::encode_prefixed(bytes),
        "the text was changed in transit; send it again"
    );
    Ok(())
}

fn check_bank(chain_id: U256, address: Address, bank: &Bank) -> Result<()> {
    ensure!(
        chain_id == U256::from(bank.chain_id()) && address == bank.address(),
        "the text is signed for bank {address} on chain {chain_id}, not for {} on chain {}; use --rpc-url and --bank of \
         the former",
        bank.address(),
        bank.chain_id()
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy::primitives::B256;

    fn deposit() -> Deposit {
        Deposit {
            payer: Address::repeat_byte(1),
            signer: Address::repeat_byte(2),
            token: Address::ZERO,
            lane: 1,
            amount: u128::MAX,
            minPayout: 6,
            drawTime: 7,
            redeemUntil: 8,
            root: B256::repeat_byte(9),
        }
    }

    /// Asserts that only the whole text is parsed.
    fn assert_refuses_changes<T: FromStr>(text: &str) {
        let (cut, longer) = (&text[..text.len() - 64], format!("{text}00"));
        for bad in ["", "0x", "hello", cut, &longer] {
            assert!(bad.parse::<T>().is_err(), "{bad}");
        }
    }

    #[test]
    fn parses_consent_and_binds_it_to_its_bank() {
        let bank = Bank::new(1, Address::repeat_byte(3));
        let redemption = Redemption {
            deposit: deposit(),
            payee: Address::repeat_byte(5),
            spent: 6,
            signature: vec![7; 65].into(),
            siblings: vec![8; 96].into(),
            consent: vec![9; 65].into(),
            ..Redemption::default()
        };
        let text = SignedConsent::new(&bank, redemption.clone())
            .to_text()
            .unwrap();
        let read: SignedConsent = text.parse().unwrap();
        assert_eq!(read.redemption, redemption);
        assert!(read.check_bank(&bank).is_ok());
        assert!(read.check_bank(&Bank::new(2, bank.address())).is_err());
        assert!(read.check_bank(&Bank::new(1, Address::ZERO)).is_err());
        assert_refuses_changes::<SignedConsent>(&text);
    }

    #[test]
    fn rejects_consent_that_is_not_canonical() {
        let bank = Bank::new(1, Address::repeat_byte(3));
        let plain = Redemption {
            signature: vec![7; 65].into(),
            ..Redemption::default()
        };
        let mut packed = plain.pack().unwrap().to_vec();
        // A stream of zeros, which unpacks to no stream.
        packed[307] = 1;
        packed.extend([0; 82]);
        assert_eq!(Redemption::unpack(&packed), Ok(plain));
        let fields = (U256::from(1), bank.address(), Bytes::from(packed));
        let text = hex::encode_prefixed(fields.abi_encode_params());
        assert!(text.parse::<SignedConsent>().is_err());
    }

    #[test]
    fn parses_agreement_and_binds_it_to_its_bank() {
        let bank = Bank::new(1, Address::repeat_byte(3));
        let opening = SignedOpening {
            deposit: deposit(),
            deadline: U256::from(5),
            signature: Signature::from_bytes([4; 65]),
        };
        let text = Agreement::new(&bank, opening).to_string();
        let read: Agreement = text.parse().unwrap();
        assert_eq!(read.to_string(), text);
        assert_eq!(read.opening.deposit, deposit());
        assert!(read.check_bank(&bank).is_ok());
        assert!(read.check_bank(&Bank::new(2, bank.address())).is_err());
        assert!(read.check_bank(&Bank::new(1, Address::ZERO)).is_err());
        assert_refuses_changes::<Agreement>(&text);
    }
}
