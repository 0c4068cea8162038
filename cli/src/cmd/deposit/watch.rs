//! `cheque deposit watch`.

use cheque::{DepositId, bank::Reader, payer::DepositState};
use clap::Args;
use eyre::Result;
use serde_json::json;
use tokio::time::sleep;

use super::state::{add_state, state_text, update_states};
use crate::{
    opts::{beacon::BeaconOpts, chain::ChainOpts, store::StoreOpts},
    output::Output,
};

/// Print each change of a deposit's state
///
/// With an id, ends when the deposit is redeemed, reclaimed or never opened; otherwise runs until Ctrl-C.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit watch
  cheque deposit watch 0x5f3c... --json      one JSON object in each line")]
pub(super) struct WatchArgs {
    /// Deposit [default: all of the store]
    id: Option<DepositId>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,
}

impl WatchArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let mut known = self.states(&reader, out).await?;
        for (id, state) in &known {
            announce(*id, state, out)?;
        }
        let pause = reader.profile().poll;
        loop {
            if self.id.is_some() && known.iter().all(|(_, state)| is_final(state)) {
                return Ok(());
            }
            sleep(pause).await;
            let now = match self.states(&reader, out).await {
                Ok(now) => now,
                Err(error) => {
                    out.warn(format!("{error:#}; trying again"));
                    continue;
                }
            };
            // Comparing with the last states printed also finds changes recorded by another command.
            for (id, state) in &now {
                if !known.contains(&(*id, *state)) {
                    announce(*id, state, out)?;
                }
            }
            known = now;
        }
    }

    /// Reads the current states. Closes the store afterwards, so other commands can use the store in between.
    async fn states(
        &self,
        reader: &Reader,
        out: &Output,
    ) -> Result<Vec<(DepositId, DepositState)>> {
        let payer = self.store.payer(reader.clone(), &self.relays).await?;
        update_states(&payer, out).await?;
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

fn is_final(state: &DepositState) -> bool {
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
