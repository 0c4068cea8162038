//! Measures opening, reclaiming, funding and withdrawing in the native coin.

use crate::chain::{Chain, Round, WINDOW, tree};
use crate::figures::Figures;
use alloy_primitives::{Address, U256};
use cheque::Amount;
use cheque::tx::Call;

const ODD_WEI: u128 = 12_345_678_901_234_567;

pub(crate) async fn measure(chain: &Chain, figures: &mut Figures) {
    let payer = chain.account("payer").await.address;
    let draw = chain.draw_in(100).await;
    let first = Round::new(&chain.bank, payer, tree(128), draw..draw + 100);
    let amount = first.deposit.amount;
    figures.set("open_first", chain.open(&first).await);

    chain.mine_at(first.deposit.redeemUntil + 1).await;
    let mut expired = chain.snapshot().await;
    let draw = chain.draw_in(10_000).await;
    let next = Round::new(&chain.bank, payer, tree(128), draw..draw + WINDOW);
    let open = |value: u128| Call::open(&chain.bank, &next.deposit, U256::from(value));
    let reopen = Call::reopen(&chain.bank, &first.deposit, &next.deposit, U256::ZERO);
    figures.set("reopen", chain.send(payer, &reopen).await);

    chain.revert_to(&mut expired).await;
    let reclaim = Call::reclaim(&chain.bank, &first.deposit);
    figures.set("reclaim", chain.send(payer, &reclaim).await);
    let mut reclaimed = chain.snapshot().await;
    figures.set("open_again", chain.send(payer, &open(0)).await);

    // The purse then holds half, as after a redemption of the other half.
    chain.revert_to(&mut reclaimed).await;
    let paid = amount / 2;
    let token = Address::ZERO;
    let withdraw = Call::withdraw(&chain.bank, token, 1, U256::from(paid), payer);
    chain.send(payer, &withdraw).await;
    let mut half = chain.snapshot().await;
    figures.set("open_topped_up", chain.send(payer, &open(paid)).await);

    chain.revert_to(&mut half).await;
    let fund = Call::fund(&chain.bank, token, payer, Amount::new(amount));
    chain.send(payer, &fund).await;
    figures.set("open_from_balance", chain.send(payer, &open(0)).await);

    let fund = Call::fund(&chain.bank, token, payer, Amount::new(ODD_WEI));
    chain.send(payer, &fund).await;
    figures.set("fund_eth", chain.send(payer, &fund).await);
    let withdraw = Call::withdraw(&chain.bank, token, 0, U256::from(ODD_WEI), payer);
    figures.set("withdraw_eth", chain.send(payer, &withdraw).await);
}
