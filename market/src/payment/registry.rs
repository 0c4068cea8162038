//! The modules of one end, by identity.

use super::{HandshakeError, Offer, PaymentSender, ReceiverModule, handshake};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The modules of one end, by identity: [`Senders`] or [`Receivers`]. An application registers those of this crate and
/// its own alike.
#[derive(Clone)]
pub struct Modules<M> {
    modules: BTreeMap<String, (Offer, M)>,
}

/// The modules that a client pays by.
pub type Senders = Modules<Arc<dyn PaymentSender>>;

/// The modules that a provider is paid by.
pub type Receivers = Modules<Arc<dyn ReceiverModule>>;

impl<M> Default for Modules<M> {
    fn default() -> Self {
        Self {
            modules: BTreeMap::new(),
        }
    }
}

impl<M> Modules<M> {
    /// No modules.
    pub fn new() -> Self {
        Self::default()
    }

    /// What the modules work with, by identity: what to tell the other end.
    pub fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.modules.values().map(|(offer, _)| offer)
    }

    /// The module for whoever makes this offer.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`], which names both sides of what differs.
    pub fn agree(&self, theirs: &Offer) -> Result<&M, HandshakeError> {
        let Some((ours, module)) = self.modules.get(&theirs.identity) else {
            return Err(HandshakeError::Module {
                ours: self.modules.keys().cloned().collect(),
                theirs: theirs.identity.clone(),
            });
        };
        handshake(ours, theirs)?;
        Ok(module)
    }

    fn insert(&mut self, offer: Offer, module: M) -> Option<M> {
        let replaced = self.modules.insert(offer.identity.clone(), (offer, module));
        replaced.map(|(_, module)| module)
    }
}

impl Senders {
    /// Adds a module under the identity of its offer; gives back the one that had it.
    pub fn register(&mut self, module: Arc<dyn PaymentSender>) -> Option<Arc<dyn PaymentSender>> {
        self.insert(module.offer(), module)
    }
}

impl Receivers {
    /// Adds a module under the identity of its offer; gives back the one that had it.
    pub fn register(&mut self, module: Arc<dyn ReceiverModule>) -> Option<Arc<dyn ReceiverModule>> {
        self.insert(module.offer(), module)
    }
}

impl<M> fmt::Debug for Modules<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.offers()).finish()
    }
}
