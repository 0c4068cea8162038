//! The contract accepts signatures over Rust's hashes, and no others.

use alloy_primitives::{Address, B256, Bytes, FixedBytes, Signature, U256, address, keccak256};
use alloy_sol_types::{SolCall, SolError, SolEvent, SolStruct, sol};
use cheque_bindings::IChequeBank::{
    InvalidSignature, NonceConsumed, NotRedeemable, Opened, Redeemed, Withdrawn, fundCall,
    fundWithAuthorizationCall, openForCall, outcomeOfCall, purseCall, redeemCall, withdrawForCall,
};
use cheque_bindings::{
    Authorization, Cheque, Consent, Deposit, Fund, MIN_LEAD, Open, Outcome, QUICKNET, Redemption,
    Withdraw, domain,
};
use k256::ecdsa::SigningKey;
use serde_json::Value;

use crate::artifacts::read;
use crate::chain::{CHAIN_ID, Chain, START};

sol! {
    /// ERC-3009.
    function receiveWithAuthorization(
        address from, address to, uint256 value, uint256 validAfter, uint256 validBefore, bytes32 nonce,
        uint8 v, bytes32 r, bytes32 s
    ) external;
}

const RELAYER: Address = address!("4e1a7e4000000000000000000000000000000001");
const AMOUNT: u128 = 1_000_000_007;
const SPENT: u128 = 600_000_001;
/// A deadline a day later.
const NOON: U256 = U256::from_limbs([START + 86_400, 0, 0, 0]);
/// The time of quicknet's round 1000.
const DRAW: u64 = START + 3_000;

struct Key(SigningKey);

impl Key {
    fn new(seed: u8) -> Self {
        Self(SigningKey::from_slice(&[seed; 32]).expect("a key"))
    }

    fn address(&self) -> Address {
        Address::from_public_key(self.0.verifying_key())
    }

    fn sign(&self, message: &impl SolStruct, bank: Address) -> Bytes {
        let digest = message.eip712_signing_hash(&domain(CHAIN_ID, bank));
        let signature = self
            .0
            .sign_prehash_recoverable(digest.as_slice())
            .expect("a signature");
        Signature::from(signature).as_bytes().into()
    }
}

/// A deposit in the native coin for one payee, not yet opened but paid for: `payer`'s balance holds twice the amount.
struct Scene {
    chain: Chain,
    bank: Address,
    payer: Key,
    signer: Key,
    payee: Key,
    salt: FixedBytes<16>,
    deposit: Deposit,
    id: B256,
}

impl Scene {
    fn new() -> Self {
        let (mut chain, bank) = Chain::with_bank(MIN_LEAD, &QUICKNET);
        let (payer, signer, payee) = (Key::new(1), Key::new(2), Key::new(3));
        let salt = FixedBytes::<16>::repeat_byte(0x5a);

        // A tree of one leaf: its hash is the root, its range the whole deposit.
        let mut leaf = payee.address().to_vec();
        leaf.extend(AMOUNT.to_be_bytes());
        leaf.extend(salt);
        let deposit = Deposit {
            payer: payer.address(),
            signer: signer.address(),
            token: Address::ZERO,
            lane: 1,
            amount: AMOUNT,
            minPayout: 0,
            drawTime: DRAW,
            redeemUntil: DRAW + 86_400,
            root: keccak256(leaf),
        };

        let amount = U256::from(2 * AMOUNT);
        let fund = fundCall {
            token: Address::ZERO,
            account: payer.address(),
            amount,
        };
        chain
            .call(RELAYER, bank, amount, fund)
            .expect("the balance is funded");
        let id = deposit.eip712_signing_hash(&domain(CHAIN_ID, bank));
        Self {
            chain,
            bank,
            payer,
            signer,
            payee,
            salt,
            deposit,
            id,
        }
    }

    fn send<C: SolCall>(&mut self, call: C) -> Result<C::Return, Bytes> {
        self.chain.call(RELAYER, self.bank, U256::ZERO, call)
    }

