//! Cache of allowance trees of the deposits that are paid from or about to be drawn.

use crate::{
    payer::{
        allowance_list::AllowanceList,
        error::PayerError,
        records::{DepositRecord, DepositState},
        stored::stored_list,
        task::{detached, ended},
    },
    protocol::{
        allowance::tree::AllowanceTree,
        terms::{Bank, DepositId},
    },
    single_flight::SingleFlight,
    store::async_store::AsyncStore,
};
use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// The trees by deposit. Each is built once for all that wait for it.
#[derive(Debug, Default)]
pub(super) struct Trees(Mutex<HashMap<DepositId, Arc<Tree>>>);

type Tree = SingleFlight<AllowanceTree, PayerError>;

impl Trees {
    /// Returns a deposit's tree, built once from its stored list.
    pub(super) async fn get(
        &self,
        store: &AsyncStore,
        bank: Bank,
        id: DepositId,
    ) -> Result<Arc<AllowanceTree>, PayerError> {
        let (store, tree) = (store.clone(), self.of(id));
        // Continues if the caller drops the future: the next finds the tree, and no second building begins.
        detached(async move {
            let build = async || Ok((build_stored(&store, bank, id).await?, ()));
            tree.fresh(Duration::MAX, build).await
        })
        .await
    }

    /// Drops the trees of deposits that are drawn or closed, and what is left of deposits that have no list.
    pub(super) fn drop_unused(&self, followed: &HashMap<DepositId, DepositRecord>) {
        use DepositState::{Active, PastCutoff, Pending};
        self.lock().retain(|id, tree| {
            let state = followed.get(id).map(|record| record.state);
            state.map_or_else(
                || tree.newest().is_some() || Arc::strong_count(tree) > 1,
                |state| matches!(state, Pending | Active | PastCutoff),
            )
        });
    }

    fn of(&self, id: DepositId) -> Arc<Tree> {
        self.lock().entry(id).or_default().clone()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<DepositId, Arc<Tree>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn build_stored(
    store: &AsyncStore,
    bank: Bank,
    id: DepositId,
) -> Result<AllowanceTree, PayerError> {
    let list = stored_list(store, &bank, id).await?;
    build_tree(&list.ok_or(PayerError::NoList(id))?).await
}

/// Builds a tree on a thread that may block: a large tree takes a while.
pub(super) async fn build_tree(list: &AllowanceList) -> Result<AllowanceTree, PayerError> {
    let list = list.clone();
    let build = move || AllowanceTree::build(list.allowances.iter().copied(), &list.master);
    Ok(ended(tokio::task::spawn_blocking(build).await)??)
}
