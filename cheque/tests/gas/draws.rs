//! Measures redemptions. All deposits share one draw time.

use crate::chain::{Account, Chain, PERIOD, Round, Snapshot, WINDOW, odd, salt, tree};
use crate::figures::{Figure, Figures};
use crate::tokens;
use alloy_primitives::{Address, U256, keccak256};
use cheque::tx::Call;
use cheque::{AllowanceTree, Amount, BeaconRound, DepositId, Redemption, Seed, Stream, roll};

/// Seconds until the draw, at least.
const LEAD: u64 = 3_600;

/// Draw times to find a suitable draw. More than a third of the draws are suitable.
const DRAWS: u64 = 100;

/// Payers in the payee's batch.
const BATCH: u32 = 10;

pub(crate) async fn measure(chain: &Chain, figures: &mut Figures) {
    let mut deposits = Deposits::new(chain).await;
    let round = deposits.choose_draw(chain).await;
    deposits.open(chain).await;
    chain.mine_at(round.time() + 1).await;
    let mut drawn = Drawn {
        chain,
        state: chain.snapshot().await,
        round,
    };
    drawn.measure_with_proof_in_call(&deposits, figures).await;
    drawn.measure_with_recorded_seed(&deposits, figures).await;
}

/// The deposits of the shared draw.
struct Deposits {
    /// Deposits with 1, 128, 1,024 and 10,000 payees.
    by_size: [Round; 4],
    in_token: Round,
    /// Deposits of ten payers, each with nearly the whole amount for one payee.
    batch: Vec<Round>,
}

impl Deposits {
    async fn new(chain: &Chain) -> Self {
        let round = |payer, tree| Round::new(&chain.bank, payer, tree, 0..0);
        let mut by_size = Vec::new();
        for count in [1, 128, 1_024, 10_000] {
            let payer = chain.account(&format!("payer of {count}")).await;
            by_size.push(round(payer.address, tree(count)));
        }
        let owner = chain.account("payer of tokens").await;
        let token = tokens::token(chain, &owner).await;
        let in_token = round(owner.address, tree(128)).in_token(&chain.bank, token);
        let mut batch = Vec::new();
        for number in 0..BATCH {
            let payer = chain.account(&format!("payer {number} of a batch")).await;
            batch.push(round(payer.address, lopsided(number)));
        }
        Self {
            by_size: by_size.try_into().ok().unwrap(),
            in_token,
            batch,
        }
    }

    fn all(&mut self) -> impl Iterator<Item = &mut Round> {
        let others = self.batch.iter_mut().chain([&mut self.in_token]);
        self.by_size.iter_mut().chain(others)
    }

    /// Sets the draw time of all deposits to the first suitable one, and returns its round.
    async fn choose_draw(&mut self, chain: &Chain) -> BeaconRound {
        let beacon = &chain.world.beacon;
        let first = chain.draw_in(LEAD).await;
        for number in 0..DRAWS {
            let draw = first + PERIOD * number;
            for round in self.all() {
                round.move_to(&chain.bank, &(draw..draw + WINDOW));
            }
            let round = beacon.round(draw);
            if self.is_suitable(round.seed()) {
                return round;
            }
        }
        panic!("no suitable draw");
    }

    async fn open(&self, chain: &Chain) {
        for round in self.by_size.iter().chain(&self.batch) {
            chain.open(round).await;
        }
        let (in_token, token) = (&self.in_token, self.in_token.deposit.token);
        let owner = in_token.deposit.payer;
        let fund = Call::fund(&chain.bank, token, owner, in_token.tree.total());
        chain.send(owner, &fund).await;
        let open = Call::open(&chain.bank, &in_token.deposit, U256::ZERO);
        chain.send(owner, &open).await;
    }

    /// Returns true if the payee of the batch wins all ten draws and every other winner's proof has full depth. Both are
    /// likely.
    fn is_suitable(&self, seed: Seed) -> bool {
        let favourite = favourite().address;
        let deep = |round: &Round| {
            let proof = round.tree.proof(winner_of(round, seed)).unwrap();
            proof.siblings.len() == round.tree.depth()
        };
        self.batch
            .iter()
            .all(|round| winner_of(round, seed) == favourite)
            && self.by_size.iter().all(deep)
    }
}

/// The payee that redeems the batch.
fn favourite() -> Account {
    Account::of("favourite", 0)
}

