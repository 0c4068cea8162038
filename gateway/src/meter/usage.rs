//! The object `usage` at the end of an answer, in which upstreams with the API of OpenAI report their tokens.

use serde::Deserialize;

/// The bytes of an answer's end that are kept.
const TAIL: usize = 16 << 10;

/// The end of an answer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tail(Vec<u8>);

/// The numbers of tokens, by the names of the interfaces "chat completions" and "responses".
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
struct Tokens {
    total_tokens: Option<u64>,
    #[serde(alias = "prompt_tokens")]
    input_tokens: Option<u64>,
    #[serde(alias = "completion_tokens")]
    output_tokens: Option<u64>,
}

#[derive(Deserialize)]
struct Object {
    usage: Option<Tokens>,
    response: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    usage: Option<Tokens>,
}

impl Tokens {
    fn total(self) -> Option<u64> {
        let sum = || self.input_tokens?.checked_add(self.output_tokens?);
        self.total_tokens.or_else(sum)
    }
}

impl Object {
    fn total(self) -> Option<u64> {
        let inner = self.response.and_then(|response| response.usage);
        self.usage.or(inner)?.total()
    }
}

impl Tail {
    /// Adds a part of the answer. Keeps the last bytes.
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let bytes = &bytes[bytes.len().saturating_sub(TAIL)..];
        let kept = TAIL - bytes.len();
        let dropped = self.0.len().saturating_sub(kept);
        self.0.drain(..dropped);
        self.0.extend_from_slice(bytes);
    }

    /// Returns the number of tokens that the upstream reports. `None`: it reports none.
    ///
    /// The answer has texts of the client's and of the model's, which must not pass for the report. So the report counts
    /// as a member of the outermost object only. Within texts of JSON no quotation mark stands alone.
    pub(crate) fn tokens(&self, is_event_stream: bool) -> Option<u64> {
        match is_event_stream {
            true => self.of_events(),
            false => self.of_object(),
        }
    }

    /// The last report of an event. A line whose beginning is lost is no JSON.
    fn of_events(&self) -> Option<u64> {
        let lines = self.0.split(|byte| matches!(byte, b'\n' | b'\r'));
        let data = lines.rev().filter_map(|line| line.strip_prefix(b"data:"));
        data.filter_map(|data| serde_json::from_slice::<Object>(data).ok())
            .find_map(Object::total)
    }

    /// The report of an object whose beginning may be lost. What follows the key of an outermost member ends with the object.
    fn of_object(&self) -> Option<u64> {
        const KEY: &[u8] = b"\"usage\"";
        let starts = (0..self.0.len()).rev();
        let mut keys = starts.filter(|start| self.0[*start..].starts_with(KEY));
        keys.find_map(|start| {
            let rest = [b"{", &self.0[start..]].concat();
            serde_json::from_slice::<Object>(&rest).ok()?.total()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tokens(answer: &str, is_event_stream: bool) -> Option<u64> {
        let mut tail = Tail::default();
        // In parts, as it comes.
        for part in answer.as_bytes().chunks(1_000) {
            tail.push(part);
            assert!(tail.0.len() <= TAIL);
        }
        tail.tokens(is_event_stream)
    }

    #[test]
    fn reads_the_report_of_an_object() {
        for (answer, expected) in [
            (r#"{"usage":{"total_tokens":7}}"#, Some(7)),
            (
                r#"{"usage": {"prompt_tokens":2,"completion_tokens":3}, "x":[1]} "#,
                Some(5),
            ),
            (
                r#"{"usage":{"input_tokens":2,"output_tokens":3,"total_tokens":6}}"#,
                Some(6),
            ),
            (r#"{"usage":null}"#, None),
            (r#"{"usage":{"total_tokens":-7}}"#, None),
            (r#"{"usage":{"total_tokens":7}"#, None),
            ("", None),
        ] {
            assert_eq!(tokens(answer, false), expected, "{answer}");
        }
        let long = "x".repeat(3 * TAIL);
        let answer = format!(r#"{{"text":"{long}","usage":{{"total_tokens":9}}}}"#);
        assert_eq!(tokens(&answer, false), Some(9));
    }

    #[test]
    fn takes_no_text_for_the_report() {
        let real = r#""usage":{"total_tokens":7}"#;
        for forged in [
            r#"{"text":"\"usage\":{\"total_tokens\":1}}","#,
            r#"{"metadata":{"usage":{"total_tokens":1}},"#,
            r#"{"choices":[{"usage":{"total_tokens":1}}],"#,
        ] {
            assert_eq!(tokens(&format!("{forged}{real}}}"), false), Some(7));
            let answer = format!("{}}}", forged.trim_end_matches(','));
            assert_eq!(tokens(&answer, false), None, "{answer}");
        }
        let event = r#"data: {"text":"\ndata: {\"usage\":{\"total_tokens\":1}}"}"#;
        assert_eq!(tokens(event, true), None);
    }

    #[test]
    fn reads_the_last_report_of_events() {
        let chunk = format!(
            "data: {{\"text\":\"{}\",\"usage\":null}}\n\n",
            "x".repeat(20_000)
        );
        let chat = format!(
            "{chunk}data: {{\"usage\":{{\"total_tokens\":3}}}}\n\ndata: {{\"usage\":{{\"total_tokens\":8}}}}\n\ndata: [DONE]\n\n"
        );
        assert_eq!(tokens(&chat, true), Some(8));
        let done = r#"event: response.completed
data: {"type":"response.completed","response":{"usage":{"input_tokens":4,"output_tokens":5}}}"#;
        assert_eq!(tokens(done, true), Some(9));
        assert_eq!(tokens(&chunk, true), None);
    }
}
