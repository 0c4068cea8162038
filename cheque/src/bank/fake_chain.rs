//! A node with a chain of headers, for unit tests.

use crate::{
    bank::{head::Head, reader::Reader},
    protocol::chain_profile::ChainProfile,
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
use alloy_primitives::{B256, keccak256};
use serde_json::{Value, json, value::RawValue};
use std::{
    sync::{Arc, Mutex},
    task::{Context, Poll},
};
use tower::Service;

/// A node whose chain the test sets. Clones are the same node.
#[derive(Clone, Default)]
pub(crate) struct FakeChain(Arc<Mutex<State>>);

/// The code and text of an error.
type Refusal = Option<(i64, &'static str)>;

/// The refusal of a node that does not know the tag `finalized`.
pub(crate) const UNKNOWN_TAG: Refusal =
    Some((-32_602, "invalid argument 0: hex string without 0x prefix"));

/// The refusal of a node that fails.
pub(crate) const INTERNAL: Refusal = Some((-32_603, "Internal error"));

struct State {
    chain_id: u64,
    blocks: Vec<Head>,
    /// The number of the final block, or the code and text of the node's refusal. `Err(None)`: the answer is null.
    finalized: Result<u64, Refusal>,
    /// True if every request for a block is answered with the newest.
    ignores_numbers: bool,
    /// The time of blocks that the chain does not have.
    invents: Option<u64>,
    asked: u32,
}

impl FakeChain {
    /// Makes a chain with a block for each time, from number 0.
    pub(crate) fn new(profile: &ChainProfile, times: impl IntoIterator<Item = u64>) -> Self {
        let chain = Self::default();
        chain.0.lock().unwrap().chain_id = profile.chain_id;
        chain.extend(times, "first");
        chain
    }

    /// Adds blocks. Blocks of another `fork` have other hashes.
    pub(crate) fn extend(&self, times: impl IntoIterator<Item = u64>, fork: &str) {
        let mut state = self.0.lock().unwrap();
        for time in times {
            let number = state.blocks.len() as u64;
            let hash = keccak256(format!("{fork} {number}"));
            state.blocks.push(Head { number, time, hash });
        }
    }

    /// Removes all blocks from `number` on.
    pub(crate) fn cut(&self, number: usize) {
        self.0.lock().unwrap().blocks.truncate(number);
    }

    /// Sets the final block. `None`: the node does not know the tag.
    pub(crate) fn set_finalized(&self, number: Option<u64>) {
        self.0.lock().unwrap().finalized = number.ok_or(UNKNOWN_TAG);
    }

    /// Refuses requests for the final block, or answers null.
    pub(crate) fn refuse_finalized(&self, refusal: Refusal) {
        self.0.lock().unwrap().finalized = Err(refusal);
    }

    /// Answers every request for a block with the newest block.
    pub(crate) fn ignore_numbers(&self) {
        self.0.lock().unwrap().ignores_numbers = true;
    }

    /// Answers with a block of a time where the chain has none of the number.
    pub(crate) fn invent_blocks(&self, time: u64) {
        self.0.lock().unwrap().invents = Some(time);
    }

    pub(crate) fn block(&self, number: u64) -> Head {
        self.0.lock().unwrap().blocks[number as usize]
    }

    pub(crate) fn head(&self) -> Head {
        *self.0.lock().unwrap().blocks.last().unwrap()
    }

    /// Returns the number of requests since the last call.
    pub(crate) fn asked(&self) -> u32 {
        std::mem::take(&mut self.0.lock().unwrap().asked)
    }

    pub(crate) fn reader(&self, profile: ChainProfile) -> Reader {
        let provider = RootProvider::new(RpcClient::new(self.clone(), true)).erased();
        Reader::of_fake_chain(provider, profile)
    }

    fn answer(&self, request: &SerializedRequest) -> Response {
        let mut state = self.0.lock().unwrap();
        state.asked += 1;
        let params: Value = request
            .params()
            .map_or(Value::Null, |raw| serde_json::from_str(raw.get()).unwrap());
        let answer = match request.method() {
            "eth_chainId" => Ok(json!(format!("{:#x}", state.chain_id))),
            "eth_getBlockByNumber" => {
                let newest = state.blocks.len() as u64 - 1;
                let block = match params[0].as_str().unwrap() {
                    "latest" => Ok(newest),
                    "finalized" => state.finalized,
                    _ if state.ignores_numbers => Ok(newest),
                    number => u64::from_str_radix(&number[2..], 16).map_err(|_| INTERNAL),
                };
                match block {
                    Ok(number) => Ok(json!(state.block(number).as_ref().map(full))),
                    Err(None) => Ok(Value::Null),
                    Err(Some(refusal)) => Err(refusal),
                }
            }
            method => panic!("the chain has no answer to {method}"),
        };
        let payload = match answer {
            Ok(answer) => {
                ResponsePayload::Success(RawValue::from_string(answer.to_string()).unwrap())
            }
            Err((code, message)) => ResponsePayload::Failure(ErrorPayload {
                code,
                message: message.into(),
                data: None,
            }),
        };
        Response {
            id: request.id().clone(),
            payload,
        }
    }
}

impl Default for State {
    fn default() -> Self {
        Self {
            chain_id: 0,
            blocks: Vec::new(),
            finalized: Err(UNKNOWN_TAG),
            ignores_numbers: false,
            invents: None,
            asked: 0,
        }
    }
}

impl State {
    fn block(&self, number: u64) -> Option<Head> {
        let invented = self.invents.map(|time| Head {
            number,
            time,
            hash: B256::ZERO,
        });
        self.blocks.get(number as usize).copied().or(invented)
    }
}

fn full(head: &Head) -> Block<B256> {
    let mut block: Block<B256> = Block::default();
    block.header.hash = head.hash;
    block.header.inner.number = head.number;
    block.header.inner.timestamp = head.time;
    block
}

impl Service<RequestPacket> for FakeChain {
    type Response = ResponsePacket;
    type Error = TransportError;
    type Future = TransportFut<'static>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: RequestPacket) -> Self::Future {
        let answer = match &request {
            RequestPacket::Single(request) => ResponsePacket::Single(self.answer(request)),
            RequestPacket::Batch(requests) => ResponsePacket::Batch(
                requests
                    .iter()
                    .map(|request| self.answer(request))
                    .collect(),
            ),
        };
        Box::pin(async move { Ok(answer) })
    }
}
