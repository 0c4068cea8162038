//! Receiving cheques with a live view of the chain.

use crate::payment::{
    boxed::BoxFuture,
    cheque::{ChequeReceiver, ChequeRejection},
    handshake::Offer,
    receiver::{Incoming, PaymentReceiver},
    receiver_module::{Judge, ModuleError, ReceiverModule},
};
use alloy_primitives::Address;
use cheque::{
    Position, Proof,
    payee::{Judged, Payee, ReceiveError},
};

/// The provider's end of payment by cheques: one bank, one token.
///
/// The host stores each record in the batch of the credited balance. If its store is a
/// [`ChequeStore`](crate::store::ChequeStore) over the payee's own store, a `PayeeService` redeems the wins.
#[derive(Clone, Debug)]
pub struct ChequeModule {
    receiver: ChequeReceiver,
    payee: Payee,
}

impl ChequeModule {
    /// Accepts cheques in `token` by the payee's policy. Do not call [`Payee::receive_payment`] as well.
    pub fn new(payee: Payee, token: Address) -> Self {
        let (bank, policy) = (*payee.reader().bank(), payee.policy().clone());
        Self {
            receiver: ChequeReceiver::new(bank, token, policy),
            payee,
        }
    }
}

impl ReceiverModule for ChequeModule {
    fn offer(&self) -> Offer {
        self.receiver.offer()
    }

    fn record_key(&self, proof: &[u8]) -> Result<Vec<u8>, ModuleError> {
        let key = self.receiver.record_key(proof);
        key.map_err(ModuleError::rejected)
    }

    fn prepare<'a>(
        &'a self,
        from: Address,
        proof: &'a [u8],
        old_record: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<Box<dyn Judge>, ModuleError>> {
        Box::pin(async move {
            let rejected = |rejection: ChequeRejection| ModuleError::rejected(rejection);
            let decoded = Proof::decode(proof).map_err(|error| rejected(error.into()))?;
            let old = old_record.map(Position::from_bytes).transpose();
            let old = old.map_err(|error| rejected(error.into()))?;
            let judged = self.payee.judge(Some(from), &decoded, old.as_ref());
            let judged = judged.await.map_err(|error| match error {
                ReceiveError::Rejected(rejection) => rejected(rejection.into()),
                other => ModuleError::unavailable(other),
            })?;
            let judge: Box<dyn Judge> = Box::new(ChequeJudge {
                receiver: self.receiver.clone(),
                judged,
                from,
                proof: proof.to_vec(),
            });
            Ok(judge)
        })
    }
}

struct ChequeJudge {
    receiver: ChequeReceiver,
    judged: Judged,
    from: Address,
    proof: Vec<u8>,
}

impl Judge for ChequeJudge {
    fn judge(&self, old_record: Option<&[u8]>) -> Result<Incoming, ModuleError> {
        let view = self.judged.view();
        let judged = self
            .receiver
            .receive_payment(self.from, &self.proof, old_record, &view);
        let incoming = judged.map_err(ModuleError::rejected)?;
        self.judged.add_exposure();
        Ok(incoming)
    }

    fn give_back(&self) {
        self.judged.give_back();
    }
}
