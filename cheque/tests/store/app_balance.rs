//! The example `app_balance`: many workers credit each payment exactly once in a database of the application.

#[path = "../../examples/app_balance/app.rs"]
mod example;

use crate::postgres::{Server, run, with_client};
use alloy_primitives::Address;
use cheque::{
    Account, AllowanceTree, Amount, Bank, ChainProfile, ChequeContext, Deposit, MasterSalt, Now,
    Opening, Policy, Proof, Purse, Rejection, SigningKey, TokenLimits, View,
};
use example::{CreditError, TABLES, balance, credit};
use std::{sync::Barrier, thread};

const PAYEE: Address = Address::repeat_byte(0xa1);

/// The time of all payments, in seconds since 1970.
const NOW: u64 = 1_800_000_000;

struct Payer {
    key: SigningKey,
    bank: Bank,
    deposit: Deposit,
    tree: AllowanceTree,
    account: Account,
}

impl Payer {
    fn new(lane: u64) -> Self {
        let key = SigningKey::from_bytes(&[7; 32]).unwrap();
        let allowance = Amount::new(1_000_000);
        let salt = MasterSalt::from_bytes([9; 32]);
        let tree = AllowanceTree::build([(PAYEE, allowance)], &salt).unwrap();
        let deposit = Deposit {
            payer: Address::repeat_byte(1),
            signer: key.address(),
            token: Address::ZERO,
            lane,
            amount: 1_000_000,
            minPayout: 1_000_000,
            drawTime: NOW + 3_600,
            redeemUntil: NOW + 7_200,
            root: tree.root(),
        };
        Self {
            key,
            bank: Bank::new(31_337, Address::repeat_byte(0xba)),
            deposit,
            tree,
            account: Account::new(allowance),
        }
    }

    /// Makes the next payment as an opening, so that any payment can arrive first.
    fn pay(&mut self, amount: u128) -> Proof {
        let context = ChequeContext {
            key: &self.key,
            bank: &self.bank,
            deposit: self.bank.deposit_id(&self.deposit),
            payee: PAYEE,
        };
        let account = self.account.write_cheque(Amount::new(amount), &context);
        self.account = account.unwrap();
        Proof::Opening(Box::new(Opening {
            bank: self.bank,
            deposit: self.deposit.clone(),
            payee: PAYEE,
            allowance: self.tree.proof(PAYEE).unwrap(),
            cheque: *self.account.newest().unwrap(),
        }))
    }

    fn view(&self) -> View {
        View {
            now: Now {
                clock: NOW,
                head_time: NOW,
                round_time: None,
            },
            final_time: None,
            purse: Purse::Open(self.bank.deposit_id(&self.deposit)).word(),
            settled: true,
            redeem_cost: Some(Amount::ZERO),
            exposure: Amount::ZERO,
            unsettled: Amount::ZERO,
        }
    }

    fn policy(&self, max_exposure: u128) -> Policy {
        let mut policy = Policy::new(PAYEE, self.bank, ChainProfile::of(31_337).unwrap());
        let limits = TokenLimits {
            max_deposit: Some(Amount::new(1_000_000)),
            max_exposure: Amount::new(max_exposure),
        };
        policy.tokens.insert(Address::ZERO, limits);
        policy
    }
}

/// Credits a payment on a new connection.
async fn credit_on_new_connection(
    address: &str,
    proof: &Proof,
    view: &View,
    policy: &Policy,
) -> Result<Amount, CreditError> {
    let (mut client, connection) = tokio_postgres::connect(address, tokio_postgres::NoTls)
        .await
        .unwrap();
    let connection = tokio::spawn(connection);
    let result = credit(&mut client, proof, view, policy).await;
    drop(client);
    connection.await.unwrap().unwrap();
    result
}

pub(crate) fn credits_each_payment_once_with_eight_workers() {
    // Every payment arrives at every worker, in another order at each.
    const PAYMENTS: u128 = 12;
    let server = Server::shared();
    let address = server.database();
    run(&address, TABLES);
    let mut payer = Payer::new(1);
    let proofs: Vec<_> = (0..PAYMENTS).map(|_| payer.pay(1_000)).collect();
    let (view, policy) = (payer.view(), payer.policy(1_000_000));
    let start = Barrier::new(8);
    let credited_in_all = thread::scope(|scope| {
        let work = |worker: usize| {
            let (proofs, view, policy, address) = (&proofs, &view, &policy, &address);
            let start = &start;
            move || {
                start.wait();
                with_client(address, async |_| {
                    let mut sum = 0;
                    for step in 0..proofs.len() {
                        let proof = &proofs[(step + worker) % proofs.len()];
                        match credit_on_new_connection(address, proof, view, policy).await {
                            Ok(value) => sum += value.get(),
                            Err(CreditError::Rejected(
                                Rejection::Replay | Rejection::Stale { .. },
                            )) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                    sum
                })
            }
        };
        let workers: Vec<_> = (0..8).map(|worker| scope.spawn(work(worker))).collect();
        let sums = workers.into_iter().map(|worker| worker.join().unwrap());
        sums.sum::<u128>()
    });
    assert_eq!(credited_in_all, PAYMENTS * 1_000);
    let kept = with_client(&address, async |client| {
        balance(client, payer.key.address()).await
    });
    assert_eq!(kept.unwrap(), Amount::new(PAYMENTS * 1_000));
}

pub(crate) fn changes_nothing_for_a_rejected_payment() {
    let server = Server::shared();
    let address = server.database();
    run(&address, TABLES);
    let (mut first, mut second) = (Payer::new(1), Payer::new(2));
    let policy = first.policy(1_500);
    let contents = || {
        with_client(&address, async |client| {
            let all =
                "SELECT coalesce((SELECT string_agg(p::text, ',') FROM payment_position p), ''),
                coalesce((SELECT string_agg(c::text, ',') FROM customer c WHERE units > 0), '')";
            let row = client.query_one(all, &[]).await.unwrap();
            (row.get::<_, String>(0), row.get::<_, String>(1))
        })
    };
    let try_to = |proof: &Proof, view: &View| {
        with_client(&address, async |_| {
            credit_on_new_connection(&address, proof, view, &policy).await
        })
    };
    let unopened = View {
        purse: Purse::Idle(Amount::ZERO).word(),
        ..first.view()
    };
    let before = contents();
    let payment = first.pay(1_000);
    let refused = try_to(&payment, &unopened).unwrap_err();
    assert!(
        matches!(
            refused,
            CreditError::Rejected(Rejection::NotConfirmed { .. })
        ),
        "{refused}"
    );
    assert_eq!(contents(), before);

    assert_eq!(try_to(&payment, &first.view()).unwrap(), Amount::new(1_000));
    let between = contents();
    // The totals of both deposits together exceed the limit of a signer.
    let exposed = try_to(&second.pay(1_000), &second.view()).unwrap_err();
    let too_large = matches!(
        exposed,
        CreditError::Rejected(Rejection::ExposureTooLarge { exposure, .. }) if exposure == Amount::new(2_000)
    );
    assert!(too_large, "{exposed}");
    assert_eq!(contents(), between);
}
