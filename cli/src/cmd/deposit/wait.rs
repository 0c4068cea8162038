//! `cheque deposit wait`.

use std::time::Duration;

use cheque::{DepositId, bank::Reader, payer::DepositState};
use clap::{Args, ValueEnum};
use eyre::{Result, eyre};
use serde_json::json;
use tokio::time::{self, sleep};

use super::state::{add_state, state_text, update_states};
use crate::{
    amount::Token,
    exit::{Exit, Failure},
    id::IdText,
    opts::{
        beacon::BeaconOpts,
        chain::ChainOpts,
        store::StoreOpts,
        time::{parse_duration, show_duration},
    },
    output::Output,
    token::Tokens,
};

/// Wait until a deposit is active, drawn or closed
///
/// Exit code 0: the deposit is, and its state is printed. 1: it never will be, for instance active after its draw. 5: not
/// within --timeout.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque deposit wait 0x5f3c... && cheque write 0x5f3c... 0xd8dA... 0.001ether
  cheque deposit wait 0x5f3c... --until drawn --timeout 2h
  cheque deposit wait 0x5f3c... --until closed")]
pub(super) struct WaitArgs {
    /// Deposit
    id: IdText,

    /// Wait for this: cheques can be written; the draw is known; the money is paid out or taken back
    #[arg(long, value_name = "STATE", default_value = "active")]
    until: Until,

    /// Give up after DURATION, with exit code 5 [default: never]
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    timeout: Option<Duration>,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    relays: BeaconOpts,
}

/// The state to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
enum Until {
    /// Confirmed: cheques can be written
    Active,
    /// Drawn: the winner, if any, is known
    Drawn,
    /// Redeemed, reclaimed, or never opened
    Closed,
}

/// The distance of a deposit from the state to wait for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Distance {
    Reached,
    Ahead,
    /// The deposit is beyond the state, or will never reach it.
    Never,
}

impl Until {
    const fn distance(self, state: &DepositState) -> Distance {
        use DepositState as State;
        match (self, state) {
            (Self::Active, State::Active)
            | (
                Self::Drawn,
                State::Drawn { .. }
                | State::Redeemed { .. }
                | State::Reclaimable
                | State::Reclaimed,
            )
            | (Self::Closed, State::Redeemed { .. } | State::Reclaimed | State::NeverOpened) => {
                Distance::Reached
            }
            (Self::Drawn, State::NeverOpened) => Distance::Never,
            (Self::Active, state) if !matches!(state, State::Pending) => Distance::Never,
            _ => Distance::Ahead,
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Drawn => "drawn",
            Self::Closed => "closed",
        }
    }
}

impl WaitArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let Some(timeout) = self.timeout else {
            return self.wait(out).await;
        };
        let waited = time::timeout(timeout, self.wait(out)).await;
        waited.unwrap_or_else(|_| {
            let failure = Failure {
                exit: Exit::TimedOut,
                code: "timed_out".to_owned(),
                text: format!(
                    "deposit {} is not {} after {}; see `cheque deposit show {}`, and wait again",
                    self.id,
                    self.until.name(),
                    show_duration(timeout),
                    self.id
                ),
            };
            Err(failure.into())
        })
    }

    async fn wait(&self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let pause = reader.profile().poll;
        let (id, mut state, token) = self.state(&reader, out).await?;
        let mut told = None;
        loop {
            match self.until.distance(&state) {
                Distance::Reached => {
                    let mut json = json!({ "deposit": id });
                    add_state(&mut json, &state);
                    return out.result(&json, || state_text(&state, &token));
                }
                Distance::Never => {
                    return Err(eyre!(
                        "deposit {id} is {}, and will not be {}",
                        state_text(&state, &token),
                        self.until.name()
                    ));
                }
                Distance::Ahead => {}
            }
            if told != Some(state) {
                out.progress(format!("deposit {id} is {}", state_text(&state, &token)));
                if state == DepositState::Reclaimable {
                    out.progress(format!(
                        "`cheque deposit reclaim {id}` takes its money back"
                    ));
                }
                told = Some(state);
            }
            sleep(pause).await;
            match self.state(&reader, out).await {
                Ok((_, now, _)) => state = now,
                Err(error) => out.warn(format!("{error:#}; trying again")),
            }
        }
    }

    /// Reads the state. Closes the store afterwards, so other commands can use the store in between.
    async fn state(
        &self,
        reader: &Reader,
        out: &Output,
    ) -> Result<(DepositId, DepositState, Token)> {
        let payer = self.store.payer(reader.clone(), &self.relays).await?;
        update_states(&payer, out).await?;
        let id = self.id.of_payer(&payer).await?;
        let record = payer.deposit(id).await?;
        let tokens = Tokens::read(payer.reader(), [record.deposit.token]).await?;
        Ok((id, record.state, tokens.get(record.deposit.token)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cheque::Amount;

    #[test]
    fn knows_what_every_state_can_still_become() {
        use DepositState as State;
        use Distance::{Ahead, Never, Reached};
        let redeemed = State::Redeemed {
            payee: Default::default(),
            payout: Amount::ZERO,
        };
        for (state, active, drawn, closed) in [
            (State::Pending, Ahead, Ahead, Ahead),
            (State::Active, Reached, Ahead, Ahead),
            (State::PastCutoff, Never, Ahead, Ahead),
            (State::Drawn { winner: None }, Never, Reached, Ahead),
            (redeemed, Never, Reached, Reached),
            (State::Reclaimable, Never, Reached, Ahead),
            (State::Reclaimed, Never, Reached, Reached),
            (State::NeverOpened, Never, Never, Reached),
        ] {
            let distances = [Until::Active, Until::Drawn, Until::Closed];
            let distances = distances.map(|until| until.distance(&state));
            assert_eq!(distances, [active, drawn, closed], "{state:?}");
        }
    }
}
