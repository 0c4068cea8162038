//! Payment by probabilistic cheques, judged by the crate `cheque`.

use super::{
    handshake::Offer,
    receiver::{Incoming, PaymentReceiver},
};
use alloy_primitives::Address;
use cheque::{Bank, Policy, Position, PositionError, Proof, Rejection, View, WireError};

pub(crate) const CHEQUE_IDENTITY: &str = "cheque/1";

/// The provider's end of payment by cheques, without a chain: one bank, one token.
#[derive(Clone, Debug)]
pub struct ChequeReceiver {
    bank: Bank,
    token: Address,
    policy: Policy,
}

/// A reason for rejecting a cheque.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum ChequeRejection {
    /// The bytes are no proof of payment.
    #[error(transparent)]
    Wire(#[from] WireError),
    /// The stored position cannot be read.
    #[error(transparent)]
    Position(#[from] PositionError),
    /// The policy rejects the cheque.
    #[error(transparent)]
    Rejected(#[from] Rejection),
}

impl ChequeReceiver {
    /// Accepts cheques by `policy`, limited to `bank` and `token`. A policy without these accepts none.
    pub fn new(bank: Bank, token: Address, mut policy: Policy) -> Self {
        policy.banks.retain(|known| *known == bank);
        policy.tokens.retain(|known, _| *known == token);
        Self {
            bank,
            token,
            policy,
        }
    }
}

impl PaymentReceiver for ChequeReceiver {
    type View = View;
    type Error = ChequeRejection;

    fn offer(&self) -> Offer {
        Offer {
            identity: CHEQUE_IDENTITY.into(),
            chain_id: self.bank.chain_id(),
            bank: Some(self.bank.address()),
            token: self.token,
        }
    }

    fn record_key(&self, proof: &[u8]) -> Result<Vec<u8>, ChequeRejection> {
        let deposit = Proof::decode(proof)?.deposit_id();
        let bank = self.bank.address();
        Ok([
            bank.as_slice(),
            deposit.0.as_slice(),
            self.policy.payee.as_slice(),
        ]
        .concat())
    }

    fn receive_payment(
        &self,
        from: Address,
        proof: &[u8],
        old_record: Option<&[u8]>,
        view: &View,
    ) -> Result<Incoming, ChequeRejection> {
        let proof = Proof::decode(proof)?;
        let old = old_record.map(Position::from_bytes).transpose()?;
        let received =
            cheque::receive_payment(Some(from), &proof, old.as_ref(), view, &self.policy)?;
        Ok(Incoming {
            value: received.value().get(),
            credit_to: received.credit_to(),
            new_record: received.position().to_bytes(),
        })
    }
}
