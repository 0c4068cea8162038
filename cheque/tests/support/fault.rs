//! Faults in the answers of a node.

use super::held::Held;
use alloy_primitives::{Address, B256, hex};
use serde_json::{Value, json};
use std::{sync::Arc, time::Duration};

/// A fault in the answers to a method.
#[derive(Clone, Debug)]
pub(crate) enum Fault {
    /// Never answers.
    Silence,
    /// Answers later.
    Delay(Duration),
    /// An HTTP status without a body.
    Status(u16),
    /// A whole HTTP answer.
    Reply(Reply),
    /// A body without JSON.
    Garbage,
    /// The connection ends in the middle of the answer.
    Cut,
    /// A JSON-RPC error.
    Refusal(i64, &'static str),
    /// Answers for the newest block with a block or state this many blocks older.
    Behind(u64),
    /// Adds to the number of the newest block.
    Ahead(u64),
    /// Shifts the time of blocks, in seconds.
    TimeShift(i64),
    /// Lacks the state after this block.
    Pruned(u64),
    /// Gives this answer for the state of a block named by its number, as without an archive.
    OldState(Reply),
    /// Answers for blocks by number with another hash, as on a fork.
    OtherBlocks,
    /// Receipts without a block number.
    NoBlockNumber,
    /// Calls of this function find no contract.
    NoContract([u8; 4]),
    /// Another result.
    Answer(Value),
    /// Holds back answers about this account until their release.
    Hold(Address, Arc<Held>),
    /// Refuses batches of more requests.
    Batches(usize, BatchRefusal),
    /// Refuses the logs of more blocks.
    LogRange(u64),
    /// Gives these fields of a result the value null.
    NullFields(&'static [&'static str]),
    /// Adds a field to a result.
    Extra(&'static str, &'static str),
    /// Gives a field of a result another name.
    Renamed(&'static str, &'static str),
    /// Refuses requests with this field in the first parameter.
    UnknownField(&'static str),
    /// Adds `"error": null` to results.
    NullError,
    /// Turns ids into text.
    TextIds,
}

/// An HTTP answer: status, header, body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) header: Option<(&'static str, &'static str)>,
    pub(crate) body: &'static str,
}

impl Reply {
    pub(crate) const fn new(status: u16, body: &'static str) -> Self {
        let header = None;
        Self {
            status,
            header,
            body,
        }
    }
}

/// How a node refuses a batch.
#[derive(Clone, Copy, Debug)]
pub(crate) enum BatchRefusal {
    /// HTTP 500 with an object of id null.
    Status,
    /// An object of id null in place of a list.
    Object,
    /// Answers to the first requests only.
    Rest,
}

impl BatchRefusal {
    pub(crate) const ALL: [Self; 3] = [Self::Status, Self::Object, Self::Rest];
}

/// What a fault makes of a request before the node is asked.
pub(super) enum Before {
    /// The node is asked.
    Ask,
    /// This is the answer to the whole packet.
    Reply(Reply),
    /// The connection ends in the middle of an answer.
    Cut,
    /// This is the answer to the request.
    Answer(Value),
}

impl Fault {
    /// Decides before the node is asked. May change the parameters.
    pub(super) async fn before(&self, params: &mut Value, head: u64) -> Before {
        match self {
            Self::Silence => std::future::pending().await,
            Self::Delay(pause) => tokio::time::sleep(*pause).await,
            Self::Status(status) => return Before::Reply(Reply::new(*status, "")),
            Self::Reply(reply) => return Before::Reply(*reply),
            Self::Garbage => return Before::Reply(Reply::new(200, "<html>")),
            Self::Cut => return Before::Cut,
            Self::Answer(result) => return Before::Answer(json!({ "result": result })),
            Self::Refusal(code, message) => return refusal(*code, message),
            Self::Pruned(block) if params[1] == format!("{block:#x}") => {
                return refusal(-32_000, "missing trie node");
            }
            Self::OldState(reply) if is_number(&params[1]) => return Before::Reply(*reply),
            Self::NoContract(selector) if is_call_of(*selector, &params[0]) => {
                return Before::Answer(json!({ "result": "0x" }));
            }
            Self::LogRange(most) => {
                let at = |name: &str| number(&params[0][name]);
                let blocks = at("toBlock") - at("fromBlock") + 1;
                if blocks > i64::try_from(*most).unwrap() {
                    return refusal(-32_602, "block range is too large");
                }
            }
            Self::UnknownField(name) if !params[0][*name].is_null() => {
                return refusal(-32_602, "duplicate field");
            }
            Self::Behind(blocks) => {
                let older = json!(format!("{:#x}", head - blocks));
                for param in params.as_array_mut().expect("a list") {
                    if *param == "latest" {
                        *param = older.clone();
                    }
                }
            }
            Self::Hold(account, held)
                if params[0].to_string().contains(&format!("{account:x}")) =>
            {
                held.wait().await;
            }
            _ => {}
        }
        Before::Ask
    }

    /// Changes the node's answer.
    pub(super) fn after(&self, is_latest: bool, answer: &mut Value) {
        match self {
            Self::NullError if answer.get("error").is_none() => answer["error"] = Value::Null,
            Self::TextIds => answer["id"] = json!(answer["id"].to_string()),
            _ => {}
        }
        if let Some(result) = answer.get_mut("result")
            && result.is_object()
        {
            self.change(is_latest, result);
        }
    }

    /// Changes a block, transaction or receipt.
    fn change(&self, is_latest: bool, result: &mut Value) {
        match self {
            Self::Ahead(blocks) if is_latest => shift(&mut result["number"], *blocks as i64),
            Self::TimeShift(seconds) => shift(&mut result["timestamp"], *seconds),
            Self::OtherBlocks if !is_latest => {
                result["hash"] = json!(B256::repeat_byte(0x66));
            }
            Self::NoBlockNumber => result["blockNumber"] = Value::Null,
            Self::NullFields(names) => {
                for name in *names {
                    result[*name] = Value::Null;
                }
            }
            Self::Extra(name, value) => result[*name] = json!(value),
            Self::Renamed(name, other) => result[*other] = result[*name].take(),
            _ => {}
        }
    }
}

fn refusal(code: i64, message: &str) -> Before {
    Before::Answer(json!({ "error": { "code": code, "message": message } }))
}

fn is_call_of(selector: [u8; 4], call: &Value) -> bool {
    let input = call["input"].as_str().unwrap_or_default();
    input.starts_with(&hex::encode_prefixed(selector))
}

/// True for the number of a block, and false for a tag or a hash.
fn is_number(block: &Value) -> bool {
    block.as_str().is_some_and(|block| block.starts_with("0x"))
}

fn number(text: &Value) -> i64 {
    let text = text.as_str().expect("a number").trim_start_matches("0x");
    i64::from_str_radix(text, 16).unwrap()
}

fn shift(field: &mut Value, by: i64) {
    *field = json!(format!("{:#x}", number(field) + by));
}
