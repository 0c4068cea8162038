//! The payee's terms for each token, which move with the cost of redeeming.

use crate::wire::offer::PayeeTerms;
use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

/// The payee's terms by the token's name in the offers. A token without terms is not offered. Cheap to clone; clones share the
/// terms.
#[derive(Clone, Debug, Default)]
pub struct TokenTerms(Arc<RwLock<BTreeMap<String, PayeeTerms>>>);

impl TokenTerms {
    /// Replaces the terms of all tokens.
    pub fn set(&self, terms: BTreeMap<String, PayeeTerms>) {
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = terms;
    }

    /// Returns the terms of a token. `None`: it cannot be taken now.
    pub fn of(&self, token: &str) -> Option<PayeeTerms> {
        let terms = self.0.read().unwrap_or_else(PoisonError::into_inner);
        terms.get(token).cloned()
    }
}

impl From<BTreeMap<String, PayeeTerms>> for TokenTerms {
    fn from(terms: BTreeMap<String, PayeeTerms>) -> Self {
        Self(Arc::new(RwLock::new(terms)))
    }
}
