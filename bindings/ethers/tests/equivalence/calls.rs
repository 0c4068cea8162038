//! Calldata of all functions, and return values.

use std::collections::BTreeSet;

use ::ethers::contract::EthCall;
use ::ethers::core::abi::{AbiDecode, AbiEncode};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::{SolCall, SolInterface};
use cheque_bindings::IChequeBank::{self as alloy, IChequeBankCalls};
use cheque_bindings::{IDrandBank, IDrandBankCalls, Outcome};
use cheque_bindings_ethers::{self as ethers, ChequeBankCalls, DrandBankCalls};

use crate::values::{
    account, authorization, bytes, deposit, eth_address, eth_authorization, eth_bytes, eth_deposit,
    eth_number, number, word,
};

/// The functions whose calldata was compared.
#[derive(Default)]
struct Compared(BTreeSet<[u8; 4]>);

impl Compared {
    fn same<A, E>(&mut self, alloy: A, ethers: E)
    where
        A: SolCall,
        E: EthCall + AbiEncode + Into<ChequeBankCalls>,
    {
        self.same_in::<A, E, ChequeBankCalls>(alloy, ethers);
    }

    fn same_in<A, E, All>(&mut self, alloy: A, ethers: E)
    where
        A: SolCall,
        E: EthCall + AbiEncode + Into<All>,
        All: AbiEncode + AbiDecode,
    {
        assert_eq!(E::selector(), A::SELECTOR, "{}", A::SIGNATURE);
        let calldata = alloy.abi_encode();

        // ethers encodes its call to alloy's bytes, and also the call that it decodes from these bytes: its types with
        // many fields cannot be compared directly.
        let meant: All = ethers.into();
        assert_eq!(meant.encode(), calldata, "{}", A::SIGNATURE);
        let read = All::decode(&calldata).expect("ethers reads alloy's calldata");
        assert_eq!(read.encode(), calldata, "{}", A::SIGNATURE);

        assert!(
            self.0.insert(A::SELECTOR),
            "{} is compared twice",
            A::SIGNATURE
        );
    }
}

#[test]
fn every_function_has_the_same_calldata() {
    let mut calls = Compared::default();
    money_and_payer(&mut calls);
    draw_and_views(&mut calls);

    let all: BTreeSet<_> = IChequeBankCalls::selectors().collect();
    assert_eq!(calls.0, all);

    let mut calls = Compared::default();
    calls.same_in::<_, _, DrandBankCalls>(IDrandBank::publicKeyCall {}, ethers::PublicKeyCall);
    calls.same_in::<_, _, DrandBankCalls>(IDrandBank::genesisCall {}, ethers::GenesisCall);
    calls.same_in::<_, _, DrandBankCalls>(IDrandBank::periodCall {}, ethers::PeriodCall);
    let all: BTreeSet<_> = IDrandBankCalls::selectors().collect();
    assert_eq!(calls.0, all);
}

fn money_and_payer(calls: &mut Compared) {
    let (token, owner, amount) = (account(1), account(2), number(3));
    calls.same(
        alloy::fundCall {
            token,
            account: owner,
            amount,
        },
        ethers::FundCall {
            token: eth_address(token),
            account: eth_address(owner),
            amount: eth_number(amount),
        },
    );

    let (from, salt, authorization) = (account(4), word(5), authorization());
    calls.same(
        alloy::fundWithAuthorizationCall {
            from,
            token,
            account: owner,
            salt,
            authorization: authorization.clone(),
        },
        ethers::FundWithAuthorizationCall {
            from: eth_address(from),
            token: eth_address(token),
            account: eth_address(owner),
            salt: salt.0,
            authorization: eth_authorization(&authorization),
        },
    );

    let (terms, next) = (deposit(6), deposit(7));
    let (eth_terms, eth_next) = (eth_deposit(&terms), eth_deposit(&next));
    calls.same(
        alloy::openCall {
            deposit: terms.clone(),
        },
        ethers::OpenCall {
            deposit: eth_terms.clone(),
        },
    );

    let (deadline, signature) = (number(8), bytes(9, 65));
    calls.same(
        alloy::openForCall {
            deposit: terms.clone(),
            deadline,
            signature: signature.clone(),
        },
        ethers::OpenForCall {
            deposit: eth_terms.clone(),
            deadline: eth_number(deadline),
            signature: eth_bytes(&signature),
        },
    );
    calls.same(
        alloy::openWithAuthorizationCall {
            deposit: terms.clone(),
            authorization: authorization.clone(),
        },
        ethers::OpenWithAuthorizationCall {
            deposit: eth_terms.clone(),
            authorization: eth_authorization(&authorization),
        },
    );
    calls.same(
        alloy::reopenCall {
            expired: terms.clone(),
            next,
        },
        ethers::ReopenCall {
            expired: eth_terms.clone(),
            next: eth_next,
        },
    );
    calls.same(
        alloy::reclaimCall { deposit: terms },
        ethers::ReclaimCall { deposit: eth_terms },
    );

    let (lane, to, nonce) = (u64::MAX - 1, account(10), number(11));
    calls.same(
        alloy::withdrawCall {
            token,
            lane,
            amount,
            to,
        },
        ethers::WithdrawCall {
            token: eth_address(token),
            lane,
            amount: eth_number(amount),
            to: eth_address(to),
        },
    );
    calls.same(
        alloy::withdrawForCall {
            account: owner,
            token,
            lane,
            amount,
            to,
            nonce,
            deadline,
            signature: signature.clone(),
        },
        ethers::WithdrawForCall {
            account: eth_address(owner),
            token: eth_address(token),
            lane,
            amount: eth_number(amount),
            to: eth_address(to),
            nonce: eth_number(nonce),
            deadline: eth_number(deadline),
            signature: eth_bytes(&signature),
        },
    );
}

