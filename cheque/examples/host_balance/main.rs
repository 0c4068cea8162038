//! Payments into a host's own database: `cargo run --example host_balance -- postgres://user@host/database`.
//!
//! The interesting part is `host.rs`. Here is a payer to go with it, and what a node would say.

mod host;

use alloy_primitives::Address;
use cheque::{
    Account, AllowanceTree, Amount, Bank, ChainProfile, ChequeContext, Deposit, MasterSalt,
    Opening, Policy, Proof, Purse, SigningKey, View,
};
use std::{error::Error, io::Write};
use tokio_postgres::NoTls;

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).ok_or("name a database")?;
    let (mut client, connection) = tokio_postgres::connect(&address, NoTls).await?;
    tokio::spawn(connection);
    client.batch_execute(host::TABLES).await?;

    // A payer with a deposit for the host.
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
        drawBlock: 1_000,
        lastRedeemBlock: 9_191,
        root: tree.root(),
    };
    let id = bank.deposit_id(&deposit);
    // What a node says: the purse holds the deposit, and redeeming costs nothing on this chain.
    let view = View {
        head: 100,
        head_time: 0,
        now: 0,
        purse: Purse::Open(id).word(),
        redeem_cost: Some(Amount::ZERO),
        exposure: Amount::ZERO,
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
        let cheque = *account.newest().ok_or("there is a cheque")?;
        let proof = match number {
            1 => Proof::Opening(Box::new(Opening {
                bank,
                deposit: deposit.clone(),
                payee,
                allowance: tree.proof(payee).ok_or("the payee is in the tree")?,
                cheque,
            })),
            _ => Proof::Cheque(id, cheque),
        };
        match host::credit(&mut client, &proof, &view, &policy).await {
            Ok(value) => writeln!(out, "credited {value}")?,
            Err(error) => writeln!(out, "not credited: {error}")?,
        }
    }
    let balance = host::balance(&client, key.address()).await?;
    writeln!(out, "{} has {balance}", key.address())?;
    Ok(())
}