    fn event<E: SolEvent>(&self) -> E {
        let [log] = self.chain.logs.as_slice() else {
            panic!("one event is expected")
        };
        assert_eq!(log.address, self.bank);
        E::decode_log_data_validate(&log.data).expect("the event has the interface's types")
    }

    fn open(&mut self, message: &Open) -> Result<B256, Bytes> {
        let signature = self.payer.sign(message, self.bank);
        self.send(openForCall {
            deposit: self.deposit.clone(),
            deadline: NOON,
            signature,
        })
    }

    /// A packed redemption.
    fn redemption(&self, cheque: &Cheque, consent: &Consent) -> Bytes {
        let redemption = Redemption {
            deposit: self.deposit.clone(),
            allowance: AMOUNT,
            salt: self.salt,
            payee: self.payee.address(),
            spent: SPENT,
            anchor: cheque.anchor,
            step: cheque.step,
            signature: self.signer.sign(cheque, self.bank),
            consent: self.payee.sign(consent, self.bank),
            ..Redemption::default()
        };
        redemption.pack().expect("a redemption with a signature")
    }
}

/// A real signature, uncompressed.
fn proof_of_round_1000() -> Bytes {
    let vectors = read(
        "contracts/test/vectors/quicknet.json",
        "it belongs to the repository",
    );
    let vectors: Value = serde_json::from_str(&vectors).expect("the vectors are JSON");
    let round = &vectors["rounds"][0];
    assert_eq!(round["round"], 1_000);
    let proof = round["proof"].as_str().expect("the round has a proof");
    proof.parse().expect("the proof is hexadecimal")
}

fn invalid(account: Address) -> Bytes {
    InvalidSignature { account }.abi_encode().into()
}

#[test]
fn deposit_opens_only_by_the_signed_open() {
    let mut scene = Scene::new();
    let (id, payer) = (scene.id, scene.payer.address());
    let later = Open {
        depositId: id,
        deadline: NOON + U256::ONE,
    };
    assert_eq!(scene.open(&later).unwrap_err(), invalid(payer));

    assert_eq!(
        scene
            .open(&Open {
                depositId: id,
                deadline: NOON
            })
            .unwrap(),
        id
    );

    let opened: Opened = scene.event();
    assert_eq!((opened.depositId, opened.root), (id, scene.deposit.root));
    let purse = purseCall {
        account: payer,
        token: Address::ZERO,
        lane: 1,
    };
    assert_eq!(scene.chain.view(scene.bank, purse).openDepositId, id);
}

#[test]
fn cheque_is_paid_only_with_signatures_of_signer_and_payee() {
    let mut scene = Scene::new();
    scene
        .open(&Open {
            depositId: scene.id,
            deadline: NOON,
        })
        .unwrap();
    scene.chain.mine_at(DRAW + 1);
    let proof = proof_of_round_1000();

    let (id, payee) = (scene.id, scene.payee.address());
    let (anchor, step) = (keccak256("anchor"), 7);
    let cheque = Cheque {
        depositId: id,
        payee,
        spent: SPENT,
        anchor,
        step,
    };
    let consent = Consent {
        depositId: id,
        payee,
        spent: SPENT,
        to: Address::ZERO,
    };

    let smaller = Cheque {
        spent: SPENT - 1,
        ..cheque.clone()
    };
    let redemption = scene.redemption(&smaller, &consent);
    let outcome = scene
        .send(outcomeOfCall {
            redemption,
            proof: proof.clone(),
        })
        .unwrap()
        .outcome;
    assert_eq!(outcome, Outcome::BadSignature);

    let elsewhere = Consent {
        to: RELAYER,
        ..consent.clone()
    };
    let redemption = scene.redemption(&cheque, &elsewhere);
    let refused = NotRedeemable {
        outcome: Outcome::ConsentMissing,
    }
    .abi_encode();
    let call = redeemCall {
        redemption,
        proof: proof.clone(),
    };
    assert_eq!(scene.send(call).unwrap_err(), refused);

    let redemption = scene.redemption(&cheque, &consent);
    let without = redeemCall {
        redemption,
        proof: Bytes::new(),
    };
    let refused = NotRedeemable {
        outcome: Outcome::SeedUnknown,
    }
    .abi_encode();
    assert_eq!(scene.send(without).unwrap_err(), refused);

    let redemption = scene.redemption(&cheque, &consent);
    assert_eq!(scene.send(redeemCall { redemption, proof }).unwrap(), SPENT);
    let event: Redeemed = scene.event();
    let redeemed = Redeemed {
        depositId: id,
        payee,
        to: Address::ZERO,
        spent: SPENT,
        payout: SPENT,
    };
    assert_eq!(event, redeemed);
}