fn draw_and_views(calls: &mut Compared) {
    let (draw_time, proof) = (u64::MAX - 20, bytes(21, 96));
    calls.same(
        alloy::recordSeedCall {
            drawTime: draw_time,
            proof: proof.clone(),
        },
        ethers::RecordSeedCall {
            draw_time,
            proof: eth_bytes(&proof),
        },
    );

    // Packed redemptions of several lengths, one empty.
    let items = vec![bytes(27, 740), bytes(28, 1_348), Bytes::new()];
    let eth_items: Vec<_> = items.iter().map(eth_bytes).collect();
    calls.same(
        alloy::redeemCall {
            redemption: items[0].clone(),
            proof: proof.clone(),
        },
        ethers::RedeemCall {
            redemption: eth_items[0].clone(),
            proof: eth_bytes(&proof),
        },
    );
    calls.same(
        alloy::outcomeOfCall {
            redemption: items[1].clone(),
            proof: Bytes::new(),
        },
        ethers::OutcomeOfCall {
            redemption: eth_items[1].clone(),
            proof: eth_bytes(&Bytes::new()),
        },
    );
    let (times, proofs) = (vec![draw_time, 29], vec![proof, bytes(30, 97)]);
    let eth_proofs = proofs.iter().map(eth_bytes).collect();
    calls.same(
        alloy::redeemBatchCall {
            redemptions: items,
            drawTimes: times.clone(),
            proofs,
        },
        ethers::RedeemBatchCall {
            redemptions: eth_items,
            draw_times: times,
            proofs: eth_proofs,
        },
    );

    let terms = deposit(22);
    let eth_terms = eth_deposit(&terms);
    calls.same(
        alloy::depositIdCall {
            deposit: terms.clone(),
        },
        ethers::DepositIdCall {
            deposit: eth_terms.clone(),
        },
    );
    calls.same(
        alloy::rollOfCall { deposit: terms },
        ethers::RollOfCall { deposit: eth_terms },
    );

    let (owner, token, lane, nonce) = (account(23), account(24), 25, number(26));
    calls.same(
        alloy::purseCall {
            account: owner,
            token,
            lane,
        },
        ethers::PurseCall {
            account: eth_address(owner),
            token: eth_address(token),
            lane,
        },
    );
    calls.same(
        alloy::nonceUsedCall {
            account: owner,
            nonce,
        },
        ethers::NonceUsedCall {
            account: eth_address(owner),
            nonce: eth_number(nonce),
        },
    );
    calls.same(
        alloy::seedCall {
            drawTime: draw_time,
        },
        ethers::SeedCall { draw_time },
    );
    calls.same(alloy::minLeadCall {}, ethers::MinLeadCall);
    calls.same(alloy::eip712DomainCall {}, ethers::Eip712DomainCall);
}

#[test]
fn reads_multiple_return_values_in_the_same_order() {
    let purse = alloy::purseReturn {
        idle: U256::from(5),
        openDepositId: word(1),
    };
    let purse = alloy::purseCall::abi_encode_returns(&purse);
    assert_eq!(
        ethers::PurseReturn::decode(purse).unwrap(),
        ethers::PurseReturn {
            idle: 5.into(),
            open_deposit_id: word(1).0
        }
    );

    let outcome = alloy::outcomeOfReturn {
        outcome: Outcome::Loses,
        payout: u128::MAX,
    };
    let outcome = alloy::outcomeOfCall::abi_encode_returns(&outcome);
    assert_eq!(
        ethers::OutcomeOfReturn::decode(outcome).unwrap(),
        ethers::OutcomeOfReturn {
            outcome: Outcome::Loses as u8,
            payout: u128::MAX
        }
    );

    let payouts = alloy::redeemBatchCall::abi_encode_returns(&vec![7, 0, u128::MAX]);
    assert_eq!(
        ethers::RedeemBatchReturn::decode(payouts).unwrap(),
        ethers::RedeemBatchReturn {
            payouts: vec![7, 0, u128::MAX]
        }
    );

    let key = IDrandBank::publicKeyCall::abi_encode_returns(&bytes(31, 192));
    assert_eq!(
        ethers::PublicKeyReturn::decode(key).unwrap(),
        ethers::PublicKeyReturn(eth_bytes(&bytes(31, 192)))
    );

    let domain = alloy::eip712DomainReturn {
        fields: [0x0f].into(),
        name: "ChequeBank".into(),
        version: "1".into(),
        chainId: U256::from(560_048),
        verifyingContract: Address::repeat_byte(3),
        salt: word(4),
        extensions: vec![number(5)],
    };
    assert_eq!(
        ethers::Eip712DomainReturn::decode(alloy::eip712DomainCall::abi_encode_returns(&domain))
            .unwrap(),
        ethers::Eip712DomainReturn {
            fields: [0x0f],
            name: domain.name,
            version: domain.version,
            chain_id: 560_048.into(),
            verifying_contract: eth_address(domain.verifyingContract),
            salt: word(4).0,
            extensions: vec![eth_number(number(5))],
        }
    );
}
