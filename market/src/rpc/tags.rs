//! Tags of clients.

use super::{
    error::OperatorError,
    names::{ALL, CONNECTED, DISCONNECTED, FREE, PRIORITY},
};
use std::collections::BTreeSet;

/// Facts that determine a client's tags.
#[derive(Clone, Debug)]
pub(super) struct Tagged {
    pub(super) connected: bool,
    pub(super) has_tokens: bool,
    pub(super) user_tags: BTreeSet<String>,
}

impl Tagged {
    /// True if the client has all of `tags`, at least one.
    pub(super) fn has_all(&self, tags: &[String]) -> bool {
        !tags.is_empty() && tags.iter().all(|tag| self.has(tag))
    }

    fn has(&self, tag: &str) -> bool {
        match tag {
            ALL => true,
            CONNECTED => self.connected,
            DISCONNECTED => !self.connected,
            PRIORITY => self.has_tokens,
            FREE => !self.has_tokens,
            tag => self.user_tags.contains(tag),
        }
    }
}

/// Checks a user's tag. Only automatic tags start with `$`, and a line break separates tags in the store.
pub(super) fn check_user_tag(tag: &str) -> Result<(), OperatorError> {
    match tag.is_empty() || tag.starts_with('$') || tag.contains('\n') {
        true => Err(OperatorError::Tag(tag.to_owned())),
        false => Ok(()),
    }
}

/// Checks tags of a selection: users' tags and automatic tags.
pub(super) fn check(tags: &[String]) -> Result<(), OperatorError> {
    let automatic = [ALL, CONNECTED, DISCONNECTED, PRIORITY, FREE];
    for tag in tags {
        if !automatic.contains(&tag.as_str()) {
            check_user_tag(tag)?;
        }
    }
    Ok(())
}
