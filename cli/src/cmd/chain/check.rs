//! `cheque chain check`.

use std::time::Duration;

use alloy::providers::{DynProvider, Provider};
use cheque::{ChainProfile, FeeModel, Freshness, MIN_LEAD, node::NodeError};
use cheque_bindings::CREATE2_DEPLOYER;
use clap::Args;
use eyre::{Result, WrapErr};
use serde_json::{Value, json};

use super::{
    finality::{Watched, watch},
    limits::{BATCH, batch_size, has_fee_history, log_range, next_fork},
    verifier::{refuses_a_point_outside, stores_transiently, verifies_a_round},
};
use crate::{
    exit::Exit,
    format,
    opts::{
        chain::{NodeOpts, chain_id_of, common_bank, fee_model},
        time::{parse_duration, show_duration, show_time},
    },
    output::{Output, fields, table},
};

/// Check what a node and its chain can do, and whether a bank can run
///
/// Sends nothing but questions. The precompiles of EIP-2537 are tried on a real round of quicknet, and on a point that
/// they must refuse, in calls that deploy nothing. Exit code 1 if no bank can run. Limits of the node, and a listed
/// chain that is slower than expected, are warnings.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque chain check --rpc-url https://...
  cheque chain check --rpc-url https://... --watch 0 --json    without watching the chain for a minute")]
pub(super) struct CheckArgs {
    #[command(flatten)]
    node: NodeOpts,

    /// Watch blocks and finality for DURATION; 0 is a single look
    #[arg(long, value_name = "DURATION", value_parser = parse_duration, default_value = "1m")]
    watch: Duration,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Good,
    /// Services run, and may have to wait or to be set up otherwise.
    Warning,
    /// No bank can run.
    Bad,
}

impl Verdict {
    const fn name(self) -> &'static str {
        match self {
            Self::Good => "ok",
            Self::Warning => "warning",
            Self::Bad => "missing",
        }
    }
}

/// A check: its name, its result for programs, and a sentence for people.
#[derive(Debug)]
struct Check {
    name: &'static str,
    verdict: Verdict,
    value: Value,
    text: String,
}

/// The checks so far.
#[derive(Debug, Default)]
struct Checks(Vec<Check>);

impl Checks {
    fn add(&mut self, name: &'static str, verdict: Verdict, value: Value, text: impl Into<String>) {
        self.0.push(Check {
            name,
            verdict,
            value,
            text: text.into(),
        });
    }

    /// Adds a check of something without which no bank runs.
    fn need(&mut self, name: &'static str, found: Result<(), String>, good: &str) {
        match found {
            Ok(()) => self.add(name, Verdict::Good, json!(true), good),
            Err(reason) => self.add(name, Verdict::Bad, json!(false), reason),
        }
    }

    /// Adds a check with a warning if there is one.
    fn warn_if(&mut self, name: &'static str, value: Value, good: String, warning: Option<String>) {
        let verdict = warning.as_ref().map_or(Verdict::Good, |_| Verdict::Warning);
        self.add(name, verdict, value, warning.unwrap_or(good));
    }

    fn can_run_bank(&self) -> bool {
        self.0.iter().all(|check| check.verdict != Verdict::Bad)
    }
}

impl CheckArgs {
    pub(super) async fn run(self, out: &Output) -> Result<Exit> {
        let provider = self.node.provider().await?;
        let id = chain_id_of(&provider).await?;
        let profile = ChainProfile::of(id).ok();
        let mut checks = Checks::default();
        check_contract(&provider, &mut checks).await;
        check_bank(&provider, id, &mut checks).await?;
        check_limits(&provider, id, &mut checks).await?;
        if !self.watch.is_zero() {
            out.progress(format!(
                "watching the chain for {}",
                show_duration(self.watch)
            ));
        }
        let watched = watch(&provider, self.watch).await;
        let watched = watched.wrap_err("the node does not tell its newest block")?;
        check_times(&watched, profile, &mut checks);
        let fees = fee_model(&provider).await?;
        check_fees(fees, profile, &mut checks);
        print(id, profile, &checks, out)?;
        Ok(if checks.can_run_bank() {
            Exit::Done
        } else {
            Exit::Failed
        })
    }
}

