//! Receives payments, waits for the draw, and redeems a win. Reads the proofs of `pay` from standard input, a line
//! each.
//!
//! ```sh
//! cargo run --example get_paid -- NODE_URL BANK RELAYS SECRET_KEY STORE_FILE
//! ```
//!
//! The relays are those of the bank's beacon, as in `pay`. The secret key is that of the payee, an account with some coin
//! for the redemption.

use alloy::{network::EthereumWallet, signers::local::PrivateKeySigner};
use cheque::{
    Address, Amount, DepositId, Outcome, Policy,
    bank::Reader,
    beacon::BeaconClient,
    node::connect,
    outcome_text,
    payee::{Payee, RedeemOptions},
    store::Redb,
    tx::Wallet,
};
use std::{collections::BTreeSet, error::Error, io::Write, path::Path, sync::Arc};

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, bank, relays, secret, store] = &arguments[..] else {
        return Err("give NODE_URL BANK RELAYS SECRET_KEY STORE_FILE".into());
    };
    let payee = payee(url, bank.parse()?, relays, secret, store.as_ref()).await?;
    let mut out = std::io::stdout();
    let mut deposits = BTreeSet::new();
    for line in std::io::stdin().lines() {
        // The payment is on disk before the function returns: now is the time to serve the payer.
        let accepted = payee.receive_payment(None, &line?.parse()?).await?;
        let (value, signer) = (accepted.value, accepted.credit_to);
        writeln!(out, "credit {value} wei to {signer}")?;
        deposits.insert(accepted.deposit);
    }
    for id in deposits {
        match redeem_win(&payee, id).await? {
            Some(payout) => writeln!(out, "deposit {id} has paid {payout} wei")?,
            None => writeln!(out, "deposit {id} was lost")?,
        }
    }
    Ok(())
}

/// Connects a payee to its node, its bank and the relays of the bank's beacon, with the default policy.
pub(crate) async fn payee(
    url: &str,
    bank: Address,
    relays: &str,
    secret: &str,
    store: &Path,
) -> Result<Payee, Box<dyn Error>> {
    let provider = connect(url).await?;
    let reader = Reader::open(provider.clone(), bank).await?;
    let account: PrivateKeySigner = secret.parse()?;
    let policy = Policy::new(account.address(), *reader.bank(), reader.profile());
    let chain_id = reader.bank().chain_id();
    let wallet = Wallet::new(provider, EthereumWallet::from(account), chain_id);
    let store = Arc::new(Redb::open(store)?);
    let beacon = reader.beacon().clone();
    let (hash, relays): (_, Vec<_>) = (beacon.chain_hash(), relays.split(',').collect());
    let beacon = BeaconClient::new(beacon, hash, &relays)?;
    let payee = Payee::new(reader, policy, store)?.with_beacon(beacon)?;
    Ok(payee.with_wallet(wallet))
}

/// Waits for the draw of a deposit, and redeems the newest cheque if it wins. The payout goes into the payee's balance
/// in the bank. Returns the payout in wei; `None` for a loss.
///
/// Takes the redemption as final at once. Services use `PayeeService`, which also survives reorganisations.
pub(crate) async fn redeem_win(
    payee: &Payee,
    id: DepositId,
) -> Result<Option<Amount>, Box<dyn Error>> {
    let mut heads = payee.reader().heads();
    loop {
        heads.next().await?;
        match payee.outcome(id).await? {
            (Outcome::TooEarly | Outcome::SeedUnknown, _) => {}
            (Outcome::Payable, payout) => {
                payee.redeem(id, &RedeemOptions::default()).await?;
                return Ok(Some(payout));
            }
            (Outcome::Loses, _) => return Ok(None),
            (outcome, _) => return Err(outcome_text(outcome).into()),
        }
    }
}
