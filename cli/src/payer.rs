//! The payer that the flags describe.

use alloy::signers::local::PrivateKeySigner;
use cheque::{
    SigningKey,
    bank::{NativeRate, NativeRates, Reader},
    payer::Payer,
};
use clap::Args;
use eyre::{Result, WrapErr, ensure, eyre};

use crate::{
    amount::{AmountText, Token},
    opts::StoreOpts,
    output::Output,
};

/// Wei in one whole native coin.
const COIN: u128 = 1_000_000_000_000_000_000;

/// What a token is worth, for everything that follows from the price of gas.
#[derive(Args, Clone, Debug, Default)]
pub(crate) struct RateOpts {
    /// What one whole native coin is worth in the token, such as 2500.0: says what gas costs in the token
    #[arg(long, value_name = "AMOUNT")]
    rate: Option<AmountText>,
}

impl RateOpts {
    /// The rates to reckon with.
    pub(crate) fn rates(&self, token: &Token) -> Result<NativeRates> {
        let mut rates = NativeRates::default();
        if let Some(text) = &self.rate {
            ensure!(
                !token.is_coin(),
                "--rate is for a token: name it with --token"
            );
            let units = text.in_units_of(token).wrap_err("--rate")?;
            let rate = NativeRate::new(COIN, units.get());
            rates.set(
                token.address,
                rate.ok_or_else(|| eyre!("--rate: a rate is more than zero"))?,
            );
        }
        Ok(rates)
    }
}

impl StoreOpts {
    /// A payer with this store, and no keys yet.
    pub(crate) async fn payer(&self, reader: Reader) -> Result<Payer> {
        self.payer_for(reader, false).await
    }

    /// The same for a command that may only look, where it is a dry run.
    pub(crate) async fn payer_for(&self, reader: Reader, dry_run: bool) -> Result<Payer> {
        Ok(Payer::new(reader, self.open_for(dry_run).await?))
    }
}

/// Looks at the chain once, and warns of deposits that cannot be followed.
pub(crate) async fn look(payer: &Payer, out: &Output) -> Result<()> {
    for (id, error) in payer.poll().await?.errors {
        out.warn(format!("deposit {id} cannot be followed: {error}"));
    }
    Ok(())
}

/// The wallet's key as one that signs cheques, openings and consents.
pub(crate) fn signing_key(wallet: &PrivateKeySigner) -> Result<SigningKey> {
    SigningKey::from_bytes(&wallet.to_bytes().0).wrap_err("the wallet's key")
}
