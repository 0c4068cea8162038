//! `cheque seed`: the randomness of draw blocks.

use clap::{Args, Subcommand};
use eyre::{Result, ensure};
use serde_json::json;

use crate::{
    opts::{chain::ChainOpts, send::SendOpts},
    output::{Output, fields},
    transaction::TxReport,
};

/// Record the seeds of draw blocks
///
/// A seed is the randomness of a draw block: it decides every deposit drawn by that block.
#[derive(Args, Debug)]
#[command(after_help = "Example:
  cheque seed record 21000300 --account alice")]
pub(crate) struct SeedArgs {
    #[command(subcommand)]
    command: SeedCommand,
}

#[derive(Debug, Subcommand)]
enum SeedCommand {
    Record(RecordArgs),
}

/// Keep the seed of a block in the bank for ever
///
/// The chain forgets the block's hash after 8191 blocks, and the seed becomes unprovable. A recorded seed serves every
/// deposit drawn by that block. Anybody may record a seed; a recorded seed is not sent again.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque seed record 21000300 --account alice
  cheque seed record 21000300 --dry-run")]
struct RecordArgs {
    /// Draw block
    block: u64,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    send: SendOpts,
}

impl SeedArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        let SeedCommand::Record(args) = self.command;
        args.run(out).await
    }
}

impl RecordArgs {
    async fn run(self, out: &Output) -> Result<()> {
        let reader = self.chain.reader().await?;
        let head = reader.head().await?.number;
        ensure!(
            self.block <= head,
            "block {} is not mined yet and the head is {head}; try again in about {} s",
            self.block,
            (self.block - head).saturating_mul(reader.profile().block_time)
        );
        let report = match reader.record_seed(self.block).await? {
            Some(call) => {
                let wallet = self.send.unlock(&reader)?;
                self.send
                    .send(&wallet, &call, "recording the seed", out)
                    .await?
            }
            None => {
                out.progress("the seed is already recorded; nothing is sent");
                TxReport::NotNeeded
            }
        };
        let seed = reader.seed(self.block).await?.map(|(seed, _)| seed.0);
        let json = json!({ "block": self.block, "seed": seed, "transaction": report.json() });
        out.result(&json, || {
            let mut lines = vec![("draw block", self.block.to_string())];
            lines.extend(seed.map(|seed| ("seed", seed.to_string())));
            lines.extend(report.fields());
            fields(&lines)
        })
    }
}
