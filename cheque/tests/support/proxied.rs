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

/// The bank through a proxy. The profile allows anvil's time to be an hour off, and reorgs of up to 4 blocks.
pub(crate) async fn through(world: &World, proxy: &Proxy) -> Reader {
    let provider = connect_within(&[&proxy.url], Duration::from_millis(200)).await;
    let reader = Reader::open(provider.unwrap(), world.reader.bank().address());
    reader.await.unwrap().with_profile(ChainProfile {
        confirmations: 4,
        stale_after: Some(3_600),
        ..*world.reader.profile()
    })
}

/// The payer of the fixture over another reader.
pub(crate) fn payer(fixture: &Fixture, reader: &Reader, store: &Arc<Memory>) -> Payer {
    Payer::new(reader.clone(), store.clone())
        .with_wallet(fixture.payer.wallet.clone())
        .with_key(fixture.payer.key.clone())
}

pub(crate) fn head_error(error: &BankError) -> HeadCheckError {
    match error {
        BankError::Head(error) => *error,
        other => panic!("not about the head: {other}"),
    }
}
