//! `cheque store init`: an empty store.

use clap::Args;
use eyre::Result;
use serde_json::json;

use crate::{
    opts::store::StoreOpts,
    output::{Output, fields},
};

/// Create an empty store
///
/// No other command creates a store that a setting names, except with --create-store, and except `cheque store restore`:
/// so a mistyped name never begins an empty store. An existing store stays as it is.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque store init                                          in the user's data directory
  cheque store init --store /var/lib/cheque
  cheque store init --store 'postgres:///shop?host=/run/postgresql&user=shop'
Without its records, a payee credits payments again, and a payer cannot pay from its open deposits:
if a store should exist, look for it, or restore its backup.")]
pub(super) struct InitArgs {
    #[command(flatten)]
    store: StoreOpts,
}

impl InitArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let opened = self.store.open_or_create().await?;
        let json = json!({ "store": opened.place, "created": opened.is_new });
        out.result(&json, || {
            let state = match opened.is_new {
                true => "created, empty",
                false => "exists already",
            };
            fields(&[("store", opened.place.clone()), ("state", state.to_owned())])
        })
    }
}
