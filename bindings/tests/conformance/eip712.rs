//! The EIP-712 type strings, and the contract's domain and ids.

use alloy_primitives::{B256, FixedBytes, U256, address, keccak256};
use alloy_sol_types::SolStruct;
use cheque_bindings::{
    Cheque, Consent, Deposit, Fund, IChequeBank, MIN_LEAD, NAME, Open, QUICKNET, VERSION, Withdraw,
    domain,
};

use crate::chain::{CHAIN_ID, Chain};

fn deposit() -> Deposit {
    Deposit {
        payer: address!("1111111111111111111111111111111111111111"),
        signer: address!("2222222222222222222222222222222222222222"),
        token: address!("3333333333333333333333333333333333333333"),
        lane: u64::MAX,
        amount: u128::MAX,
        minPayout: 0x0123_4567_89ab_cdef_0123_4567_89ab_cdef,
        drawTime: 1_800_000_000,
        redeemUntil: 1_800_086_400,
        root: B256::repeat_byte(0xf7),
    }
}

#[test]
fn type_strings_are_those_of_the_protocol() {
    assert_eq!(
        Deposit::eip712_encode_type(),
        "Deposit(address payer,address signer,address token,uint64 lane,uint128 amount,uint128 minPayout,uint64 drawTime,uint64 redeemUntil,bytes32 root)"
    );
    assert_eq!(
        Cheque::eip712_encode_type(),
        "Cheque(bytes32 depositId,address payee,uint128 spent,bytes32 anchor,uint128 step)"
    );
    assert_eq!(
        Open::eip712_encode_type(),
        "Open(bytes32 depositId,uint256 deadline)"
    );
    assert_eq!(
        Consent::eip712_encode_type(),
        "Consent(bytes32 depositId,address payee,uint128 spent,address to)"
    );
    assert_eq!(
        Withdraw::eip712_encode_type(),
        "Withdraw(address account,address token,uint64 lane,uint256 amount,address to,uint256 nonce,uint256 deadline)"
    );
    assert_eq!(
        Fund::eip712_encode_type(),
        "Fund(address from,address token,address account,uint256 amount,bytes32 salt)"
    );
}

#[test]
fn contract_has_the_domain_of_the_signatures() {
    let (mut chain, bank) = Chain::with_bank(MIN_LEAD, &QUICKNET);
    let answer = chain.view(bank, IChequeBank::eip712DomainCall {});
    let ours = domain(CHAIN_ID, bank);

    assert_eq!(answer.fields, FixedBytes([0b01111]));
    assert_eq!(
        (answer.name.as_str(), answer.version.as_str()),
        (NAME, VERSION)
    );
    assert_eq!(Some(answer.name.as_str()), ours.name.as_deref());
    assert_eq!(Some(answer.version.as_str()), ours.version.as_deref());
    assert_eq!(Some(answer.chainId), ours.chain_id);
    assert_eq!(Some(answer.verifyingContract), ours.verifying_contract);
    assert_eq!((answer.salt, ours.salt), (B256::ZERO, None));
    assert_eq!(answer.extensions, Vec::<U256>::new());
}

#[test]
fn contract_computes_the_same_deposit_id() {
    let (mut chain, bank) = Chain::with_bank(MIN_LEAD, &QUICKNET);
    let id = |deposit: &Deposit| deposit.eip712_signing_hash(&domain(CHAIN_ID, bank));

    // Deposits that differ in one term each, so that a swapped or missing term shows.
    let base = deposit();
    let mut deposits = vec![base.clone()];
    deposits.push(Deposit {
        payer: base.signer,
        ..base.clone()
    });
    deposits.push(Deposit {
        signer: base.payer,
        ..base.clone()
    });
    deposits.push(Deposit {
        token: Default::default(),
        ..base.clone()
    });
    deposits.push(Deposit {
        lane: 1,
        ..base.clone()
    });
    deposits.push(Deposit {
        amount: 1,
        ..base.clone()
    });
    deposits.push(Deposit {
        minPayout: 0,
        ..base.clone()
    });
    deposits.push(Deposit {
        drawTime: 0,
        ..base.clone()
    });
    deposits.push(Deposit {
        redeemUntil: 0,
        ..base.clone()
    });
    deposits.push(Deposit {
        root: keccak256("root"),
        ..base
    });

    for deposit in deposits {
        let ours = id(&deposit);
        assert_eq!(
            chain.view(bank, IChequeBank::depositIdCall { deposit }),
            ours
        );
    }
}
