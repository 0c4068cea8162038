//! A whole market: three clients with a deposit each, three providers, one draw.

use crate::node::{Account, COIN, World};
use crate::provider::{CAPACITY, MIN_CAPACITY, Provider};
use crate::settle::settle;
use alloy_primitives::{Address, U256};
use cheque::{
    Amount, Deposit, DepositId, Purse,
    bank::NativeRate,
    payer::{DepositRequest, DepositState, Draw},
    store::Memory,
};
use cheque_market::{
    compose::Due,
    payment::{
        HandshakeError, PaymentSender, Senders,
        chain::{ChequeSender, NextDeposit, OpeningStatus},
    },
    pool::SetCapacityError,
};
use serde_json::json;
use std::{
    num::{NonZeroU64, NonZeroU128},
    sync::Arc,
};

/// Deposit of each client, for three providers.
const DEPOSIT: u128 = 6 * COIN / 10;
const ALLOWANCE: u128 = DEPOSIT / 3;
/// The smallest payment; an odd number, so that no sum is exact by accident.
const PART: u128 = COIN / 61 + 1;
const HOUR: u64 = 3_600;

struct Client {
    address: Address,
    sender: Arc<ChequeSender>,
    senders: Senders,
    deposit: DepositId,
    terms: Deposit,
}

impl Client {
    /// Opens a confirmed deposit that names all providers.
    async fn new(world: &World, party: &Account, providers: &[Provider], draw: u64) -> Self {
        let payer = world.payer(party, Arc::new(Memory::new()));
        let sender =
            ChequeSender::open(payer, Address::ZERO, NativeRate::NATIVE, b"composer").await;
        let sender = Arc::new(sender.unwrap());
        let mut senders = Senders::new();
        senders.register(sender.clone());
        let mut request = DepositRequest::new(Vec::new(), party.address, Draw::At(draw));
        request.min_payout = Some(Amount::ZERO);
        let next = NextDeposit {
            size: NonZeroU128::new(DEPOSIT).unwrap(),
            threshold: NonZeroU64::MIN,
            priors: providers.iter().map(|to| (to.address, 1)).collect(),
            request,
        };
        let deposit = sender.compose(&next).await.unwrap();
        let _polled = sender.payer().poll().await.unwrap();
        let followed = sender.follow().await.unwrap();
        assert!(matches!(followed, OpeningStatus::Opened(of, _) if of == deposit));
        let record = sender.payer().deposit(deposit).await.unwrap();
        Self {
            address: party.address,
            sender,
            senders,
            deposit,
            terms: record.deposit,
        }
    }

    /// Pays a provider after the handshake, and returns the credited value.
    async fn pay(&self, provider: &Provider, amount: u128) -> u128 {
        let theirs = provider.receivers.offers().next().unwrap();
        let module = self.senders.agree(theirs).unwrap();
        let expected = module.payment_cost(provider.address, amount).await.unwrap();
        let sent = module
            .request_payment(provider.address, amount, amount)
            .await
            .unwrap();
        assert_eq!((sent.amount, sent.cost), (amount, expected));
        let mut credited = 0;
        for proof in &sent.proofs {
            let taken = provider.take(self.address, &module.offer(), proof).await;
            credited += taken.unwrap().value;
            let again = provider.take(self.address, &module.offer(), proof).await;
            assert!(again.unwrap_err().0.contains("counted before"));
        }
        credited
    }

    async fn spent(&self, provider: &Provider) -> u128 {
        let payer = self.sender.payer();
        let cheque = payer.spent_and_left(self.deposit, provider.address).await;
        cheque.unwrap().unwrap().0.get()
    }
}

/// Returns a provider's credit for a total spent: its chance times its payout, less the redemption cost fixed by the
/// first payment. Without a minimum payout the chance is the allowance's share of the deposit.
fn worth(spent: u128, redeem_cost: u128) -> u128 {
    let payout = U256::from(spent) * U256::from(DEPOSIT) / U256::from(ALLOWANCE);
    let net = payout.saturating_sub(U256::from(redeem_cost));
    (net * U256::from(ALLOWANCE) / U256::from(DEPOSIT)).to()
}

