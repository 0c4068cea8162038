//! Measures redemptions. All deposits share one draw block.

use crate::chain::{Account, Chain, Round, Snapshot, odd, salt, tree};
use crate::figures::{Figure, Figures};
use crate::tokens;
use alloy_primitives::{Address, Bytes, U256, keccak256};
use cheque::tx::Call;
use cheque::{AllowanceTree, Amount, DepositId, Redemption, Seed, Stream, roll};

/// Blocks until the draw, more than the transactions before the draw need.
const LEAD: u64 = 40;

/// Blocks of the redemption window.
const WINDOW: u64 = 8_191;

/// The base fee of the draw block, in wei: 1 gwei.
const BASE_FEE: u64 = 1_000_000_000;

/// Attempts to get a suitable draw. More than a third of the draws are suitable.
const DRAWS: u32 = 100;

/// Payers in the payee's batch.
const BATCH: u32 = 10;

pub(crate) async fn measure(chain: &Chain, figures: &mut Figures) {
    let draw = chain.head().await + LEAD;
    let opened = Opened::all(chain, draw).await;
    // The node derives a block's randomness from its parent, and equal timestamps give equal blocks. Every attempt
    // therefore mines the parent at another time.
    chain.mine_to(draw - 2).await;

    let mut before = chain.snapshot().await;
    let mut tries = 0..DRAWS;
    let (seed, header) = loop {
        let try_number = tries.next().expect("a suitable draw within the attempts");
        let node = &chain.world.node;
        node.anvil("evm_increaseTime", [1_000 * try_number]).await;
        chain.mine_to(draw - 1).await;
        // A base fee of a realistic length in the header; in empty blocks it would shrink.
        let fee = format!("{BASE_FEE:#x}");
        node.anvil("anvil_setNextBlockBaseFeePerGas", [fee]).await;
        chain.mine_to(draw + 2).await;
        let (seed, header) = chain.world.reader.seed(draw).await.unwrap().unwrap();
        if opened.is_suitable(seed) {
            break (seed, header);
        }
        chain.revert_to(&mut before).await;
    };

    let mut drawn = Drawn {
        chain,
        state: chain.snapshot().await,
        seed,
        header,
    };
    drawn.measure_with_header_in_call(&opened, figures).await;
    drawn.measure_with_recorded_seed(&opened, figures).await;
}

/// The deposits of the shared draw.
struct Opened {
    /// Deposits with 1, 128, 1,024 and 10,000 payees.
    by_size: [Round; 4],
    in_token: Round,
    /// Deposits of ten payers, each with nearly the whole amount for one payee.
    batch: Vec<Round>,
}

impl Opened {
    async fn all(chain: &Chain, draw: u64) -> Self {
        let blocks = draw..draw + WINDOW;
        let mut by_size = Vec::new();
        for count in [1, 128, 1_024, 10_000] {
            let payer = chain.account(&format!("payer of {count}")).await.address;
            let round = Round::new(&chain.bank, payer, tree(count), blocks.clone());
            chain.open(&round).await;
            by_size.push(round);
        }

        let owner = chain.account("payer of tokens").await;
        let token = tokens::token(chain, &owner).await;
        let in_token = Round::new(&chain.bank, owner.address, tree(128), blocks.clone());
        let in_token = in_token.in_token(&chain.bank, token);
        let fund = Call::fund(&chain.bank, token, owner.address, in_token.tree.total());
        chain.send(owner.address, &fund).await;
        let open = Call::open(&chain.bank, &in_token.deposit, U256::ZERO);
        chain.send(owner.address, &open).await;

        let mut batch = Vec::new();
        for number in 0..BATCH {
            let payer = chain.account(&format!("payer {number} of a batch")).await;
            let tree = lopsided(number);
            let round = Round::new(&chain.bank, payer.address, tree, blocks.clone());
            chain.open(&round).await;
            batch.push(round);
        }
        Self {
            by_size: by_size.try_into().ok().unwrap(),
            in_token,
            batch,
        }
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
    seed: Seed,
    header: Bytes,
}

impl Drawn<'_> {
    /// Measures while no seed is recorded.
    async fn measure_with_header_in_call(&mut self, opened: &Opened, figures: &mut Figures) {
        let draw = opened.in_token.deposit.drawBlock;
        let stranger = self.chain.account("stranger").await.address;
        self.state = self.chain.snapshot().await;
        let record = Call::record_seed(&self.chain.bank, draw, self.header.clone());
        figures.set("record_seed", self.chain.send(stranger, &record).await);
        self.chain.revert_to(&mut self.state).await;

        let [one, some, _, many] = &opened.by_size;
        let sizes = [(one, "1"), (some, "128"), (many, "10000")];
        for (round, size) in sizes {
            let direct = self.paid_out(self.with_header(self.half(round)));
            let figure = self.redeem(direct).await;
            figures.set(&format!("redeem_direct_header_{size}"), figure);
        }
        let inline = self.with_header(self.half(some));
        let figure = self.redeem_to_new_balance(inline.clone()).await;
        figures.set("redeem_new_balance_128", figure);
        figures.set("redeem_inline_header_128", self.redeem(inline).await);

        // The most expensive redemptions of a payee.
        self.chain.mine_to(draw + 300).await;
        self.state = self.chain.snapshot().await;
        let old = self.with_header(self.half(some));
        let figure = self.redeem_to_new_balance(old.clone()).await;
        figures.set("redeem_old_header_128", figure);
        let figure = self.relay(old, some.id, stranger).await;
        figures.set("redeem_relayed_old_128", figure);
        for (round, size) in &sizes[1..] {
            let worst = self.with_header(self.streamed(round, 1_024));
            let figure = self.redeem_to_new_balance(worst.clone()).await;
            figures.set(&format!("redeem_worst_{size}"), figure);
            let figure = self.relay(worst, round.id, stranger).await;
            figures.set(&format!("redeem_relayed_worst_{size}"), figure);
        }
    }

