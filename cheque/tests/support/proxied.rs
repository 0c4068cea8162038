//! Readers and payers behind a proxy.

use super::{fixtures::Fixture, node::World, proxy::Proxy};
use cheque::store::Memory;
use cheque::{ChainProfile, bank::BankError};
use cheque::{
    bank::{HeadCheckError, Reader},
    node::connect_within,
    payer::Payer,
};
use std::{sync::Arc, time::Duration};

/// The bank through a proxy. Confirmed is what is 4 seconds old, which is 4 blocks of a test's chain.
pub(crate) async fn through(world: &World, proxy: &Proxy) -> Reader {
    let provider = connect_within(&[&proxy.url], Duration::from_millis(200)).await;
    let reader = Reader::open(provider.unwrap(), world.reader.bank().address());
    reader.await.unwrap().with_profile(ChainProfile {
        confirm: 4,
        ..*world.reader.profile()
    })
}

/// The payer of the fixture over another reader.
pub(crate) fn payer(fixture: &Fixture, reader: &Reader, store: &Arc<Memory>) -> Payer {
    Payer::new(reader.clone(), store.clone())
        .with_beacon(fixture.world.beacon.client.clone())
        .unwrap()
        .with_wallet(fixture.payer.wallet.clone())
        .with_key(fixture.payer.key.clone())
}

pub(crate) fn head_error(error: &BankError) -> HeadCheckError {
    match error {
        BankError::Head(error) => *error,
        other => panic!("not about the head: {other}"),
    }
}
