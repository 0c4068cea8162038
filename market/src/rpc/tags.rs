//! Tags, by which many clients are named at once.

use super::error::OperatorError;
use std::collections::BTreeSet;

pub(super) const ALL: &str = "$all";
pub(super) const CONNECTED: &str = "$connected";
pub(super) const DISCONNECTED: &str = "$disconnected";
pub(super) const PRIORITY: &str = "$priority";
pub(super) const FREE: &str = "$free";

/// What a client's tags follow from.
#[derive(Clone, Debug)]
pub(super) struct Tagged {
    pub(super) connected: bool,
    pub(super) has_tokens: bool,
    pub(super) user_tags: BTreeSet<String>,
}

impl Tagged {
    /// Whether the client has every one of the tags, of which there must be one at least.
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

/// Only automatic tags start with `$`. A line break separates tags in the store.
pub(super) fn check_user_tag(tag: &str) -> Result<(), OperatorError> {
    match tag.is_empty() || tag.starts_with('$') || tag.contains('\n') {
        true => Err(OperatorError::Tag(tag.to_owned())),
        false => Ok(()),
    }
}

/// Tags to select by: those of users, and the automatic ones there are.
pub(super) fn check(tags: &[String]) -> Result<(), OperatorError> {
    let automatic = [ALL, CONNECTED, DISCONNECTED, PRIORITY, FREE];
    for tag in tags {
        if !automatic.contains(&tag.as_str()) {
            check_user_tag(tag)?;
        }
    }
    Ok(())
}
