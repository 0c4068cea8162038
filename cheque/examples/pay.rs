//! Opens a deposit for a payee and pays it twice. Prints the proofs of payment, a line each, for `get_paid`.
//!
//! ```sh
//! cargo run --example pay -- NODE_URL BANK RELAYS SECRET_KEY PAYEE STORE_FILE
//! ```
//!
//! `cheque deploy` prints the bank's address. The relays of its beacon are URLs with commas between them, such as
//! `https://api.drand.sh,https://drand.cloudflare.com` for quicknet. The secret key is that of an account with coin; the
//! same key signs cheques.

use alloy::{network::EthereumWallet, signers::local::PrivateKeySigner};
use cheque::{
    Address, Amount, Proof, SigningKey,
    bank::Reader,
    beacon::BeaconClient,
    node::connect,
    payer::{DepositRequest, DepositState, Draw, Payer},
    store::Redb,
    tx::Wallet,
};
use std::{error::Error, io::Write, path::Path, sync::Arc};

/// The payee's allowance, in wei: 0.05 coin. With a single payee, it is the whole deposit.
const ALLOWANCE: u128 = 50_000_000_000_000_000;

/// The time from the opening to the draw, in seconds. Payments end 45 s before the draw.
const DRAW_IN: u64 = 3_600;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [url, bank, relays, secret, payee, store] = &arguments[..] else {
        return Err("give NODE_URL BANK RELAYS SECRET_KEY PAYEE STORE_FILE".into());
    };
    let payer = payer(url, bank.parse()?, relays, secret, store.as_ref()).await?;
    for proof in pay(&payer, payee.parse()?).await? {
        writeln!(std::io::stdout(), "{proof}")?;
    }
    Ok(())
}

/// Connects a payer to its node, its bank and the relays of the bank's beacon. The store keeps all promises, so it must never be lost or restored to an
/// older state.
pub(crate) async fn payer(
    url: &str,
    bank: Address,
    relays: &str,
    secret: &str,
    store: &Path,
) -> Result<Payer, Box<dyn Error>> {
    let provider = connect(url).await?;
    let reader = Reader::open(provider.clone(), bank).await?;
    let account: PrivateKeySigner = secret.parse()?;
    let key = SigningKey::from_bytes(&account.to_bytes().0)?;
    let chain_id = reader.bank().chain_id();
    let wallet = Wallet::new(provider, EthereumWallet::from(account), chain_id);
    let store = Arc::new(Redb::open(store)?);
    // The draws' rounds, and a third clock beside this machine's and the chain's.
    let beacon = reader.beacon().clone();
    let (hash, relays): (_, Vec<_>) = (beacon.chain_hash(), relays.split(',').collect());
    let beacon = BeaconClient::new(beacon, hash, &relays)?;
    let payer = Payer::new(reader, store).with_beacon(beacon)?;
    Ok(payer.with_wallet(wallet).with_key(key))
}

/// Opens a deposit, waits for its confirmation, and pays half of the allowance twice.
pub(crate) async fn pay(payer: &Payer, payee: Address) -> Result<Vec<Proof>, Box<dyn Error>> {
    let signer = payer.signer().ok_or("the payer has no key")?;
    let allowances = vec![(payee, Amount::new(ALLOWANCE))];
    let request = DepositRequest::new(allowances, signer, Draw::In(DRAW_IN));
    let id = payer.create_deposit(&request).await?.id;

    // Services use `PayerService` instead of this loop.
    let mut heads = payer.reader().heads();
    while payer.deposit(id).await?.state != DepositState::Active {
        heads.next().await?;
        if let Some((_, error)) = payer.poll().await?.errors.pop() {
            return Err(error.into());
        }
    }

    let mut proofs = Vec::new();
    for _ in 0..2 {
        // The new total is on disk before the proof is here.
        let half = Amount::new(ALLOWANCE / 2);
        let payment = payer.write_cheque(id, payee, half).await?;
        proofs.push(payment.proof);
    }
    Ok(proofs)
}
