//! A node with a chain of headers, for unit tests.

use crate::{
    bank::{head::Head, reader::Reader},
    protocol::chain_profile::ChainProfile,
};
use alloy::{
    providers::{Provider, RootProvider},
    rpc::{
        client::RpcClient,
        json_rpc::{RequestPacket, Response, ResponsePacket, ResponsePayload, SerializedRequest},
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

#[derive(Default)]
struct State {
    chain_id: u64,
    blocks: Vec<Head>,
    /// The number of the final block. `None`: the node does not know the tag.
    finalized: Option<u64>,
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

    pub(crate) fn set_finalized(&self, number: Option<u64>) {
        self.0.lock().unwrap().finalized = number;
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
            "eth_chainId" => Some(json!(format!("{:#x}", state.chain_id))),
            "eth_getBlockByNumber" => {
                let block = match params[0].as_str().unwrap() {
                    "latest" => Some(state.blocks.len() as u64 - 1),
                    "finalized" => state.finalized,
                    number => u64::from_str_radix(&number[2..], 16).ok(),
                };
                block.map(|number| json!(state.blocks.get(number as usize).map(full)))
            }
            _ => None,
        };
        let payload = match answer {
            Some(answer) => {
                ResponsePayload::Success(RawValue::from_string(answer.to_string()).unwrap())
            }
            None => ResponsePayload::internal_error(),
        };
        Response {
            id: request.id().clone(),
            payload,
        }
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
