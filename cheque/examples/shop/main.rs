//! A shop that is paid by cheques: axum, a payee with its service, and PostgreSQL.
//!
//! ```sh
//! cargo run --example shop --features service,postgres -- \
//!     NODE_URL BANK RELAYS SECRET_KEY postgres://user@host/database 127.0.0.1:8080 TOKEN=SIGNER...
//! ```
//!
//! The integration is in `app.rs`. This file reads the arguments.

mod app;

use app::{Settings, Shop};
use std::error::Error;
use tokio::net::TcpListener;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [node, bank, relays, secret, database, listen, customers @ ..] = &arguments[..] else {
        return Err("give NODE_URL BANK RELAYS SECRET_KEY DATABASE LISTEN TOKEN=SIGNER...".into());
    };
    let customers = customers.iter().map(|customer| {
        let (token, signer) = customer.split_once('=').ok_or("give TOKEN=SIGNER")?;
        Ok((token, signer.parse()?))
    });
    let customers: Vec<_> = customers.collect::<Result<_, Box<dyn Error>>>()?;
    let settings = Settings {
        node,
        bank: bank.parse()?,
        relays,
        secret,
        database,
        customers: &customers,
    };
    let shop = Shop::open(&settings).await?;
    let stop = async {
        // Without a signal handler, the shop runs until it is killed, which loses nothing.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
    };
    shop.run(TcpListener::bind(listen).await?, stop).await
}
