//! Consecutive rounds: open, pay, draw, redeem or reclaim.

use crate::{
    books::Books,
    evm::{Evm, openCall, purse_word, purseCall, recordSeedCall, redeemCall},
    payees::Payees,
    payer::{LANE, Opened, Payer},
};
use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Encodable;
use cheque::{
    Amount, ChainProfile, MasterSalt, Outcome, Position, Proof, Purse, Rejection, Seed, SeedSource,
    SigningKey, View, redeem_gas, roll, seed_from_header,
};
use cheque_bindings::IChequeBank::{reopenCall, withdrawCall};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

/// Chain id of the EVM.
const CHAIN: u64 = 560_048;

/// Time of the first block, in seconds since 1970.
const FIRST_TIME: u64 = 1_600_000_000;

/// An account that sends redemptions for payees.
const RELAYER: Address = Address::repeat_byte(0x7e);

/// The account of the payer's withdrawals.
const COLD: Address = Address::repeat_byte(0xc0);

pub(crate) struct Soak {
    chain: Evm,
    profile: &'static ChainProfile,
    rng: ChaCha8Rng,
    payer: Payer,
    payees: Payees,
    pub(crate) books: Books,
    /// The deposit of the last round.
    last: Option<Opened>,
}

/// The draw block's seed and header.
struct Drawn {
    seed: Seed,
    header: Bytes,
}

impl Soak {
    pub(crate) fn new(payees: usize) -> Self {
        let profile = ChainProfile::of(CHAIN).unwrap();
        let chain = Evm::new(SeedSource::PrevRandao, profile.min_lead);
        let mut rng = ChaCha8Rng::seed_from_u64(4);
        let signer = SigningKey::from_bytes(&rng.random()).unwrap();
        Self {
            payer: Payer::new(Address::from(rng.random::<[u8; 20]>()), signer, chain.bank),
            payees: Payees::new(payees, chain.bank, profile),
            profile,
            chain,
            rng,
            books: Books::default(),
            last: None,
        }
    }

    /// Runs a deposit from its opening until payer and payees forget it.
    pub(crate) fn round(&mut self) {
        let gas_price = self.rng.random_range(1_000_000_000..20_000_000_000);
        let opened = self.open(gas_price);
        let payees = self.payees.addresses.clone();
        for wave in 0..3 {
            // Confirmed by then, and long before the draw.
            let blocks = self.profile.confirmations + wave;
            self.chain.mine_to(self.chain.block() + blocks);
            let view = self.view(&opened, gas_price);
            for payee in &payees {
                if self.rng.random_ratio(1, 4) {
                    self.pay(&opened, *payee, &view);
                }
            }
        }
        let drawn = self.draw(&opened);
        let positions = self.payees.holdings(opened.id);
        self.books.add_draw(&opened.deposit, &positions);
        if let Some(winner) = self.winner(&opened, &drawn, &positions) {
            self.redeem(&opened, &drawn, &winner, gas_price);
        } else {
            self.chain.mine_to(opened.deposit.lastRedeemBlock + 1);
        }
        self.payees.forget(opened.id);
        self.payer.forget(opened.id);
        self.last = Some(opened);
    }
}

impl Soak {
    /// Opens the next deposit in the purse of the last one, and so reclaims a deposit without a winner.
    fn open(&mut self, gas_price: u128) -> Opened {
        let (block, grid) = (self.chain.block(), self.profile.grid);
        let draw_block = (block + grid).next_multiple_of(grid) + self.rng.random_range(0..3) * grid;
        let last = draw_block + self.profile.min_window + self.rng.random_range(0..900);
        let whole = self
            .rng
            .random_range(300_000_000_000_000_000..900_000_000_000_000_000);
        let allowances = self.allowances(whole);
        let gas = redeem_gas(17, self.payees.policy.max_steps);
        let min_payout = 50 * u128::from(gas) * gas_price;
        let master = MasterSalt::from_bytes(self.rng.random());
        let times = (block, draw_block, last);
        let next = self.payer.prepare(allowances, master, min_payout, times);

        let there = self.purse(self.payer.address, LANE).get();
        let missing = next.deposit.amount.saturating_sub(there);
        let value = if self.rng.random() {
            // Any excess goes to the payer's balance in the bank.
            missing + self.rng.random_range(0..missing + 2)
        } else {
            missing.saturating_sub(self.purse(self.payer.address, 0).get())
        };
        let deposit = next.deposit.clone();
        let id = match &self.last {
            None => self
                .chain
                .send(self.payer.address, value, &openCall { deposit }),
            Some(last) => {
                let expired = last.deposit.clone();
                let call = reopenCall {
                    expired,
                    next: deposit,
                };
                self.chain.send(self.payer.address, value, &call)
            }
        };
        assert_eq!(id.unwrap(), next.id.0);
        self.books.funded += U256::from(value);
        next
    }