/// Builds a tree of 128 payees with 99.9 % for the favourite.
fn lopsided(number: u32) -> AllowanceTree {
    let others = (1..128).map(|index| {
        let allowance = 1_000_000_000_000_000 + odd(index);
        (Account::of("payee", index).address, allowance)
    });
    let largest = (
        favourite().address,
        150_123_456_789_012_345_678 + u128::from(number),
    );
    let all = others.chain([largest]);
    AllowanceTree::build(
        all.map(|(payee, share)| (payee, Amount::new(share))),
        &salt(),
    )
    .unwrap()
}

fn winner_of(round: &Round, seed: Seed) -> Address {
    let point = roll(seed, round.id, round.tree.total());
    round.tree.payee_at(point).unwrap()
}

/// The chain after the draw. Every measurement begins in the same state.
struct Drawn<'a> {
    chain: &'a Chain,
    state: Snapshot,
    round: BeaconRound,
}

/// The round whose proof goes along with a redemption, if any.
type Shown = Option<BeaconRound>;

impl Drawn<'_> {
    /// Measures while no seed is recorded.
    async fn measure_with_proof_in_call(&mut self, opened: &Deposits, figures: &mut Figures) {
        let stranger = self.chain.account("stranger").await.address;
        self.state = self.chain.snapshot().await;
        let record = Call::record_seed(&self.chain.bank, &self.round);
        figures.set("record_seed", self.chain.send(stranger, &record).await);
        self.chain.revert_to(&mut self.state).await;

        let [one, some, _, many] = &opened.by_size;
        let shown = Some(self.round);
        let sizes = [(one, "1"), (some, "128"), (many, "10000")];
        for (round, size) in sizes {
            let figure = self.redeem(self.paid_out(self.half(round)), shown).await;
            figures.set(&format!("redeem_direct_inline_{size}"), figure);
        }
        let figure = self.redeem(self.half(some), shown).await;
        figures.set("redeem_inline_proof_128", figure);
        let figure = self.redeem_batch(&opened.batch, shown).await;
        figures.set("redeem_batch10_inline_each", figure);

        // The most expensive redemptions of a payee.
        let figure = self.redeem_to_new_balance(self.half(some), shown).await;
        figures.set("redeem_new_balance_128", figure);
        let figure = self.relay(self.half(some), some.id, stranger, shown).await;
        figures.set("redeem_relayed_new_128", figure);
        for (round, size) in &sizes[1..] {
            let worst = self.streamed(round, 1_024);
            let figure = self.redeem_to_new_balance(worst.clone(), shown).await;
            figures.set(&format!("redeem_worst_{size}"), figure);
            let figure = self.relay(worst, round.id, stranger, shown).await;
            figures.set(&format!("redeem_relayed_worst_{size}"), figure);
        }
    }

    async fn measure_with_recorded_seed(&mut self, opened: &Deposits, figures: &mut Figures) {
        let stranger = self.chain.account("stranger").await.address;
        let record = Call::record_seed(&self.chain.bank, &self.round);
        self.chain.send(stranger, &record).await;
        self.state = self.chain.snapshot().await;

        let [one, some, more, many] = &opened.by_size;
        let credit = self.redeem(self.half(some), None).await;
        figures.set("redeem_credit_128", credit);
        let figure = self.redeem(self.half(more), None).await;
        figures.set("redeem_credit_1024", figure);
        for (round, size) in [(one, "1"), (some, "128"), (many, "10000")] {
            let figure = self.redeem(self.paid_out(self.half(round)), None).await;
            figures.set(&format!("redeem_direct_{size}"), figure);
        }
        let token = self.paid_out(self.half(&opened.in_token));
        let figure = self.redeem(token, None).await;
        figures.set("redeem_direct_erc20_128", figure);

        let streamed = self.redeem(self.streamed(some, 256), None).await;
        let extra = Figure {
            gas: streamed.gas - credit.gas,
            bytes: streamed.bytes - credit.bytes,
        };
        figures.set("stream_256_extra", extra);

        let payee = winner_of(some, self.round.seed());
        let all = some.tree.allowance(payee).unwrap().get();
        let whole = some.redemption(&self.chain.bank, payee, all, None);
        figures.set("redeem_whole_128", self.redeem(whole, None).await);
        let half = self.half(some);
        self.prepare(&half).await;
        let figure = self.relay(half, some.id, stranger, None).await;
        figures.set("redeem_relayed_128", figure);
        let figure = self.redeem_batch(&opened.batch, None).await;
        figures.set("redeem_batch10_each", figure);
    }

    /// Redeems the winner's cheque over half of its allowance.
    fn half(&self, round: &Round) -> Redemption {
        let payee = winner_of(round, self.round.seed());
        let spent = round.tree.allowance(payee).unwrap().get() / 2;
        round.redemption(&self.chain.bank, payee, spent, None)
    }

    /// Redeems the same cheque with a stream shown to its last step.
    fn streamed(&self, round: &Round, steps: u32) -> Redemption {
        let payee = winner_of(round, self.round.seed());
        let spent = round.tree.allowance(payee).unwrap().get() / 2;
        let stream = Stream::new(keccak256("stream"), steps).unwrap();
        let step = (&stream, 1_234_567_890_123);
        round.redemption(&self.chain.bank, payee, spent, Some(step))
    }

    fn paid_out(&self, redemption: Redemption) -> Redemption {
        let to = redemption.payee;
        Redemption { to, ..redemption }
    }

    /// Redeems as the payee. The payee's balance in the bank is not empty, nor its account in a token.
    async fn redeem(&mut self, redemption: Redemption, shown: Shown) -> Figure {
        self.prepare(&redemption).await;
        self.redeem_to_new_balance(redemption, shown).await
    }

    async fn redeem_to_new_balance(&mut self, redemption: Redemption, shown: Shown) -> Figure {
        let payee = redemption.payee;
        self.chain.world.node.endow(payee).await;
        let packed = redemption.pack().unwrap();
        let redeem = Call::redeem(&self.chain.bank, packed, shown.as_ref());
        let figure = self.chain.send(payee, &redeem).await;
        self.chain.revert_to(&mut self.state).await;
        figure
    }

    async fn relay(
        &mut self,
        mut redemption: Redemption,
        id: DepositId,
        relayer: Address,
        shown: Shown,
    ) -> Figure {
        let steps = u128::from(redemption.k) * redemption.step;
        let total = Amount::new(redemption.spent + steps);
        let (bank, payee) = (&self.chain.bank, redemption.payee);
        let digest = bank.consent_digest(id, payee, total, Address::ZERO);
        let mut payees = (0..10_000).map(|index| Account::of("payee", index));
        let payee = payees.find(|account| account.address == redemption.payee);
        redemption.consent = payee.unwrap().key.sign(digest).as_bytes().to_vec().into();
        let packed = redemption.pack().unwrap();
        let redeem = Call::redeem(&self.chain.bank, packed, shown.as_ref());
        let figure = self.chain.send(relayer, &redeem).await;
        self.chain.revert_to(&mut self.state).await;
        figure
    }

    async fn redeem_batch(&mut self, rounds: &[Round], shown: Shown) -> Figure {
        let all: Vec<_> = rounds.iter().map(|round| self.half(round)).collect();
        let payee = favourite().address;
        self.prepare(&all[0]).await;
        let all = all.iter().map(|each| each.pack().unwrap()).collect();
        self.chain.world.node.endow(payee).await;
        let before = self.chain.world.balance(payee).await;
        let redeem = Call::redeem_batch(&self.chain.bank, all, shown.as_slice());
        let figure = self.chain.send(payee, &redeem).await;
        let paid = self.chain.world.balance(payee).await - before;
        let half: u128 = rounds.iter().map(|round| round.deposit.amount / 2).sum();
        assert!(
            paid > U256::from(half - 100),
            "a redemption was skipped: only {paid} paid"
        );
        self.chain.revert_to(&mut self.state).await;
        Figure {
            gas: figure.gas / u64::from(BATCH),
            bytes: figure.bytes / u64::from(BATCH),
        }
    }

    async fn prepare(&self, redemption: &Redemption) {
        let (payee, token) = (redemption.payee, redemption.deposit.token);
        let payer = redemption.deposit.payer;
        let fund = Call::fund(&self.chain.bank, token, payee, Amount::new(1));
        self.chain.send(payer, &fund).await;
        if !token.is_zero() {
            self.chain.send(payer, &tokens::mint(token, payee)).await;
        }
    }
}
