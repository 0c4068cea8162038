//! A node with a chain of blocks and a bank, for unit tests. Counts requests.

use crate::{
    bank::{head::Head, purses::PurseKey, reader::Reader},
    protocol::{chain_profile::ChainProfile, terms::DepositId},
};
use alloy::{
    providers::{Provider, RootProvider},
    rpc::{
        client::RpcClient,
        json_rpc::{
            ErrorPayload, RequestPacket, Response, ResponsePacket, ResponsePayload,
            SerializedRequest,
        },
        types::Block,
    },
    transports::{TransportError, TransportFut},
};
use alloy_primitives::{Address, B256, Bytes, Log, U256, hex, keccak256};
use alloy_sol_types::{SolCall, SolEvent};
use cheque_bindings::{
    BeaconParameters, Deposit,
    IChequeBank::{self, eip712DomainReturn, purseReturn},
    IDrandBank, Opened, Redeemed,
};
use serde_json::{Value, json, value::RawValue};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};
use tokio::sync::watch;
use tower::Service;

pub(crate) const BANK: Address = Address::repeat_byte(0xba);

/// A node whose chain the test sets. Clones are the same node.
#[derive(Clone, Default)]
pub(crate) struct FakeBank(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    chain_id: u64,
    beacon: Option<BeaconParameters>,
    blocks: Vec<Head>,
    /// The number of the final block. `None`: the node does not know the tag.
    finalized: Option<u64>,
    /// The lowest block whose state the node has.
    oldest_state: u64,
    /// For each purse: the deposit, the block of its opening, and that of its end.
    purses: BTreeMap<PurseKey, (DepositId, u64, Option<u64>)>,
    /// The bank's events.
    events: Vec<(u64, Log)>,
    /// True while answers to calls are held back.
    held: Option<watch::Receiver<bool>>,
    /// How long each request takes.
    delay: Duration,
    /// The number of requests that wait for their answer, and the largest such number.
    at_once: (u32, u32),
    requests: u32,
    purses_read: u32,
}

impl FakeBank {
    /// Makes a chain with a block each 12 s, the last of them now.
    pub(crate) fn new(beacon: BeaconParameters, blocks: u64, now: u64) -> Self {
        let node = Self::default();
        let mut state = node.state();
        (state.chain_id, state.beacon) = (1, Some(beacon));
        drop(state);
        for number in 0..blocks {
            node.add_block(now - 12 * (blocks - 1 - number), "first");
        }
        node
    }

    pub(crate) fn state_is_kept_from(&self, number: u64) {
        self.state().oldest_state = number;
    }

    /// Adds a block. Blocks of another `fork` have other hashes.
    pub(crate) fn add_block(&self, time: u64, fork: &str) {
        let mut state = self.state();
        let number = state.blocks.len() as u64;
        let hash = keccak256(format!("{fork} {number}"));
        state.blocks.push(Head { number, time, hash });
    }

    /// Replaces the last `depth` blocks by those of another fork, and one more.
    pub(crate) fn reorganise(&self, depth: usize, fork: &str) {
        let times: Vec<_> = {
            let mut state = self.state();
            let keep = state.blocks.len() - depth;
            let replaced = state.blocks.split_off(keep);
            replaced.into_iter().map(|block| block.time).collect()
        };
        let last = times.last().copied().unwrap_or_default();
        for time in times.into_iter().chain([last + 12]) {
            self.add_block(time, fork);
        }
    }

    pub(crate) fn set_finalized(&self, number: Option<u64>) {
        self.state().finalized = number;
    }

    pub(crate) fn head(&self) -> Head {
        *self.state().blocks.last().unwrap()
    }

    /// Opens a deposit in a block.
    pub(crate) fn open(&self, purse: PurseKey, id: DepositId, block: u64) {
        self.state().purses.insert(purse, (id, block, None));
    }

    /// Opens a deposit in a block, with its event.
    pub(crate) fn open_with_event(&self, id: DepositId, terms: &Deposit, block: u64) {
        self.open((terms.payer, terms.token, terms.lane), id, block);
        let event = Opened {
            depositId: id.0,
            payer: terms.payer,
            signer: terms.signer,
            token: terms.token,
            lane: terms.lane,
            amount: terms.amount,
            minPayout: terms.minPayout,
            drawTime: terms.drawTime,
            redeemUntil: terms.redeemUntil,
            root: terms.root,
        };
        let data = event.encode_log_data();
        let address = BANK;
        self.state().events.push((block, Log { address, data }));
    }

