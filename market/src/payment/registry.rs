//! Registered modules of one end.

use super::{
    handshake::{HandshakeError, Offer, handshake},
    receiver_module::ReceiverModule,
    sender::PaymentSender,
};
use std::{collections::BTreeMap, fmt, sync::Arc};

/// The modules of one end, by identity: [`Senders`] or [`Receivers`]. An application registers modules of this crate
/// and its own modules alike.
#[derive(Clone)]
pub struct Modules<M> {
    modules: BTreeMap<String, (Offer, M)>,
}

/// Payment modules of a client.
pub type Senders = Modules<Arc<dyn PaymentSender>>;

/// Payment modules of a provider.
pub type Receivers = Modules<Arc<dyn ReceiverModule>>;

impl<M> Default for Modules<M> {
    fn default() -> Self {
        Self {
            modules: BTreeMap::new(),
        }
    }
}

impl<M> Modules<M> {
    /// Returns a registry without modules.
    pub fn new() -> Self {
        Self::default()
    }

    /// Iterates over the offers to send to the other end, in order of identity.
    pub fn offers(&self) -> impl Iterator<Item = &Offer> {
        self.modules.values().map(|(offer, _)| offer)
    }

    /// Returns the module that matches an offer of the other end.
    ///
    /// # Errors
    ///
    /// [`HandshakeError`] with the values of both ends.
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
    /// Registers a module under the identity of its offer, and returns a replaced module.
    pub fn register(&mut self, module: Arc<dyn PaymentSender>) -> Option<Arc<dyn PaymentSender>> {
        self.insert(module.offer(), module)
    }
}

impl Receivers {
    /// Registers a module under the identity of its offer, and returns a replaced module.
    pub fn register(&mut self, module: Arc<dyn ReceiverModule>) -> Option<Arc<dyn ReceiverModule>> {
        self.insert(module.offer(), module)
    }
}

impl<M> fmt::Debug for Modules<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.offers()).finish()
    }
}
