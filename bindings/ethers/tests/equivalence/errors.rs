//! All errors.

use std::collections::BTreeSet;

use ::ethers::contract::{ContractRevert, EthError};
use ::ethers::core::abi::AbiEncode;
use alloy_sol_types::{SolError, SolInterface, SolType};
use cheque_bindings::{IChequeBank, IChequeBankErrors, IDrandBank, IDrandBankErrors};
use cheque_bindings_ethers::{self as ethers, ChequeBankErrors, DrandBankErrors};

/// Revert data of the error: its parameters are 1, 2, 3, … (each is one word, and the least enum has three values).
fn revert_data<A: SolError>() -> Vec<u8> {
    let size = <A::Parameters<'_> as SolType>::ENCODED_SIZE.expect("no parameter is variable");
    let mut data = A::SELECTOR.to_vec();
    for n in 1..=size / 32 {
        data.extend([0; 31]);
        data.push(u8::try_from(n).expect("few parameters"));
    }
    data
}

fn same<A: SolError, E: EthError, All: ContractRevert + AbiEncode>() -> [u8; 4] {
    assert_eq!(E::abi_signature(), A::SIGNATURE);
    assert_eq!(E::selector(), A::SELECTOR, "{}", A::SIGNATURE);

    let data = revert_data::<A>();
    let read = A::abi_decode_raw_validate(&data[4..]).expect("alloy reads the error");
    assert_eq!(read.abi_encode(), data);
    let read = E::decode_with_selector(&data).expect("ethers reads the error");
    assert_eq!(read.encode(), data, "{}", A::SIGNATURE);
    assert!(All::valid_selector(A::SELECTOR), "{}", A::SIGNATURE);
    let read = All::decode_with_selector(&data).expect("ethers knows the error");
    assert_eq!(read.encode(), data, "{}", A::SIGNATURE);

    A::SELECTOR
}

macro_rules! same_errors {
    ($alloy:ident, $all:ident: $($name:ident)*) => {
        BTreeSet::from([$(same::<$alloy::$name, ethers::$name, $all>()),*])
    };
}

#[test]
fn every_error_is_the_same() {
    let compared = same_errors! {
        IChequeBank, ChequeBankErrors:
        AmountTooHigh DepositNotOpen DrawTooSoon InsufficientFunds InvalidRecipient InvalidSeedProof
        InvalidSignature LeadOutOfRange LengthMismatch MinPayoutTooHigh NonceUsed NotAToken NotPayer
        NotRedeemable PurseBusy PurseMismatch RedeemWindowEmpty Reentered SeedUnknown SignatureExpired
        StillRedeemable UnusableId WrongAmountReceived WrongValue ZeroAmount ZeroLane ZeroSigner
    };
    assert_eq!(compared, IChequeBankErrors::selectors().collect());

    let compared = same_errors! {
        IDrandBank, DrandBankErrors:
        DrawBeforeGenesis DrawOffSchedule InvalidPublicKey InvalidSchedule NoPrecompiles
    };
    assert_eq!(compared, IDrandBankErrors::selectors().collect());
}