    /// Uneven shares of about `whole` for all payees.
    fn allowances(&mut self, whole: u128) -> Vec<(Address, Amount)> {
        let payees = self.payees.addresses.clone();
        let weights: Vec<u128> = payees
            .iter()
            .map(|_| self.rng.random_range(1..=4))
            .collect();
        let all: u128 = weights.iter().sum();
        let shares = weights
            .into_iter()
            .map(|weight| Amount::new(whole * weight / all));
        payees.into_iter().zip(shares).collect()
    }

    /// The payees' chain view.
    fn view(&mut self, opened: &Opened, gas_price: u128) -> View {
        let head = self.chain.block() - 1;
        let head_time = FIRST_TIME + head * self.profile.block_time;
        let gas = redeem_gas(opened.tree.depth(), self.payees.policy.max_steps);
        View {
            head,
            head_time,
            now: head_time + self.rng.random_range(0..12),
            purse: self.chain.purse(&opened.deposit),
            redeem_cost: Some(Amount::new(u128::from(gas) * gas_price)),
            exposure: Amount::ZERO,
        }
    }

    /// Makes a payment over a network that loses and repeats proofs.
    fn pay(&mut self, opened: &Opened, payee: Address, view: &View) {
        let Some(mut proofs) = self.payer.pay(opened, payee, &mut self.rng) else {
            return;
        };
        let is_plain = proofs.len() == 1 && !matches!(proofs[0], Proof::Step { .. });
        if is_plain && self.rng.random_ratio(1, 32) {
            return;
        }
        while !proofs.is_empty() {
            let wire = proofs.remove(0).encode();
            match self.payees.receive(payee, &wire, view) {
                Ok(value) => self.books.values += value.to_u256(),
                // The network lost the opening.
                Err(Rejection::UnknownDeposit(_)) => {
                    proofs = self.payer.all_proofs(opened, payee);
                    continue;
                }
                Err(error) => panic!("an honest payer is rejected: {error}"),
            }
            self.books.payments += 1;
            if self.rng.random_ratio(1, 16) {
                let again = self.payees.receive(payee, &wire, view);
                assert_eq!(again, Err(Rejection::Replay));
            }
        }
    }

    /// Mines up to the draw block.
    fn draw(&mut self, opened: &Opened) -> Drawn {
        let number = opened.deposit.drawBlock;
        self.chain.mine_to(number);
        let header = Header {
            parent_hash: B256::from(self.rng.random::<[u8; 32]>()),
            number,
            timestamp: FIRST_TIME + number * self.profile.block_time,
            mix_hash: B256::from(self.rng.random::<[u8; 32]>()),
            base_fee_per_gas: Some(self.rng.random()),
            ..Header::default()
        };
        let mut bytes = Vec::new();
        header.encode(&mut bytes);
        let hash = keccak256(&bytes);
        self.chain.mine(hash);
        Drawn {
            seed: seed_from_header(&bytes, hash).unwrap(),
            header: bytes.into(),
        }
    }

    /// The position of the winner, if a payee has won.
    fn winner(
        &mut self,
        opened: &Opened,
        drawn: &Drawn,
        positions: &[Position],
    ) -> Option<Position> {
        let point = roll(drawn.seed, opened.id, Amount::new(opened.deposit.amount));
        let wins = |position: &&Position| {
            let payout = position.payout();
            payout.is_some_and(|payout| payout.wins(position.start(), point))
        };
        let winners: Vec<_> = positions.iter().filter(wins).collect();
        assert!(winners.len() <= 1);
        // The bank agrees about a loser.
        let loser = positions
            .iter()
            .find(|position| !wins(position) && !position.total().is_zero());
        if let Some(loser) = loser {
            let redemption = loser.redemption(Address::ZERO, Bytes::new(), drawn.header.clone());
            let packed = redemption.pack().unwrap();
            let (outcome, _) = self.chain.outcome_of(&packed, loser.payee());
            assert_eq!(outcome, Outcome::Loses);
        }
        winners.first().map(|winner| (*winner).clone())
    }

