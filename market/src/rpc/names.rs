//! Names that the LES server gave to parameters and tags.

use serde_json::{Map, Value};

pub(super) const ALL: &str = "$all";
pub(super) const CONNECTED: &str = "$connected";
pub(super) const DISCONNECTED: &str = "$disconnected";
pub(super) const PRIORITY: &str = "$priority";
pub(super) const FREE: &str = "$free";

pub(super) const ALERT: &str = "pricing/alert";
pub(super) const META: &str = "pricing/balanceMeta";
pub(super) const PERIOD: &str = "pricing/periodicUpdate";

/// Names and values from outside.
pub type Params = Map<String, Value>;
