//! `cheque payer run`: opens one round after the other and pays, for months.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};

use alloy::{primitives::Address, signers::local::PrivateKeySigner};
use cheque::{bank::Reader, payer::PayerService, tx::Wallet};
use clap::Args;
use eyre::{Result, WrapErr};

use super::{api, rounds::RoundsOpts};
use crate::{
    amount::{AmountText, Token},
    opts::{ChainOpts, SignerOpts, StoreOpts, WalletOpts},
    output::Output,
    payer::signing_key,
    send::sender_of,
    service::ServiceOpts,
    token::token_at,
};

/// Where a payer answers if nothing else is said.
const LISTEN: SocketAddr = SocketAddr::V4(SocketAddrV4::new(Ipv4Addr::LOCALHOST, 9551));

/// Pay over HTTP, open one round after the other, and take back what nobody redeems
///
/// POST /cheques takes {"payee": ADDRESS, "amount": UNITS} and answers 200 with the proofs once the payment is on disk, or
/// 409 if the present round does not cover it. It is never repeated by itself: who has lost an answer looks at GET
/// /payees/ADDRESS, which has the newest proofs, before paying again. GET /deposits shows all deposits with what they wait
/// for, GET /deposits/ID one, GET /events their changes as they come. SIGTERM ends it in order.
///
/// Every deposit in the store is followed, opened if it was stored only, and taken back in time. With payees and --draw-in,
/// the next round is opened whenever the present one is nearly spent or near its draw. Let one service alone use a wallet.
/// Without a wallet, but with a signer, it only pays and follows.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque payer run --account alice --allowances payees.csv --draw-in 7200 --daily-budget 0.5ether
  cheque payer run --account cold --signer-keystore hot.json --allowances payees.csv --draw-in 7200 --max-fee 40gwei
  cheque payer run --account alice                         no rounds: pays from what is open
  curl -d '{\"payee\":\"0xd8dA...\",\"amount\":\"20000\"}' -H 'Content-Type: application/json' http://127.0.0.1:9551/cheques")]
pub(super) struct RunArgs {
    #[command(flatten)]
    rounds: RoundsOpts,

    /// Offer at most this much per unit of gas, and wait while the market asks for more
    #[arg(long, value_name = "AMOUNT", help_heading = "Transaction")]
    max_fee: Option<AmountText>,

    /// Keep a settled deposit in the store so long after its window, and for a day at least [default: 30 days]
    #[arg(long, value_name = "BLOCKS")]
    keep: Option<u64>,

    #[command(flatten)]
    signer: SignerOpts,

    #[command(flatten)]
    store: StoreOpts,

    #[command(flatten)]
    chain: ChainOpts,

    #[command(flatten)]
    wallet: WalletOpts,

    #[command(flatten)]
    service: ServiceOpts,
}

impl RunArgs {
    pub(super) async fn run(self, out: &Output) -> Result<()> {
        let server = self.service.start(LISTEN).await?;
        let (service, token) = server.prepare(self.payer()).await?;
        let router = api::router(service.clone(), token, server.stop());
        let worker = service.clone();
        let work = worker.run(server.stop().cancelled_owned());
        server
            .serve(out, router, move || service.health(), work)
            .await
    }

    /// The service, and the token that it pays in.
    async fn payer(&self) -> Result<(PayerService, Address)> {
        let signer = self.signer.unlock()?;
        // A signer alone can pay from what others open.
        let wallet = match self.wallet.is_named() || signer.is_none() {
            true => Some(self.wallet.unlock()?),
            false => None,
        };
        let key = signer.as_ref().or(wallet.as_ref()).map(signing_key);
        let reader = self.chain.reader().await?;
        let token = token_at(self.rounds.token.unwrap_or_default(), &reader).await?;
        let rounds = self.rounds.rounds(&token)?;
        let sender = match wallet {
            Some(wallet) => Some(self.sender(wallet, &reader)?),
            None => None,
        };
        let payer = self.store.payer(reader).await?;
        let mut payer = payer.with_rates(self.rounds.rate.rates(&token)?);
        if let Some(key) = key {
            payer = payer.with_key(key?);
        }
        if let Some(sender) = sender {
            payer = payer.with_wallet(sender);
        }
        if let Some(rounds) = &rounds {
            rounds.check(&payer)?;
        }
        let service = PayerService::new(payer, rounds);
        let service = match self.keep {
            Some(blocks) => service.with_keep(blocks),
            None => service,
        };
        service.recall().await?;
        Ok((service, token.address))
    }

    fn sender(&self, wallet: PrivateKeySigner, reader: &Reader) -> Result<Wallet> {
        let sender = sender_of(wallet, reader);
        let Some(text) = &self.max_fee else {
            return Ok(sender);
        };
        let most = text.in_units_of(&Token::coin()).wrap_err("--max-fee")?;
        Ok(sender.with_max_fee(most.get()))
    }
}