    async fn measure_with_recorded_seed(&mut self, opened: &Opened, figures: &mut Figures) {
        let draw = opened.in_token.deposit.drawBlock;
        let stranger = self.chain.account("stranger").await.address;
        let record = Call::record_seed(&self.chain.bank, draw, self.header.clone());
        self.chain.send(stranger, &record).await;
        self.state = self.chain.snapshot().await;

        let [one, some, more, many] = &opened.by_size;
        let credit = self.redeem(self.half(some)).await;
        figures.set("redeem_credit_128", credit);
        figures.set("redeem_credit_1024", self.redeem(self.half(more)).await);
        for (round, size) in [(one, "1"), (some, "128"), (many, "10000")] {
            let figure = self.redeem(self.paid_out(self.half(round))).await;
            figures.set(&format!("redeem_direct_{size}"), figure);
        }
        let token = self.paid_out(self.half(&opened.in_token));
        figures.set("redeem_direct_erc20_128", self.redeem(token).await);

        let streamed = self.redeem(self.streamed(some, 256)).await;
        let extra = Figure {
            gas: streamed.gas - credit.gas,
            bytes: streamed.bytes - credit.bytes,
        };
        figures.set("stream_256_extra", extra);

        let payee = winner_of(some, self.seed);
        let all = some.tree.allowance(payee).unwrap().get();
        let whole = some.redemption(&self.chain.bank, payee, all, None);
        figures.set("redeem_whole_128", self.redeem(whole).await);
        let figure = self
            .redeem_relayed(self.half(some), some.id, stranger)
            .await;
        figures.set("redeem_relayed_128", figure);
        figures.set(
            "redeem_batch10_each",
            self.redeem_batch(&opened.batch).await,
        );
    }

    /// Redeems the winner's cheque over half of its allowance.
    fn half(&self, round: &Round) -> Redemption {
        let payee = winner_of(round, self.seed);
        let spent = round.tree.allowance(payee).unwrap().get() / 2;
        round.redemption(&self.chain.bank, payee, spent, None)
    }

    /// Redeems the same cheque with a stream shown to its last step.
    fn streamed(&self, round: &Round, steps: u32) -> Redemption {
        let payee = winner_of(round, self.seed);
        let spent = round.tree.allowance(payee).unwrap().get() / 2;
        let stream = Stream::new(keccak256("stream"), steps).unwrap();
        let step = (&stream, 1_234_567_890_123);
        round.redemption(&self.chain.bank, payee, spent, Some(step))
    }

    fn with_header(&self, redemption: Redemption) -> Redemption {
        let header = self.header.clone();
        Redemption {
            header,
            ..redemption
        }
    }

    fn paid_out(&self, redemption: Redemption) -> Redemption {
        let to = redemption.payee;
        Redemption { to, ..redemption }
    }

    /// Redeems as the payee. The payee's balance in the bank is not empty, nor its account in a token.
    async fn redeem(&mut self, redemption: Redemption) -> Figure {
        self.prepare(&redemption).await;
        self.redeem_to_new_balance(redemption).await
    }

    async fn redeem_to_new_balance(&mut self, redemption: Redemption) -> Figure {
        let payee = redemption.payee;
        self.chain.world.node.endow(payee).await;
        let redeem = Call::redeem(&self.chain.bank, redemption.pack().unwrap());
        let figure = self.chain.send(payee, &redeem).await;
        self.chain.revert_to(&mut self.state).await;
        figure
    }

    async fn redeem_relayed(
        &mut self,
        redemption: Redemption,
        id: DepositId,
        relayer: Address,
    ) -> Figure {
        self.prepare(&redemption).await;
        self.relay(redemption, id, relayer).await
    }

    async fn relay(
        &mut self,
        mut redemption: Redemption,
        id: DepositId,
        relayer: Address,
    ) -> Figure {
        let steps = u128::from(redemption.k) * redemption.step;
        let total = Amount::new(redemption.spent + steps);
        let (bank, payee) = (&self.chain.bank, redemption.payee);
        let digest = bank.consent_digest(id, payee, total, Address::ZERO);
        let mut payees = (0..10_000).map(|index| Account::of("payee", index));
        let payee = payees.find(|account| account.address == redemption.payee);
        redemption.consent = payee.unwrap().key.sign(digest).as_bytes().to_vec().into();
        let redeem = Call::redeem(&self.chain.bank, redemption.pack().unwrap());
        let figure = self.chain.send(relayer, &redeem).await;
        self.chain.revert_to(&mut self.state).await;
        figure
    }

    async fn redeem_batch(&mut self, rounds: &[Round]) -> Figure {
        let all: Vec<_> = rounds.iter().map(|round| self.half(round)).collect();
        let payee = favourite().address;
        self.prepare(&all[0]).await;
        let all = all.iter().map(|each| each.pack().unwrap()).collect();
        self.chain.world.node.endow(payee).await;
        let before = self.chain.world.balance(payee).await;
        let redeem = Call::redeem_batch(&self.chain.bank, all);
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
