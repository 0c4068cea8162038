//! `cheque seed`: the randomness of draw blocks.

use clap::{Args, Subcommand};
use eyre::{Result, ensure};
use serde_json::json;

use crate::{
    opts::{ChainOpts, SendOpts},
    output::{Output, fields},
    send::Done,
};

/// Record the seeds of draw blocks
#[derive(Args, Debug)]
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
/// The chain forgets the block's hash after 8191 blocks, and with it the proof of the seed. A recorded seed serves every
/// deposit that is drawn by this block. Anybody may record it; if it is recorded already, nothing is sent.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque seed record 21000300 --account alice
  cheque seed record 21000300 --dry-run")]
struct RecordArgs {
    /// Number of the draw block
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
            "block {} is not there yet: the newest is {head}, so it takes about {} s",
            self.block,
            (self.block - head).saturating_mul(reader.profile().block_time)
        );
        let done = match reader.record_seed(self.block).await? {
            Some(call) => {
                let sender = self.send.sender(&reader)?;
                self.send
                    .send(&sender, &call, "recording the seed", out)
                    .await?
            }
            None => {
                out.progress("this seed is recorded already: nothing was sent");
                Done::Nothing
            }
        };
        let seed = reader.seed(self.block).await?.map(|(seed, _)| seed.0);
        let json = json!({ "block": self.block, "seed": seed, "transaction": done.json() });
        out.result(&json, || {
            let mut lines = vec![("draw block", self.block.to_string())];
            lines.extend(seed.map(|seed| ("seed", seed.to_string())));
            lines.extend(done.fields());
            fields(&lines)
        })
    }
}
