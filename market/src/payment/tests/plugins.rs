use super::*;
use crate::compose::QuoteError;
use std::{
    future::ready,
    pin::pin,
    task::{Context, Poll, Waker},
};

/// An application's own module: vouchers that count once, without a chain.
struct Vouchers(Offer);

impl Vouchers {
    fn new(bank: u8) -> Arc<Self> {
        Arc::new(Self(Offer {
            identity: "voucher/1".into(),
            chain_id: 1,
            bank: Some(Address::repeat_byte(bank)),
            token: TOKEN,
        }))
    }
}

#[derive(Debug, thiserror::Error)]
#[error("the voucher was used before")]
struct Used;

struct Voucher(Address, u8);

impl Judge for Voucher {
    fn judge(&self, old_record: Option<&[u8]>) -> Result<Incoming, ModuleError> {
        if old_record.is_some() {
            return Err(ModuleError::rejected(Used));
        }
        Ok(Incoming {
            value: self.1.into(),
            credit_to: self.0,
            new_record: vec![1],
        })
    }
}

impl ReceiverModule for Vouchers {
    fn offer(&self) -> Offer {
        self.0.clone()
    }

    fn record_key(&self, proof: &[u8]) -> Result<Vec<u8>, ModuleError> {
        Ok(proof.to_vec())
    }

    fn prepare<'a>(
        &'a self,
        from: Address,
        proof: &'a [u8],
        _old_record: Option<&'a [u8]>,
    ) -> BoxFuture<'a, Result<Box<dyn Judge>, ModuleError>> {
        let judge: Box<dyn Judge> = Box::new(Voucher(from, proof[0]));
        Box::pin(ready(Ok(judge)))
    }
}

impl PaymentSender for Vouchers {
    fn offer(&self) -> Offer {
        self.0.clone()
    }

    fn payment_cost(&self, _: Address, amount: u128) -> BoxFuture<'_, Result<u128, SendError>> {
        let left = u8::MAX.into();
        let cost = match amount <= left {
            true => Ok(amount),
            false => Err(QuoteError::NotCovered { min: amount, left }.into()),
        };
        Box::pin(ready(cost))
    }

    fn request_payment(
        &self,
        payee: Address,
        min: u128,
        max: u128,
    ) -> BoxFuture<'_, Result<Outgoing, SendError>> {
        Box::pin(async move {
            self.payment_cost(payee, min).await?;
            let amount = max.min(u8::MAX.into());
            Ok(Outgoing {
                amount,
                cost: amount,
                proofs: vec![vec![amount as u8]],
            })
        })
    }

    fn latest_proofs(&self, _: Address) -> BoxFuture<'_, Result<Vec<Vec<u8>>, SendError>> {
        Box::pin(ready(Ok(Vec::new())))
    }
}

/// Polls a future that is ready at once.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => panic!("the modules of this test never wait"),
    }
}

#[test]
fn uses_module_of_an_application_at_both_ends() {
    let (mut senders, mut receivers) = (Senders::new(), Receivers::new());
    assert!(senders.register(Vouchers::new(1)).is_none());
    assert!(receivers.register(Vouchers::new(1)).is_none());
    let offer = receivers.offers().next().unwrap();
    let sender = senders.agree(offer).unwrap();
    let over = now(sender.request_payment(PAYEE, 256, 300)).unwrap_err();
    assert!(matches!(
        over,
        SendError::Quote(QuoteError::NotCovered { .. })
    ));
    let sent = now(sender.request_payment(PAYEE, 1, 300)).unwrap();
    assert_eq!((sent.amount, sent.cost), (255, 255));

    let module = receivers.agree(&sender.offer()).unwrap();
    let store = Memory::new();
    let proof = &sent.proofs[0];
    // Two payments are prepared, and one is credited.
    let prepared = || now(prepare(&**module, &store, PREFIX, CUSTOMER, proof)).unwrap();
    let (first, second) = (prepared(), prepared());
    let mut batch = Batch::new();
    let incoming = first.store_received(&store, &mut batch).unwrap();
    assert_eq!((incoming.value, incoming.credit_to), (255, CUSTOMER));
    store.write(&batch).unwrap();
    let mut batch = Batch::new();
    let again = second.store_received(&store, &mut batch).unwrap_err();
    assert_eq!(again.to_string(), "the voucher was used before");
    assert!(batch.is_empty());
}

#[test]
fn replaces_module_of_the_same_identity() {
    let mut receivers = Receivers::new();
    receivers.register(Vouchers::new(1));
    let replaced = receivers.register(Vouchers::new(2)).unwrap();
    assert_eq!(replaced.offer().bank, Some(Address::repeat_byte(1)));
    assert_eq!(receivers.offers().count(), 1);
    assert!(receivers.agree(&Vouchers::new(2).0).is_ok());
}

#[test]
fn names_both_sides_of_a_difference_in_handshake() {
    let bank = |byte| Some(Address::repeat_byte(byte));
    let offer = |byte| Vouchers::new(byte).0.clone();
    let mut modules = Receivers::new();
    modules.register(Vouchers::new(1));
    let refused = |theirs: &Offer| modules.agree(theirs).err();
    assert_eq!(refused(&offer(1)), None);
    let (ours, theirs) = (bank(1), bank(2));
    let other_bank = Some(HandshakeError::Bank { ours, theirs });
    assert_eq!(refused(&offer(2)), other_bank);
    let mut other = offer(1);
    other.chain_id = 10;
    let (ours, theirs) = (1, 10);
    let other_chain = Some(HandshakeError::Chain { ours, theirs });
    assert_eq!(refused(&other), other_chain);
    other = offer(1);
    other.token = PAYEE;
    let (ours, theirs) = (TOKEN, PAYEE);
    let other_token = Some(HandshakeError::Token { ours, theirs });
    assert_eq!(refused(&other), other_token);
    let unknown = Some(HandshakeError::Module {
        ours: vec!["voucher/1".into()],
        theirs: "transfer/1".into(),
    });
    assert_eq!(refused(&receiver().offer()), unknown);
}

#[test]
fn decodes_offer_and_rejects_other_bytes() {
    for offer in [Vouchers::new(7).0.clone(), receiver().offer()] {
        let bytes = offer.to_bytes();
        assert_eq!(Offer::from_bytes(&bytes), Ok(offer));
        let longer = [&bytes[..], &[0]].concat();
        let length = longer.len();
        let malformed = |length| Err(OfferError::Malformed { length });
        assert_eq!(Offer::from_bytes(&longer), malformed(length));
        for length in 0..bytes.len() {
            assert_eq!(Offer::from_bytes(&bytes[..length]), malformed(length));
        }
        let newer = [&[2], &bytes[1..]].concat();
        let found = Offer::from_bytes(&newer);
        assert_eq!(found, Err(OfferError::Version { found: 2 }));
    }
    let named = |length| {
        let identity = "i".repeat(length);
        let offer = Offer {
            identity,
            ..receiver().offer()
        };
        Offer::from_bytes(&offer.to_bytes()).is_ok()
    };
    assert_eq!((named(256), named(257)), (true, false));
}