    /// Redeems a win: early or late, by the payee or a relayer, to the balance in the bank or to the account.
    fn redeem(&mut self, opened: &Opened, drawn: &Drawn, winner: &Position, gas_price: u128) {
        let last = opened.deposit.lastRedeemBlock;
        let mut header = drawn.header.clone();
        let mut gas = 0;
        let redeem_block = match self.rng.random_range(0..3) {
            // The bank reads BLOCKHASH.
            0 => opened.deposit.drawBlock + self.rng.random_range(1..=256),
            // The bank reads the history contract.
            1 => self.rng.random_range(opened.deposit.drawBlock + 257..=last),
            // The bank has the recorded seed, in the last block.
            _ => {
                let call = recordSeedCall {
                    blockNumber: U256::from(opened.deposit.drawBlock),
                    header,
                };
                let seed = self.chain.send(RELAYER, 0, &call).unwrap();
                assert_eq!(seed, drawn.seed.0);
                gas = self.chain.gas_used;
                header = Bytes::new();
                last
            }
        };
        self.chain.mine_to(redeem_block);
        let payee = winner.payee();
        let to = *[Address::ZERO, payee]
            .get(self.rng.random_range(0..2))
            .unwrap();
        let (from, consent) = if self.rng.random() {
            (payee, Bytes::new())
        } else {
            (RELAYER, self.payees.consent(winner, to))
        };
        let redemption = winner.redemption(to, consent, header).pack().unwrap();
        let payout = self
            .chain
            .send(from, 0, &redeemCall { redemption })
            .unwrap();
        assert_eq!(payout, winner.payout().unwrap().amount.get());
        gas += self.chain.gas_used;

        let cost = u128::from(gas) * gas_price;
        self.books
            .add_redemption(payout, cost, winner.redeem_cost());
        if !to.is_zero() {
            self.books.paid_out += U256::from(payout);
        } else if self.rng.random() {
            self.withdraw(payee, payee);
        }
        if self.rng.random_ratio(1, 8) {
            self.withdraw(self.payer.address, COLD);
        }
    }

    /// Withdraws an account's whole balance in the bank.
    fn withdraw(&mut self, account: Address, to: Address) {
        let amount = self.purse(account, 0).to_u256();
        if amount.is_zero() {
            return;
        }
        let call = withdrawCall {
            token: Address::ZERO,
            lane: 0,
            amount,
            to,
        };
        self.chain.send(account, 0, &call).unwrap();
        self.books.withdrawn += amount;
    }

    /// Money in a purse: idle, or the deposit of the last round.
    fn purse(&mut self, account: Address, lane: u64) -> Amount {
        let token = Address::ZERO;
        let purse = self.chain.view(
            account,
            &purseCall {
                account,
                token,
                lane,
            },
        );
        let word = purse_word(purse);
        match (Purse::from_word(word), &self.last) {
            (Purse::Idle(amount), _) => amount,
            (Purse::Open(id), Some(last)) if id == last.id => Amount::new(last.deposit.amount),
            (open, _) => panic!("unknown deposit in the purse: {open:?}"),
        }
    }

    /// Checks that funded = paid out + withdrawn + idle + open, by the bank's balances, its coin, and the coin of the
    /// other accounts.
    pub(crate) fn assert_conserved(&mut self) {
        let payees = self.payees.addresses.clone();
        let mut held = self.purse(self.payer.address, LANE).to_u256();
        held += self.purse(self.payer.address, 0).to_u256();
        let mut outside = self.chain.coins(COLD);
        for payee in payees {
            held += self.purse(payee, 0).to_u256();
            outside += self.chain.coins(payee);
        }
        let out = self.books.paid_out + self.books.withdrawn;
        assert_eq!(self.books.funded, out + held);
        assert_eq!(self.chain.coins(self.chain.bank.address()), held);
        assert_eq!(outside, out);
        self.chain.forget();
    }

    /// Checks that payer and payees have no records of finished deposits.
    pub(crate) fn assert_nothing_is_left_over(&self) {
        assert_eq!((self.payer.kept(), self.payees.kept()), (0, 0));
    }

    /// A line about the progress.
    pub(crate) fn progress(&self) -> String {
        let books = &self.books;
        format!(
            "block {}, {} payments worth {} wei, {} redemptions for {} wei net, {} kB resident",
            self.chain.block(),
            books.payments,
            books.values,
            books.redeemed,
            books.net_cash,
            crate::books::resident().unwrap_or_default()
        )
    }
}
