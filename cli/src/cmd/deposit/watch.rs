//! `cheque deposit watch`.

use cheque::{
    DepositId,
    bank::Reader,
    payer::{DepositRecord, DepositState, Payer},
};
use clap::Args;
use eyre::Result;
use serde_json::json;
use tokio::time::sleep;

use super::state::{add_state, state_text, tokens_of, update_states};
use crate::{
    amount::Token,
    id::IdText,
    opts::{beacon::BeaconOpts, chain::ChainOpts, store::StoreOpts},
    output::Output,
};

/// Print each change of a deposit's state
///
/// With an id, ends when the deposit is redeemed, reclaimed or never opened; with --all runs until Ctrl-C. `cheque deposit
/// wait` waits for one state.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit watch --all
  cheque deposit watch 0x5f3c... --json      one JSON object in each line")]
pub(super) struct WatchArgs {
    /// Deposit
    #[arg(required_unless_present = "all", conflicts_with = "all")]
    id: Option<IdText>,

    /// Watch all deposits of the store
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,
}

/// A deposit, its state and its token.
type Watched = (DepositId, DepositState, Token);

impl WatchArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let mut known = self.states(&reader, out).await?;
        for (id, state, token) in &known {
            announce(*id, state, token, out)?;
        }
        let pause = reader.profile().poll;
        loop {
            if self.id.is_some() && known.iter().all(|(_, state, _)| is_final(state)) {
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
            for (id, state, token) in &now {
                let is_known = |(other, before, _): &Watched| other == id && before == state;
                if !known.iter().any(is_known) {
                    announce(*id, state, token, out)?;
                }
            }
            known = now;
        }
    }

    /// Reads the current states. Closes the store afterwards, so other commands can use the store in between.
    async fn states(&self, reader: &Reader, out: &Output) -> Result<Vec<Watched>> {
        let payer = self.store.payer(reader.clone(), &self.relays).await?;
        update_states(&payer, out).await?;
        if let Some(id) = &self.id {
            let id = id.of_payer(&payer).await?;
            let record = payer.deposit(id).await?;
            return watched(&payer, vec![(id, record)]).await;
        }
        let deposits = payer.deposits().await?;
        watched(&payer, deposits).await
    }
}

async fn watched(payer: &Payer, deposits: Vec<(DepositId, DepositRecord)>) -> Result<Vec<Watched>> {
    let tokens = tokens_of(payer, &deposits).await?;
    let with_token = |(id, record): (DepositId, DepositRecord)| {
        let token = tokens.get(record.deposit.token);
        (id, record.state, token)
    };
    Ok(deposits.into_iter().map(with_token).collect())
}

fn is_final(state: &DepositState) -> bool {
    matches!(
        state,
        DepositState::Redeemed { .. } | DepositState::Reclaimed | DepositState::NeverOpened
    )
}

fn announce(id: DepositId, state: &DepositState, token: &Token, out: &Output) -> Result<()> {
    let mut json = json!({ "deposit": id });
    add_state(&mut json, state);
    out.event(&json, || format!("{id}  {}", state_text(state, token)))
}