#[test]
fn money_is_withdrawn_only_by_the_signed_withdraw() {
    let mut scene = Scene::new();
    let message = Withdraw {
        account: scene.payer.address(),
        token: Address::ZERO,
        lane: 0,
        amount: U256::from(AMOUNT),
        to: address!("7000000000000000000000000000000000000007"),
        nonce: U256::MAX,
        deadline: NOON,
    };
    let call = |signature| withdrawForCall {
        account: message.account,
        token: message.token,
        lane: message.lane,
        amount: message.amount,
        to: message.to,
        nonce: message.nonce,
        deadline: message.deadline,
        signature,
    };

    let other = Withdraw {
        to: RELAYER,
        ..message.clone()
    };
    let signature = scene.payer.sign(&other, scene.bank);
    assert_eq!(
        scene.send(call(signature)).err(),
        Some(invalid(message.account))
    );

    let signature = scene.payer.sign(&message, scene.bank);
    scene.send(call(signature)).unwrap();
    let [consumed, withdrawn] = scene.chain.logs.as_slice() else {
        panic!("two events are expected")
    };
    let consumed = NonceConsumed::decode_log_data_validate(&consumed.data).unwrap();
    let expected = NonceConsumed {
        account: message.account,
        nonce: U256::MAX,
    };
    assert_eq!(consumed, expected);
    let event = Withdrawn::decode_log_data_validate(&withdrawn.data).unwrap();
    let Withdraw {
        account,
        token,
        lane,
        amount,
        to,
        ..
    } = message;
    assert_eq!(
        event,
        Withdrawn {
            account,
            token,
            lane,
            amount,
            to
        }
    );
}

#[test]
fn funding_authorization_has_the_digest_of_fund_as_nonce() {
    let mut scene = Scene::new();
    let token = address!("70ce000000000000000000000000000000000001");
    // Answers 32 zero bytes to every call, so that the bank goes on to call `receiveWithAuthorization`.
    scene.chain.put_code(token, &[0x60, 0x20, 0x5f, 0xf3]);

    let (from, account) = (scene.payer.address(), scene.payee.address());
    let (amount, salt) = (U256::from(AMOUNT), keccak256("salt"));
    let authorization = Authorization {
        value: amount,
        ..Authorization::default()
    };
    let call = fundWithAuthorizationCall {
        from,
        token,
        account,
        salt,
        authorization,
    };
    assert!(
        scene.send(call).is_err(),
        "the bank accepted a transfer of nothing"
    );

    let asked: Vec<_> = scene
        .chain
        .calls_to(token)
        .iter()
        .filter_map(|input| receiveWithAuthorizationCall::abi_decode_validate(input).ok())
        .collect();
    let [asked] = asked.as_slice() else {
        panic!("the bank calls the token once")
    };
    let fund = Fund {
        from,
        token,
        account,
        amount,
        salt,
    };
    assert_eq!(
        asked.nonce,
        fund.eip712_signing_hash(&domain(CHAIN_ID, scene.bank))
    );
}
