//! Cache of allowance trees of the deposits that are paid from or about to be drawn.

use crate::{
    payer::{
        Payer,
        error::PayerError,
        records::{AllowanceList, DepositRecord, DepositState},
        stored::stored_list,
    },
    protocol::{allowance::tree::AllowanceTree, terms::DepositId},
    store::async_store::StoredError,
};
use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
};

impl Payer {
    /// Returns a deposit's allowance tree, built once from its stored list.
    pub(super) async fn tree(&self, id: DepositId) -> Result<Arc<AllowanceTree>, PayerError> {
        let lock = || {
            let trees = self.shared.trees.lock();
            trees.unwrap_or_else(PoisonError::into_inner)
        };
        if let Some(tree) = lock().get(&id) {
            return Ok(tree.clone());
        }
        let list = stored_list(&self.store, self.reader.bank(), id).await?;
        let list = list.ok_or(PayerError::NoList(id))?;
        let tree = Arc::new(build_tree(&list).await?);
        lock().insert(id, tree.clone());
        Ok(tree)
    }

    /// Drops the trees of deposits that are drawn or closed.
    pub(super) fn drop_unused_trees(&self, followed: &HashMap<DepositId, DepositRecord>) {
        let trees = self.shared.trees.lock();
        let mut trees = trees.unwrap_or_else(PoisonError::into_inner);
        trees.retain(|id, _| {
            matches!(
                followed.get(id).map(|record| record.state),
                None | Some(
                    DepositState::Pending | DepositState::Active | DepositState::PastCutoff
                )
            )
        });
    }
}

/// Builds a tree on a thread that may block: a large tree takes a while.
pub(super) async fn build_tree(list: &AllowanceList) -> Result<AllowanceTree, PayerError> {
    let list = list.clone();
    let build = move || AllowanceTree::build(list.allowances.iter().copied(), &list.master);
    match tokio::task::spawn_blocking(build).await {
        Ok(tree) => Ok(tree?),
        Err(error) => match error.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            Err(_) => Err(StoredError::ShuttingDown.into()),
        },
    }
}