#[tokio::test]
async fn balances_totals_of_three_clients_and_three_providers() {
    let world = World::new().await;
    let bank = world.reader.bank().address();
    let mut providers = Vec::new();
    for number in [11, 12, 13] {
        let party = world.account(number).await;
        providers.push(Provider::new(&world, &party).await);
    }
    let draw = world.now().await + HOUR;
    let mut clients = Vec::new();
    for number in [1, 2, 3] {
        let party = world.account(number).await;
        clients.push(Client::new(&world, &party, &providers, draw).await);
    }
    let deposits = U256::from(3 * DEPOSIT);
    assert_eq!(world.coin(bank).await, deposits);
    banks_must_match(&clients[0], &providers[0]);

    // Each client pays each provider twice, the second time without the deposit's terms.
    let mut credited = vec![0; providers.len()];
    for round in 1..=2 {
        for (share, client) in (1..).zip(&clients) {
            for (provider, credited) in providers.iter().zip(&mut credited) {
                *credited += client.pay(provider, round * share * PART).await;
            }
        }
    }
    let (mut spent_in_all, mut credited_in_all) = (0, 0);
    for (provider, credited) in providers.iter().zip(&credited) {
        let mut expected = 0;
        for client in &clients {
            let held = provider.payee.position(client.deposit).await.unwrap();
            let held = held.unwrap();
            let spent = client.spent(provider).await;
            assert_eq!(held.total().get(), spent);
            let value = worth(spent, held.redeem_cost().get());
            assert_eq!(held.credited().get(), value);
            // The discount is at most this provider's share of one redemption's cost.
            let share = held.redeem_cost().get() / 3;
            assert!(spent - value > 0 && spent - value <= share + 2);
            (expected, spent_in_all) = (expected + value, spent_in_all + spent);
        }
        assert_eq!(*credited, expected);
        credited_in_all += expected;
    }
    assert_eq!(spent_in_all, 3 * (1 + 2 + 3) * 3 * PART);
    assert!(credited_in_all < spent_in_all);

    let provider = &providers[0];
    compete(provider, &clients).await;
    prices_rise(provider, &clients).await;

    // The credited value is locked, earned, or change.
    for (provider, credited) in providers.iter().zip(&credited) {
        let sale = provider.account_for_spending().await;
        let clients = || clients.iter().map(|client| client.address);
        let tokens: u64 = clients().map(|client| provider.tokens(client)).sum();
        assert_eq!(tokens, sale.curve.amount());
        let change: u128 = clients().map(|client| provider.change(client)).sum();
        assert_eq!(sale.curve.locked() + sale.earned + change, *credited);
        assert_eq!(sale.earned > 0, provider.address == providers[0].address);
    }

    // The draw selects one provider of each deposit; all providers were paid from each.
    world.mine_at(draw + 1).await;
    assert_eq!(world.coin(bank).await, deposits);
    let mut winners = Vec::new();
    for provider in &providers {
        let mut won = U256::ZERO;
        for (id, redeemed) in settle(&provider.payee).await.unwrap() {
            let client = clients.iter().find(|client| client.deposit == id).unwrap();
            let payout = redeemed.unwrap().payout;
            let spent = client.spent(provider).await;
            assert_eq!(payout.get(), spent * 3);
            won += payout.to_u256();
            winners.push(id);
        }
        assert_eq!(world.balance(provider.address).await, won);
    }
    winners.sort();
    let mut all: Vec<_> = clients.iter().map(|client| client.deposit).collect();
    all.sort();
    assert_eq!(winners, all, "each deposit has one winner");

    // The bank holds all deposits, for winners and for the payers' change.
    let mut held = U256::ZERO;
    for provider in &providers {
        held += world.balance(provider.address).await;
        assert!(settle(&provider.payee).await.unwrap().is_empty());
    }
    let head = world.head().await;
    for client in &clients {
        let Deposit {
            payer, token, lane, ..
        } = client.terms;
        let purse = world
            .reader
            .purse((payer, token, lane), head)
            .await
            .unwrap();
        let Purse::Idle(idle) = purse else {
            panic!("the deposit was redeemed");
        };
        held += idle.to_u256();
        let payer = client.sender.payer();
        let _polled = payer.poll().await.unwrap();
        let state = payer.deposit(client.deposit).await.unwrap().state;
        assert!(matches!(state, DepositState::Redeemed { payout, .. }
            if payout.get() + idle.get() == DEPOSIT));
        let due = client.sender.due().await.unwrap();
        assert_eq!(due, Some(Due::NearEnd { left_s: 0 }));
    }
    assert_eq!((held, world.coin(bank).await), (deposits, deposits));

    // All balances survive.
    for provider in providers {
        let before: Vec<_> = clients
            .iter()
            .map(|client| provider.tokens(client.address))
            .collect();
        let mut stopped = provider.stop().await;
        for (client, before) in clients.iter().zip(before) {
            assert_eq!(stopped.tokens(client.address).unwrap(), before);
        }
    }
}

