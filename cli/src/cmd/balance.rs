//! `cheque balance`: an account's money in bank and wallet.

use alloy::{
    primitives::{Address, U256},
    providers::Provider,
};
use cheque::Purse;
use clap::Args;
use eyre::{Result, ensure};
use serde_json::json;

use crate::{
    allowances::parse_address,
    opts::{chain::ChainOpts, wallet::WalletOpts},
    output::{Output, table},
    token::token_at,
};

/// Show an account's money in the bank, its purses and its wallet
///
/// The balance (lane 0) is free to withdraw. A purse (lane 1, 2, ...) holds one open deposit or idle money.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque balance 0xd8dA6BF26964aF9D7eEd9e03E53415D37aA96045
  cheque balance --account alice --token 0xA0b8...       of a token
  cheque balance 0xd8dA... --lanes 32                    with more purses")]
pub(crate) struct BalanceArgs {
    /// Account [default: the wallet's]
    #[arg(value_name = "ADDRESS", value_parser = parse_address)]
    of: Option<Address>,

    /// Show this ERC-20 token [default: the native coin]
    #[arg(long, value_name = "ADDRESS", value_parser = parse_address)]
    token: Option<Address>,

    /// Read purses of lanes 1 to NUMBER; empty purses are not shown
    #[arg(long, value_name = "NUMBER", default_value_t = 1_000)]
    lanes: u64,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    wallet: WalletOpts,
}

impl BalanceArgs {
    pub(crate) async fn run(self, out: &Output) -> Result<()> {
        ensure!(
            self.lanes <= 10_000,
            "--lanes is too large; name at most 10000"
        );
        let account = match self.of {
            Some(account) => account,
            None => self.wallet.unlock()?.address(),
        };
        let reader = self.chain.reader().await?;
        let token = token_at(self.token.unwrap_or_default(), &reader).await?;
        let wallet = if token.is_coin() {
            let coin = reader.provider().get_balance(account).await;
            coin.map_err(cheque::node::NodeError::from)?
        } else {
            reader.token(token.address).balance(account).await?
        };
        let balance = reader.balance(account, token.address).await?;
        let head = reader.head().await?.number;
        let keys: Vec<_> = (1..=self.lanes)
            .map(|lane| ((account, token.address, lane), head))
            .collect();
        let read = reader.purses(&keys).await?;
        let purses: Vec<_> = (1_u64..)
            .zip(read)
            .filter(|(_, purse)| purse.word() != U256::ZERO)
            .collect();

        let json = json!({
            "account": account,
            "token": token.address,
            "balance": balance.to_string(),
            "wallet": wallet.to_string(),
            "purses": purses.iter().map(|(lane, purse)| match purse {
                Purse::Idle(idle) => json!({ "lane": lane, "idle": idle }),
                Purse::Open(id) => json!({ "lane": lane, "deposit": id }),
            }).collect::<Vec<_>>(),
        });
        out.result(&json, || {
            let mut rows = vec![
                vec!["wallet".to_owned(), token.show(wallet)],
                vec!["balance (lane 0)".to_owned(), token.show(balance)],
            ];
            rows.extend(purses.iter().map(|(lane, purse)| {
                let holds = match purse {
                    Purse::Idle(idle) => format!("{} idle", token.show_amount(*idle)),
                    Purse::Open(id) => format!("deposit {id}"),
                };
                vec![format!("purse (lane {lane})"), holds]
            }));
            table(&["place", "holds"], &rows)
        })
    }
}
