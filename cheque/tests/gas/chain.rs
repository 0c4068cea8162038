//! A node with a bank, and the means to measure gas.

use crate::figures::Figure;
use crate::node::{Node, World};
use alloy::{providers::Provider, rpc::types::TransactionReceipt};
use alloy_primitives::{Address, B256, Bytes, U256, aliases::U40, keccak256};
use cheque::tx::Call;
use cheque::{
    AllowanceTree, Amount, Bank, Deposit, DepositId, MasterSalt, Redemption, SignedCheque,
    SigningKey, Stream, draw_time_from,
};
use serde_json::json;
use std::{ops::Range, time::Duration};
use tokio::time::sleep;

/// More than any transaction here uses, below the limit of EIP-7825.
const GAS_LIMIT: u64 = 16_000_000;

/// The time of the first block, in 2033.
const START: u64 = 2_000_000_000;

/// Seconds between the rounds of the beacon, as of quicknet.
pub(crate) const PERIOD: u64 = 3;

/// Seconds from a draw to the end of its redemption window: a day.
pub(crate) const WINDOW: u64 = 86_400;

/// Pause between polls for a receipt: the node answers before its block is mined.
const PAUSE: Duration = Duration::from_millis(2);
const TRIES: usize = 10_000;

/// A node that accepts unsigned transactions of any account. Receipts are the same as for signed ones.
pub(crate) struct Chain {
    pub(crate) world: World,
    pub(crate) bank: Bank,
}

impl Chain {
    pub(crate) async fn start() -> Self {
        let world = World::on(Node::start_at(START).await, PERIOD).await;
        world
            .node
            .anvil("anvil_autoImpersonateAccount", [true])
            .await;
        let bank = *world.reader.bank();
        Self { world, bank }
    }

    /// Sends a call from `from`; panics if it reverts.
    pub(crate) async fn send(&self, from: Address, call: &Call) -> Figure {
        let receipt = self.receipt(from, Some(call.to), call).await;
        Figure {
            gas: receipt.gas_used,
            bytes: call.input.len() as u64,
        }
    }

    /// Deploys a contract and returns its address.
    pub(crate) async fn create(&self, from: Address, code: Bytes) -> Address {
        let call = Call {
            to: Address::ZERO,
            input: code,
            value: U256::ZERO,
        };
        let receipt = self.receipt(from, None, &call).await;
        receipt.contract_address.unwrap()
    }

    async fn receipt(&self, from: Address, to: Option<Address>, call: &Call) -> TransactionReceipt {
        let transaction = json!({
            "from": from,
            "to": to,
            "data": call.input,
            "value": call.value,
            "gas": format!("{GAS_LIMIT:#x}"),
        });
        let hash = self
            .world
            .node
            .anvil("eth_sendTransaction", [transaction])
            .await;
        let hash: B256 = serde_json::from_value(hash).unwrap();
        let provider = &self.world.node.provider;
        for _ in 0..TRIES {
            if let Some(receipt) = provider.get_transaction_receipt(hash).await.unwrap() {
                assert!(receipt.status(), "reverted: {call:?}");
                return receipt;
            }
            sleep(PAUSE).await;
        }
        panic!("no receipt of {hash}");
    }

    /// Returns an account with coin, so that no figure includes creating an account.
    pub(crate) async fn account(&self, role: &str) -> Account {
        let account = Account::of(role, 0);
        self.world.node.endow(account.address).await;
        account
    }

    /// Returns the first draw time that is `seconds` after the newest block, or later.
    pub(crate) async fn draw_in(&self, seconds: u64) -> u64 {
        let earliest = self.world.now().await + seconds;
        let genesis = self.world.beacon.local.beacon().genesis();
        draw_time_from(earliest, PERIOD, genesis, PERIOD).unwrap()
    }

    /// Mines a block of this time.
    pub(crate) async fn mine_at(&self, time: u64) {
        self.world.node.mine_at(time).await;
    }

    /// Takes a snapshot of the chain's state, for any number of returns.
    pub(crate) async fn snapshot(&self) -> Snapshot {
        let id = self.world.node.anvil("evm_snapshot", [(); 0]).await;
        Snapshot(serde_json::from_value(id).unwrap())
    }

    pub(crate) async fn revert_to(&self, snapshot: &mut Snapshot) {
        let done = self.world.node.anvil("evm_revert", [&snapshot.0]).await;
        assert_eq!(done, true);
        // Each return consumes the node's snapshot.
        *snapshot = self.snapshot().await;
    }

