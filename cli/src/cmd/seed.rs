//! `cheque seed`: the randomness of draw blocks.

use cheque::chain::{Call, DrawBlock, Reader};
use clap::{Args, Subcommand};
use eyre::{Result, WrapErr, eyre};
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
        let (seed, done) = match reader.recorded_seed(self.block).await? {
            Some(seed) => {
                out.progress("this seed is recorded already: nothing was sent");
                (seed, Done::Nothing)
            }
            None => {
                let block = draw_block(&reader, self.block).await?;
                let sender = self.send.sender(&reader)?;
                let call = Call::record_seed(reader.bank(), block.number, block.header);
                let done = self
                    .send
                    .send(&sender, &call, "record the seed", out)
                    .await?;
                (block.seed, done)
            }
        };
        let json = json!({ "block": self.block, "seed": seed.0, "transaction": done.json() });
        out.result(&json, || {
            let mut lines = vec![
                ("draw block", self.block.to_string()),
                ("seed", seed.0.to_string()),
            ];
            lines.extend(done.fields());
            fields(&lines)
        })
    }
}

/// The block with its seed; an error tells how long to wait.
pub(crate) async fn draw_block(reader: &Reader, number: u64) -> Result<DrawBlock> {
    let block = reader
        .draw_block(number)
        .await
        .wrap_err_with(|| format!("block {number}"))?;
    if let Some(block) = block {
        return Ok(block);
    }
    let head = reader.head().await?.number;
    let ahead = number.saturating_sub(head);
    Err(eyre!(
        "block {number} is not there yet: the newest is {head}, so it takes about {} s",
        ahead.saturating_mul(reader.profile().block_time)
    ))
}