    /// Removes the last blocks, and returns them.
    pub(crate) fn cut(&self, blocks: usize) -> Vec<Head> {
        let mut state = self.state();
        let keep = state.blocks.len() - blocks;
        state.blocks.split_off(keep)
    }

    /// Adds blocks of before.
    pub(crate) fn restore(&self, blocks: Vec<Head>) {
        self.state().blocks.extend(blocks);
    }

    /// Holds back the answers to calls until it is set free again.
    pub(crate) fn hold_calls(&self) -> watch::Sender<bool> {
        let (sender, held) = watch::channel(true);
        self.state().held = Some(held);
        sender
    }

    /// Makes each request take so long.
    pub(crate) fn set_delay(&self, delay: Duration) {
        self.state().delay = delay;
    }

    /// The largest number of requests that waited for their answers at a time.
    pub(crate) fn most_at_once(&self) -> u32 {
        self.state().at_once.1
    }

    /// Removes a deposit, as if it had never been opened.
    pub(crate) fn take_back(&self, purse: PurseKey) {
        self.state().purses.remove(&purse);
    }

    /// Redeems a deposit in the newest block.
    pub(crate) fn redeem(&self, purse: PurseKey, payee: Address) {
        let mut state = self.state();
        let block = state.blocks.len() as u64 - 1;
        let (id, _, end) = state.purses.get_mut(&purse).unwrap();
        *end = Some(block);
        let event = Redeemed {
            depositId: id.0,
            payee,
            to: Address::ZERO,
            spent: 1,
            payout: 77,
        };
        let (address, data) = (BANK, event.encode_log_data());
        state.events.push((block, Log { address, data }));
    }

    /// Undoes all redemptions.
    pub(crate) fn undo_redemptions(&self) {
        let mut state = self.state();
        let redeemed = Redeemed::SIGNATURE_HASH;
        state
            .events
            .retain(|(_, log)| log.data.topics()[0] != redeemed);
        for (_, _, end) in state.purses.values_mut() {
            *end = None;
        }
    }

    /// The numbers of requests and of purses read since the last call.
    pub(crate) fn asked(&self) -> (u32, u32) {
        let mut state = self.state();
        let asked = (state.requests, state.purses_read);
        (state.requests, state.purses_read) = (0, 0);
        asked
    }

    pub(crate) async fn reader(&self, profile: ChainProfile) -> Reader {
        let provider = RootProvider::new(RpcClient::new(self.clone(), true)).erased();
        Reader::open_with(provider, BANK, profile).await.unwrap()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    fn answer(&self, request: &SerializedRequest) -> Response {
        let params: Value = request
            .params()
            .map_or(Value::Null, |raw| serde_json::from_str(raw.get()).unwrap());
        let answer = self.state().answer(request.method(), &params);
        let payload = match answer {
            Some(answer) => {
                ResponsePayload::Success(RawValue::from_string(answer.to_string()).unwrap())
            }
            None => ResponsePayload::Failure(ErrorPayload {
                code: -39_001,
                message: "unknown block".into(),
                data: None,
            }),
        };
        Response {
            id: request.id().clone(),
            payload,
        }
    }
}

impl State {
    fn answer(&mut self, method: &str, params: &Value) -> Option<Value> {
        Some(match method {
            "eth_chainId" => json!(format!("{:#x}", self.chain_id)),
            "eth_getCode" => json!("0x01"),
            "eth_maxPriorityFeePerGas" => json!("0x1"),
            "eth_getBlockByNumber" => {
                let number = self.number(&params[0])?;
                json!(self.blocks.get(number as usize).map(full))
            }
            "eth_call" => json!(self.call(params)?),
            "eth_getLogs" => {
                let (from, to) = (
                    self.number(&params[0]["fromBlock"])?,
                    self.number(&params[0]["toBlock"])?,
                );
                let wants = |log: &Log, topic: usize| {
                    let (found, wanted) = (json!(log.data.topics()[topic]), &params[0]["topics"]);
                    match &wanted[topic] {
                        Value::Array(any) => any.contains(&found),
                        one => *one == found,
                    }
                };
                let logs = self.events.iter().filter(|(block, log)| {
                    (from..=to).contains(block) && wants(log, 0) && wants(log, 1)
                });
                json!(
                    logs.map(|(block, log)| entry(*block, log))
                        .collect::<Vec<_>>()
                )
            }
            _ => return None,
        })
    }