    /// Opens a deposit and sends its whole amount with the call.
    pub(crate) async fn open(&self, round: &Round) -> Figure {
        let deposit = &round.deposit;
        let call = Call::open(&self.bank, deposit, U256::from(deposit.amount));
        self.send(deposit.payer, &call).await
    }
}

/// The node's id of a saved state of the chain.
pub(crate) struct Snapshot(String);

/// A key and its address.
#[derive(Clone)]
pub(crate) struct Account {
    pub(crate) key: SigningKey,
    pub(crate) address: Address,
}

impl Account {
    /// Derives account `index` of a role, the same in every run.
    pub(crate) fn of(role: &str, index: u32) -> Self {
        let secret = keccak256(format!("{role} {index}"));
        let key = SigningKey::from_bytes(&secret.0).unwrap();
        let address = key.address();
        Self { key, address }
    }
}

/// A deposit with its tree and its signer's key.
pub(crate) struct Round {
    pub(crate) deposit: Deposit,
    pub(crate) id: DepositId,
    pub(crate) tree: AllowanceTree,
    signer: SigningKey,
}

impl Round {
    /// A deposit in the native coin with the draw at the start of `times` and the last redemption at their end. Its
    /// `minPayout` is a quarter of the amount.
    pub(crate) fn new(bank: &Bank, payer: Address, tree: AllowanceTree, times: Range<u64>) -> Self {
        let signer = Account::of("signer", 0).key;
        let amount = tree.total().get();
        let deposit = Deposit {
            payer,
            signer: signer.address(),
            token: Address::ZERO,
            lane: 1,
            amount,
            minPayout: amount / 4,
            drawTime: times.start,
            redeemUntil: times.end,
            root: tree.root(),
        };
        let id = bank.deposit_id(&deposit);
        Self {
            deposit,
            id,
            tree,
            signer,
        }
    }

    /// Changes the times of the draw and of the last redemption.
    pub(crate) fn move_to(&mut self, bank: &Bank, times: &Range<u64>) {
        self.deposit.drawTime = times.start;
        self.deposit.redeemUntil = times.end;
        self.id = bank.deposit_id(&self.deposit);
    }

    /// Changes the deposit's token.
    pub(crate) fn in_token(mut self, bank: &Bank, token: Address) -> Self {
        self.deposit.token = token;
        self.id = bank.deposit_id(&self.deposit);
        self
    }

    /// Builds the redemption of a cheque over `spent` and of all steps of its stream.
    pub(crate) fn redemption(
        &self,
        bank: &Bank,
        payee: Address,
        spent: u128,
        stream: Option<(&Stream, u128)>,
    ) -> Redemption {
        let proof = self.tree.proof(payee).unwrap();
        let terms = stream.map(|(stream, step)| (stream.anchor(), Amount::new(step)));
        let spent = Amount::new(spent);
        let cheque = SignedCheque::sign(&self.signer, bank, self.id, payee, spent, terms);
        Redemption {
            deposit: self.deposit.clone(),
            payee,
            allowance: proof.allowance.get(),
            salt: proof.salt,
            path: U40::from(proof.path),
            spent: spent.get(),
            signature: cheque.signature.as_bytes().to_vec().into(),
            to: Address::ZERO,
            siblings: proof.packed_siblings().into(),
            anchor: cheque.anchor,
            step: cheque.step.get(),
            k: stream.map_or(0, |(stream, _)| stream.length().try_into().unwrap()),
            x: stream.map(|(stream, _)| stream.x0()).unwrap_or_default(),
            consent: Bytes::new(),
        }
    }
}

/// Builds a tree of `count` payees with about 0.01 coins each.
pub(crate) fn tree(count: u32) -> AllowanceTree {
    let payees = (0..count).map(|index| {
        let allowance = Amount::new(10_000_000_000_000_000 + odd(index));
        (Account::of("payee", index).address, allowance)
    });
    AllowanceTree::build(payees, &salt()).unwrap()
}

pub(crate) fn salt() -> MasterSalt {
    MasterSalt::from_bytes(keccak256("salt").0)
}

/// A number below 2^50 with few zero bytes, which would cost less calldata gas.
pub(crate) fn odd(index: u32) -> u128 {
    let [first, ..] = U256::from_be_bytes(keccak256(index.to_be_bytes()).0).into_limbs();
    u128::from(first >> 14)
}
