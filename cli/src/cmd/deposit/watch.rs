//! `cheque deposit watch`.

use std::time::Duration;

use cheque::{DepositId, bank::Reader, payer::DepositState};
use clap::Args;
use eyre::Result;
use serde_json::json;
use tokio::time::sleep;

use super::list::{add_state, state_text};
use crate::{
    opts::{ChainOpts, StoreOpts},
    output::Output,
    payer::look,
};

/// Print every change of state of the deposits, as the chain moves on
///
/// With an id, only this deposit's, until it is redeemed, reclaimed or lost. Otherwise until Ctrl-C. A node that does not
/// answer is asked again at the next block.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit watch
  cheque deposit watch 0x5f3c... --json      one JSON object in each line")]
pub(super) struct WatchArgs {
    /// The deposit [default: all of this store]
    id: Option<DepositId>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,
}

impl WatchArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let mut known = self.look(&reader, out).await?;
        for (id, state) in &known {
            announce(*id, state, out)?;
        }
        let pause = Duration::from_secs(reader.profile().block_time.max(1));
        loop {
            if self.id.is_some() && known.iter().all(|(_, state)| is_over(state)) {
                return Ok(());
            }
            sleep(pause).await;
            let now = match self.look(&reader, out).await {
                Ok(now) => now,
                Err(error) => {
                    out.warn(format!("{error:#}; trying again"));
                    continue;
                }
            };
            // Compared here, so that a change that another command has found is announced, too.
            for (id, state) in &now {
                if !known.contains(&(*id, *state)) {
                    announce(*id, state, out)?;
                }
            }
            known = now;
        }
    }

    /// Where the deposits stand now. The store is open only for that long, so that other commands can be used meanwhile.
    async fn look(&self, reader: &Reader, out: &Output) -> Result<Vec<(DepositId, DepositState)>> {
        let payer = self.store.payer(reader.clone()).await?;
        look(&payer, out).await?;
        if let Some(id) = self.id {
            return Ok(vec![(id, payer.deposit(id).await?.state)]);
        }
        let deposits = payer.deposits().await?;
        Ok(deposits
            .into_iter()
            .map(|(id, record)| (id, record.state))
            .collect())
    }
}

fn is_over(state: &DepositState) -> bool {
    matches!(
        state,
        DepositState::Redeemed { .. } | DepositState::Reclaimed | DepositState::NeverOpened
    )
}

fn announce(id: DepositId, state: &DepositState, out: &Output) -> Result<()> {
    let mut json = json!({ "deposit": id });
    add_state(&mut json, state);
    out.event(&json, || format!("{id}  {}", state_text(state)))
}