    fn number(&self, tag: &Value) -> Option<u64> {
        match tag.as_str()? {
            "latest" => Some(self.blocks.len() as u64 - 1),
            "finalized" => self.finalized,
            number => u64::from_str_radix(number.strip_prefix("0x")?, 16).ok(),
        }
    }

    fn call(&mut self, params: &Value) -> Option<Bytes> {
        let at = self.number(&params[1])?;
        if params[0]["to"].is_null() {
            // The measurement of a new slot.
            return Some(U256::from(22_100).to_be_bytes_vec().into());
        }
        if at < self.oldest_state || at >= self.blocks.len() as u64 {
            return None;
        }
        let input = hex::decode(params[0]["input"].as_str()?).ok()?;
        let beacon = self.beacon?;
        use IChequeBank as Bank;
        let answer = match *input.first_chunk::<4>()? {
            Bank::eip712DomainCall::SELECTOR => {
                let domain = crate::protocol::terms::Bank::new(self.chain_id, BANK).domain();
                Bank::eip712DomainCall::abi_encode_returns(&eip712DomainReturn {
                    fields: [0x0f].into(),
                    name: domain.name?.into_owned(),
                    version: domain.version?.into_owned(),
                    chainId: U256::from(self.chain_id),
                    verifyingContract: BANK,
                    salt: B256::ZERO,
                    extensions: Vec::new(),
                })
            }
            Bank::minLeadCall::SELECTOR => Bank::minLeadCall::abi_encode_returns(&2_400),
            IDrandBank::publicKeyCall::SELECTOR => {
                let key = Bytes::copy_from_slice(&beacon.public_key);
                IDrandBank::publicKeyCall::abi_encode_returns(&key)
            }
            IDrandBank::genesisCall::SELECTOR => {
                IDrandBank::genesisCall::abi_encode_returns(&beacon.genesis)
            }
            IDrandBank::periodCall::SELECTOR => {
                IDrandBank::periodCall::abi_encode_returns(&beacon.period)
            }
            Bank::seedCall::SELECTOR => Bank::seedCall::abi_encode_returns(&B256::ZERO),
            Bank::purseCall::SELECTOR => {
                self.purses_read += 1;
                let call = Bank::purseCall::abi_decode(&input).ok()?;
                let purse = self.purses.get(&(call.account, call.token, call.lane));
                let open = purse.filter(|(_, opened, ended)| {
                    *opened <= at && ended.is_none_or(|ended| at < ended)
                });
                Bank::purseCall::abi_encode_returns(&purseReturn {
                    idle: U256::ZERO,
                    openDepositId: open.map_or(B256::ZERO, |(id, ..)| id.0),
                })
            }
            _ => return None,
        };
        Some(answer.into())
    }
}

fn full(head: &Head) -> Block<B256> {
    let mut block: Block<B256> = Block::default();
    block.header.hash = head.hash;
    block.header.inner.number = head.number;
    block.header.inner.timestamp = head.time;
    block.header.inner.base_fee_per_gas = Some(0);
    block
}

fn entry(block: u64, log: &Log) -> alloy::rpc::types::Log {
    alloy::rpc::types::Log {
        inner: log.clone(),
        block_number: Some(block),
        ..alloy::rpc::types::Log::default()
    }
}

impl Service<RequestPacket> for FakeBank {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let calls = |request: &SerializedRequest| request.method() == "eth_call";
        let has_call = match &request {
            RequestPacket::Single(request) => calls(request),
            RequestPacket::Batch(requests) => requests.iter().any(calls),
        };
        let (held, delay) = {
            let mut state = self.state();
            state.requests += 1;
            state.at_once.0 += 1;
            state.at_once.1 = state.at_once.1.max(state.at_once.0);
            (state.held.clone().filter(|_| has_call), state.delay)
        };
        let answer = match &request {
            RequestPacket::Single(request) => ResponsePacket::Single(self.answer(request)),
            RequestPacket::Batch(requests) => ResponsePacket::Batch(
                requests
                    .iter()
                    .map(|request| self.answer(request))
                    .collect(),
            ),
        };
        let node = self.clone();
        Box::pin(async move {
            tokio::time::sleep(delay).await;
            if let Some(mut held) = held {
                let _freed = held.wait_for(|held| !held).await;
            }
            node.state().at_once.0 -= 1;
            Ok(answer)
        })
    }
}