/// Checks what the bank's code needs of the chain.
async fn check_contract(provider: &DynProvider, checks: &mut Checks) {
    checks.need(
        "eip2537",
        verifies_a_round(provider).await,
        "the chain verifies a real round of quicknet",
    );
    checks.need(
        "subgroup",
        refuses_a_point_outside(provider).await,
        "the chain refuses a signature outside of the prime subgroup",
    );
    checks.need(
        "transient_storage",
        stores_transiently(provider).await,
        "the chain has transient storage",
    );
}

/// Checks whether the common bank is there, or can be deployed.
async fn check_bank(provider: &DynProvider, chain_id: u64, checks: &mut Checks) -> Result<()> {
    let bank = common_bank(chain_id);
    let code = provider.get_code_at(bank).await.map_err(NodeError::from)?;
    if !code.is_empty() {
        let text = format!("the common bank is deployed at {bank}");
        checks.add("bank", Verdict::Good, json!(true), text);
        return Ok(());
    }
    let deployer = provider.get_code_at(CREATE2_DEPLOYER).await;
    if deployer.map_err(NodeError::from)?.is_empty() {
        let text = format!(
            "neither the common bank nor the deterministic deployer at {CREATE2_DEPLOYER} is there; deploy the latter as \
             https://github.com/Arachnid/deterministic-deployment-proxy explains"
        );
        checks.add("bank", Verdict::Bad, json!(false), text);
    } else {
        let text = format!("not deployed yet; `cheque deploy` puts it at {bank} for everybody");
        checks.add("bank", Verdict::Good, json!(false), text);
    }
    Ok(())
}

/// Checks the limits of the node.
async fn check_limits(provider: &DynProvider, chain_id: u64, checks: &mut Checks) -> Result<()> {
    let size = batch_size(provider).await;
    let few = size.is_none_or(|size| size < BATCH);
    checks.warn_if(
        "batch_size",
        json!(size),
        format!("{BATCH} requests or more in a batch"),
        few.then(|| {
            let size = size.unwrap_or(1);
            format!("{size} requests at a time, where other nodes take {BATCH}; looks at the chain take longer")
        }),
    );
    let head = provider.get_block_number().await.map_err(NodeError::from)?;
    let range = log_range(provider, common_bank(chain_id), head).await;
    let good = format!("the logs of {} blocks at once", range.unwrap_or_default());
    let none = range.is_none();
    checks.warn_if(
        "log_range",
        json!(range),
        good,
        none.then(|| {
            "no logs of 100 blocks, from which ends of deposits are read; use another node"
                .to_owned()
        }),
    );
    let fees = has_fee_history(provider).await;
    checks.warn_if(
        "fee_history",
        json!(fees.is_ok()),
        "the fees of the last blocks".to_owned(),
        fees.err().map(|error| {
            format!(
                "{error}; transactions are priced by the newest block and the node's suggestion"
            )
        }),
    );
    let (value, text) = match next_fork(provider).await {
        Ok(Some(time)) => (
            json!(true),
            format!("the next fork is at {}", show_time(time)),
        ),
        Ok(None) => (json!(true), "no next fork is scheduled".to_owned()),
        Err(_) => (
            json!(false),
            "not told; prices of gas are measured by calls".to_owned(),
        ),
    };
    checks.add("eth_config", Verdict::Good, value, text);
    Ok(())
}

