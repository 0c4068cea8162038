//! The query of a list: `?limit=100&after=ID&state=NAME`.

use axum::http::StatusCode;
use cheque::DepositId;

use super::{body::bad_request, error::HttpError};

/// The length of a list unless the request names one.
const LIMIT: usize = 100;

/// The longest list.
const MAX_LIMIT: usize = 1_000;

/// The part of a list that a request asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Page {
    /// The longest answer.
    pub(crate) limit: usize,
    /// The deposit after which the list continues.
    pub(crate) after: Option<DepositId>,
    /// The only state to list.
    pub(crate) state: Option<&'static str>,
}

impl Page {
    /// Reads a query. `states` are the names of all states.
    pub(crate) fn read(query: Option<&str>, states: &[&'static str]) -> Result<Self, HttpError> {
        let bad = |text: String| bad_request(StatusCode::BAD_REQUEST, text);
        let mut page = Self {
            limit: LIMIT,
            after: None,
            state: None,
        };
        for part in query
            .unwrap_or_default()
            .split('&')
            .filter(|part| !part.is_empty())
        {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            match name {
                "limit" => {
                    let limit = value.parse().ok();
                    let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit));
                    page.limit = limit.ok_or_else(|| {
                        bad(format!(
                            "limit `{value}` is not a number from 1 to {MAX_LIMIT}"
                        ))
                    })?;
                }
                "after" => {
                    let after = value.parse().ok();
                    page.after = Some(after.ok_or_else(|| {
                        bad(format!(
                            "`{value}` is not a deposit; take it from `next` of the last answer"
                        ))
                    })?);
                }
                "state" => {
                    let known = states.iter().find(|state| **state == value);
                    page.state = Some(known.copied().ok_or_else(|| {
                        bad(format!(
                            "the state `{value}` is unknown; use one of {}",
                            states.join(", ")
                        ))
                    })?);
                }
                _ => {
                    return Err(bad(format!(
                        "the parameter `{name}` is unknown; use limit, after or state"
                    )));
                }
            }
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STATES: [&str; 2] = ["won", "redeemed"];

    #[test]
    fn reads_limit_cursor_and_state() {
        let id = format!("0x{}", "5".repeat(64));
        let query = format!("limit=7&after={id}&state=won");
        let page = Page::read(Some(&query), &STATES).unwrap();
        assert_eq!((page.limit, page.after), (7, id.parse().ok()));
        assert_eq!(page.state, Some("won"));
        let page = Page::read(None, &STATES).unwrap();
        assert_eq!((page.limit, page.after, page.state), (100, None, None));
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for bad in [
            "limit=0",
            "limit=1001",
            "limit=",
            "limit",
            "after=0x12",
            "state=lost",
            "page=2",
        ] {
            assert!(Page::read(Some(bad), &STATES).is_err(), "{bad}");
        }
    }
}