fn banks_must_match(client: &Client, provider: &Provider) {
    let mut theirs = client.sender.offer();
    assert!(provider.receivers.agree(&theirs).is_ok());
    let ours = theirs.bank;
    theirs.bank = Some(Address::repeat_byte(0xba));
    let refused = provider.receivers.agree(&theirs).err();
    let theirs = theirs.bank;
    assert_eq!(refused, Some(HandshakeError::Bank { ours, theirs }));
}

/// Every client requests the whole capacity and gets a share by its tokens.
async fn compete(provider: &Provider, clients: &[Client]) {
    let poor = Address::repeat_byte(0x99);
    provider.connect(poor).await;
    for client in clients {
        provider.connect(client.address).await;
    }
    let refused = provider.set_capacity(poor, CAPACITY).await.unwrap_err();
    assert!(matches!(refused, SetCapacityError::NoPriority { .. }));
    for _ in 0..20 {
        for client in clients {
            provider.pass(11).await;
            let max = provider.max_capacity(client.address).await;
            if max > provider.capacity(client.address) {
                // A forecast capacity may be gone at the attempt.
                let _granted = provider.set_capacity(client.address, max).await;
            }
        }
    }
    let rate = |client: &Client| provider.capacity(client.address) as u128;
    let tokens = |client: &Client| u128::from(provider.tokens(client.address));
    let capacities: u128 = clients.iter().map(rate).sum();
    let all_tokens: u128 = clients.iter().map(tokens).sum();
    let in_use = capacities + u128::from(provider.capacity(poor));
    assert!(in_use <= CAPACITY.into() && in_use >= u128::from(CAPACITY) * 9 / 10);
    assert!(provider.capacity(poor) <= MIN_CAPACITY);
    for client in clients {
        let fair = capacities * tokens(client) / all_tokens;
        let found = rate(client);
        assert!(
            found.abs_diff(fair) <= fair / 8,
            "the capacity is {found}, a fair share {fair}"
        );
    }
    let refused = provider.set_capacity(clients[0].address, CAPACITY).await;
    assert!(matches!(
        refused,
        Err(SetCapacityError::PriorityTooLow { .. })
    ));
}

/// The operator raises prices over HTTP, for connected and for later clients.
async fn prices_rise(provider: &Provider, clients: &[Client]) {
    let client = &clients[0];
    let id = client.address.to_string().to_lowercase();
    let before = provider.tokens(client.address);
    provider.pass(10).await;
    assert_eq!(provider.tokens(client.address), before, "service was free");
    let dear = json!({ "pricing/timeFactor": 1_000_000 });
    let tagged = json!([[], ["$connected"], dear]);
    provider.call("les_setClientParams", tagged).await.unwrap();
    let later = provider.call("les_setDefaultParams", json!([dear]));
    later.await.unwrap();
    let wrong = json!([[id], [], { "pricing/speed": 1 }]);
    let wrong = provider.call("les_setClientParams", wrong).await;
    assert!(
        wrong
            .unwrap_err()
            .contains("invalid client parameter 'pricing/speed'")
    );
    provider.pass(10).await;
    assert_eq!(provider.tokens(client.address), before - 10_000_000);
    let info = provider.call("les_clientInfo", json!([[id], []]));
    let info = info.await.unwrap();
    assert_eq!(info[&id]["pricing/balance"], before - 10_000_000);
    assert_eq!(info[&id]["pricing/timeFactor"], 1_000_000);
    let newcomer = Address::repeat_byte(0x77);
    provider.connect(newcomer).await;
    let id = newcomer.to_string().to_lowercase();
    let info = provider.call("les_clientInfo", json!([[id], []]));
    assert_eq!(info.await.unwrap()[&id]["pricing/timeFactor"], 1_000_000);
}