/// Checks the chain's times, as far as they were watched.
fn check_times(seen: &Watched, profile: Option<&ChainProfile>, checks: &mut Checks) {
    let seconds = |seconds| show_duration(Duration::from_secs(seconds));
    let bounds = profile.map_or(Some(Freshness::DEFAULT), |profile| profile.freshness);
    let (first, last) = seen.blocks;
    let blocks = last.saturating_sub(first);
    let off = bounds.filter(|bounds| {
        seen.max_head_age > bounds.max_head_age || seen.max_ahead > bounds.max_ahead
    });
    checks.warn_if(
        "head",
        json!({
            "watched": seen.watched,
            "blocks": blocks,
            "max_head_age": seen.max_head_age,
            "max_ahead": seen.max_ahead,
        }),
        format!(
            "{blocks} blocks in {}, the newest never older than {}",
            seconds(seen.watched),
            seconds(seen.max_head_age)
        ),
        off.map(|bounds| {
            format!(
                "the newest block was up to {} old and {} ahead of this machine's clock; services take payments up to {} and \
                 {}: set the clock, or use another node",
                seconds(seen.max_head_age),
                seconds(seen.max_ahead),
                seconds(bounds.max_head_age),
                seconds(bounds.max_ahead)
            )
        }),
    );
    let limit = profile.map_or(MIN_LEAD, |profile| profile.finality);
    let is_checked = bounds.is_some();
    let (good, warning) = match seen.finality {
        None => (
            "not told; blocks count as final by their age".to_owned(),
            None,
        ),
        Some(lag) if !is_checked || lag <= limit => (
            format!("the final block was up to {} behind", seconds(lag)),
            None,
        ),
        Some(lag) => (
            String::new(),
            Some(format!(
                "the final block was up to {} behind, and payees wait {}; take a longer --finality, and a bank with a lead as \
                 long",
                seconds(lag),
                seconds(limit)
            )),
        ),
    };
    checks.warn_if("finalized", json!(seen.finality), good, warning);
}

/// Compares the parts of fees with the profile's.
fn check_fees(found: FeeModel, profile: Option<&ChainProfile>, checks: &mut Checks) {
    let name = match found {
        FeeModel::OpStack => "op_stack",
        FeeModel::Arbitrum => "arbitrum",
        _ => "plain",
    };
    let other = profile.is_some_and(|profile| profile.fees != found);
    checks.warn_if(
        "fees",
        json!(name),
        match found {
            FeeModel::OpStack => "gas, and the data fee of the OP stack",
            FeeModel::Arbitrum => "gas, with the layer-1 part in it, as of Arbitrum",
            _ => "gas",
        }
        .to_owned(),
        other.then(|| {
            format!("{name}, unlike the listed chain of this number; ask who runs the node")
        }),
    );
}

fn print(
    chain_id: u64,
    profile: Option<&ChainProfile>,
    checks: &Checks,
    out: &Output,
) -> Result<()> {
    let mut json = json!({
        "chain": chain_id,
        "name": profile.map(|profile| profile.name),
        "listed": profile.is_some(),
        "can_run_bank": checks.can_run_bank(),
    });
    for check in &checks.0 {
        json[check.name] = json!({
            "verdict": check.verdict.name(),
            "value": check.value,
            "text": check.text,
        });
    }
    out.result(&json, || {
        let rows = checks.0.iter().map(|check| {
            let name = check.name.replace('_', " ");
            vec![name, check.verdict.name().to_owned(), check.text.clone()]
        });
        let rows: Vec<_> = rows.collect();
        let mut lines = vec![("chain", format::chain(chain_id))];
        if let Some(profile) = profile {
            let seconds = |seconds| show_duration(Duration::from_secs(seconds));
            lines.push(("confirm", seconds(profile.confirm)));
            lines.push(("finality", seconds(profile.finality)));
        }
        let end = if !checks.can_run_bank() {
            "No bank can run on this chain."
        } else if profile.is_some() {
            "A bank can run on this chain."
        } else {
            "A bank can run on this chain. It is not listed, so name its times with --confirm and --finality."
        };
        let checks = table(&["check", "verdict", "result"], &rows);
        format!("{}\n{checks}\n{end}", fields(&lines))
    })
}
