//! Payments into an application's own database: `cargo run --example app_balance -- postgres://user@host/database`.
//!
//! The integration is in `app.rs`. This file adds a payer, and a fixed view in place of a node.

mod app;

use alloy_primitives::Address;
use cheque::{
    Account, AllowanceTree, Amount, Bank, ChainProfile, ChequeContext, Deposit, MasterSalt, Now,
    Opening, Policy, Proof, Purse, REDEEM_WINDOW, SigningKey, View,
};
use std::{error::Error, io::Write};
use tokio_postgres::NoTls;

/// The time of all payments, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args()
        .nth(1)
        .ok_or("missing argument; pass the address of a PostgreSQL database")?;
    let (mut client, connection) = tokio_postgres::connect(&address, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(app::TABLES).await?;

    // A payer with a deposit for the application.
    let key = SigningKey::from_bytes(&[7; 32])?;
    let (payee, allowance) = (Address::repeat_byte(0xa1), Amount::new(1_000_000));
    let bank = Bank::new(31_337, Address::repeat_byte(0xba));
    let tree = AllowanceTree::build([(payee, allowance)], &MasterSalt::from_bytes([9; 32]))?;
    let deposit = Deposit {
        payer: Address::repeat_byte(1),
        signer: key.address(),
        token: Address::ZERO,
        lane: 1,
        amount: tree.total().get(),
        minPayout: tree.total().get(),
        drawTime: NOW + 3_600,
        redeemUntil: NOW + 3_600 + REDEEM_WINDOW,
        root: tree.root(),
    };
    let id = bank.deposit_id(&deposit);
    // The view: all clocks agree, the purse holds the deposit for good, and redeeming is free on this chain.
    let view = View {
        now: Now {
            clock: NOW,
            head_time: NOW,
            round_time: Some(NOW),
        },
        final_time: Some(NOW),
        purse: Purse::Open(id).word(),
        settled: true,
        redeem_cost: Some(Amount::ZERO),
        exposure: Amount::ZERO,
        unsettled: Amount::ZERO,
    };
    let policy = Policy::new(payee, bank, ChainProfile::of(31_337)?);

    let mut account = Account::new(allowance);
    let mut out = std::io::stdout();
    for number in 1..=3u8 {
        let context = ChequeContext {
            key: &key,
            bank: &bank,
            deposit: id,
            payee,
        };
        account = account.write_cheque(Amount::new(1_000), &context)?;
        let cheque = *account.newest().ok_or("no cheque in the account")?;
        let proof = match number {
            1 => Proof::Opening(Box::new(Opening {
                bank,
                deposit: deposit.clone(),
                payee,
                allowance: tree.proof(payee).ok_or("no allowance for the payee")?,
                cheque,
            })),
            _ => Proof::Cheque(id, cheque),
        };
        match app::credit(&mut client, &proof, &view, &policy).await {
            Ok(value) => writeln!(out, "credited {value}")?,
            Err(error) => writeln!(out, "not credited: {error}")?,
        }
    }
    let balance = app::balance(&client, key.address()).await?;
    writeln!(out, "{} has {balance}", key.address())?;
    Ok(())
}
