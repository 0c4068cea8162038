//! The boundaries of events in `text/event-stream`: the only places where the gateway can speak in a stream.

/// A scanner of the stream's lines. Lines end by CR, LF or both; an empty line ends an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Events {
    is_line_empty: bool,
    after_cr: bool,
    /// True within an event: some line of it has begun.
    is_open: bool,
    /// True if the event has a line that is not a comment. Comments keep connections alive, and are not sold as events.
    has_field: bool,
}

/// The end of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct EventEnd {
    /// The number of bytes up to and with the empty line.
    pub(crate) length: usize,
    /// False for an event of comments only.
    pub(crate) has_field: bool,
}

impl Events {
    pub(crate) const fn new() -> Self {
        Self {
            is_line_empty: true,
            after_cr: false,
            is_open: false,
            has_field: false,
        }
    }

    /// True if no event has begun that has not ended.
    pub(crate) const fn is_between(&self) -> bool {
        !self.is_open
    }

    /// Scans up to the end of the first event. `None`: all bytes are scanned, and the event goes on.
    pub(crate) fn scan(&mut self, bytes: &[u8]) -> Option<EventEnd> {
        for (index, byte) in bytes.iter().copied().enumerate() {
            let is_rest_of_crlf = byte == b'\n' && self.after_cr;
            self.after_cr = byte == b'\r';
            match byte {
                b'\n' if is_rest_of_crlf => {}
                b'\r' | b'\n' if !self.is_line_empty => self.is_line_empty = true,
                b'\r' | b'\n' if self.is_open => {
                    let has_field = self.has_field;
                    (self.is_open, self.has_field) = (false, false);
                    let is_crlf = byte == b'\r' && bytes.get(index + 1) == Some(&b'\n');
                    // The next scan begins behind both bytes.
                    self.after_cr &= !is_crlf;
                    let length = index + 1 + usize::from(is_crlf);
                    return Some(EventEnd { length, has_field });
                }
                b'\r' | b'\n' => {}
                first => {
                    self.has_field |= self.is_line_empty && first != b':';
                    (self.is_line_empty, self.is_open) = (false, true);
                }
            }
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The ends of events in a stream that comes in these parts.
    fn ends<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> (Vec<(usize, bool)>, Events) {
        let (mut events, mut ends, mut before) = (Events::new(), Vec::new(), 0);
        for part in parts {
            let mut rest = part;
            while let Some(end) = events.scan(rest) {
                before += end.length;
                ends.push((before, end.has_field));
                rest = &rest[end.length..];
            }
            before += rest.len();
        }
        (ends, events)
    }

    #[test]
    fn finds_events_of_all_line_ends() {
        for (text, expected) in [
            ("data: a\n\ndata: b\n\n", vec![(9, true), (18, true)]),
            (
                "data: a\r\n\r\ndata: b\r\n\r\n",
                vec![(11, true), (22, true)],
            ),
            ("data: a\r\rdata: b", vec![(9, true)]),
            ("\n\n\ndata: a\ndata: b\n\n", vec![(20, true)]),
            (": alive\n\n", vec![(9, false)]),
            (": alive\nid: 1\n\n", vec![(15, true)]),
            ("", vec![]),
        ] {
            let (found, events) = ends([text.as_bytes()]);
            assert_eq!(found, expected, "{text:?}");
            let is_over = found.last().is_none_or(|(end, _)| *end == text.len());
            assert_eq!(events.is_between(), is_over, "{text:?}");
        }
    }

    proptest! {
        /// Parts end anywhere. The second byte of a CRLF may come later: the event has ended by then.
        #[test]
        fn finds_the_same_events_in_all_parts(text in "[a:\r\n]{0,24}", size in 1..5_usize) {
            let (whole, end) = ends([text.as_bytes()]);
            let (parts, same) = ends(text.as_bytes().chunks(size));
            prop_assert_eq!(end.is_between(), same.is_between());
            prop_assert_eq!(whole.len(), parts.len());
            for ((whole, _), (part, _)) in whole.iter().zip(&parts) {
                prop_assert!(*part == *whole || *part + 1 == *whole && text.as_bytes()[*part] == b'\n');
            }
        }
    }
}
