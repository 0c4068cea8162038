//! Interruption of work at a chosen await point: a deterministic kill within the process.

use super::node::signer;
use alloy_primitives::Address;
use cheque::SigningKey;
use cheque::store::Redb;
use cheque::{bank::Reader, node::connect, payer::Payer, tx::Wallet};
use std::{future::Future, path::Path, pin::pin, sync::Arc, task::Poll};

/// The number of the payer's account.
const PAYER: u8 = 1;

/// Polls `work` until its end, or drops the work and returns `None` once `dies` returns true.
pub(crate) async fn interrupt_when<T>(
    mut dies: impl FnMut() -> bool,
    work: impl Future<Output = T>,
) -> Option<T> {
    let mut work = pin!(work);
    std::future::poll_fn(|context| {
        if dies() {
            return Poll::Ready(None);
        }
        work.as_mut().poll(context).map(Some)
    })
    .await
}

/// Runs `work` with a new payer over the store at `store`. Drops the work and returns `None` after `polls` polls.
pub(crate) fn interrupted_payer<T>(
    url: &str,
    bank: Address,
    store: &Path,
    polls: usize,
    work: impl AsyncFnOnce(Payer) -> T,
) -> Option<T> {
    let mut left = polls;
    let dies = move || match left.checked_sub(1) {
        Some(less) => {
            left = less;
            false
        }
        None => true,
    };
    in_own_runtime(url, bank, PAYER, async |reader, wallet| {
        let payer = Payer::new(reader, Arc::new(Redb::open(store).unwrap()))
            .with_wallet(wallet)
            .with_key(SigningKey::from_bytes(&[PAYER; 32]).unwrap());
        interrupt_when(dies, work(payer)).await
    })
}

/// Runs `work` of account `number` on a runtime and a connection of its own. All tasks end with the call.
pub(crate) fn in_own_runtime<T>(
    url: &str,
    bank: Address,
    number: u8,
    work: impl AsyncFnOnce(Reader, Wallet) -> T,
) -> T {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    runtime.unwrap().block_on(async {
        let reader = Reader::open(connect(url).await.unwrap(), bank)
            .await
            .unwrap();
        let wallet = Wallet::new(reader.provider().clone(), signer(number), 31_337);
        work(reader, wallet).await
    })
}
