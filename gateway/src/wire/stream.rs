//! Messages within a stream that is paid while it runs: events of `text/event-stream`, and frames of a WebSocket.

use crate::wire::{encoding::json, mpp::MppReceipt};
use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// The wish for more money: the stream goes on after a payment of the deposit over the required total.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NeedVoucher {
    /// The deposit of the stream's payment.
    pub channel_id: String,
    /// The smallest total that pays for the next piece, in decimal units of the token.
    pub required_cumulative: String,
    /// The newest total of the deposit.
    pub accepted_cumulative: String,
    /// The payee's allowance, above which no total is accepted.
    pub deposit: String,
}

/// A text message of a metered WebSocket. All other texts of a client, and all binary messages, are application data.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mpp", rename_all = "kebab-case")]
pub enum SocketFrame {
    /// The client pays, by a credential.
    Authorization {
        /// The value of the header `Authorization`.
        authorization: String,
    },
    /// Application data.
    Message {
        /// The text.
        data: String,
    },
    /// The server wants more money.
    PaymentNeedVoucher {
        /// The wish.
        data: NeedVoucher,
    },
    /// A receipt.
    PaymentReceipt {
        /// The receipt.
        data: MppReceipt,
    },
    /// The client wants no more.
    PaymentCloseRequest,
    /// The server has settled, and closes.
    PaymentCloseReady {
        /// The last receipt.
        data: MppReceipt,
    },
    /// A payment has failed.
    PaymentError {
        /// A status of HTTP.
        status: u16,
        /// The reason.
        message: String,
    },
}

impl SocketFrame {
    /// Encodes the message.
    pub fn encode(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// Decodes a message. `None` for application data: a text that is no object with a member `mpp` of this list.
    pub fn decode(text: &str) -> Option<Self> {
        // A cheap look before a large text is parsed.
        text.contains("\"mpp\"")
            .then(|| serde_json::from_str(text).ok())?
    }
}

/// Writes the event by which a stream asks for money.
pub(crate) fn need_event(need: &NeedVoucher) -> Bytes {
    event("payment-need-voucher", &json(need))
}

/// Writes the last event of a paid stream.
pub(crate) fn receipt_event(receipt: &MppReceipt) -> Bytes {
    event("payment-receipt", &json(receipt))
}

fn event(name: &str, data: &[u8]) -> Bytes {
    // JSON of ours has no line feed.
    let parts: [&[u8]; 5] = [b"event: ", name.as_bytes(), b"\ndata: ", data, b"\n\n"];
    parts.concat().into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_the_frames_of_mpp() {
        let need = NeedVoucher {
            channel_id: "0x01".to_owned(),
            required_cumulative: "7".to_owned(),
            accepted_cumulative: "5".to_owned(),
            deposit: "9".to_owned(),
        };
        let data = r#"{"channelId":"0x01","requiredCumulative":"7","acceptedCumulative":"5","deposit":"9"}"#;
        let expected = format!("event: payment-need-voucher\ndata: {data}\n\n");
        assert_eq!(need_event(&need), expected);
        let frame = SocketFrame::PaymentNeedVoucher { data: need };
        let text = format!(r#"{{"mpp":"payment-need-voucher","data":{data}}}"#);
        assert_eq!(frame.encode(), text);
        for text in [
            r#"{"mpp":"authorization","authorization":"Payment e30"}"#,
            r#"{"mpp":"message","data":"x"}"#,
            r#"{"mpp":"payment-close-request"}"#,
            r#"{"mpp":"payment-error","status":402,"message":"pay"}"#,
            &text,
        ] {
            assert_eq!(SocketFrame::decode(text).unwrap().encode(), *text);
        }
        for text in [
            "",
            "hello",
            r#"{"mpp":"other"}"#,
            r#"["mpp"]"#,
            r#"{"mpp":"#,
        ] {
            assert_eq!(SocketFrame::decode(text), None, "{text}");
        }
    }
}
