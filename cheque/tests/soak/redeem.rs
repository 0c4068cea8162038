//! Redemptions: early or late, by the payee or a relayer, with or without a recorded seed, to the balance in the bank or to
//! the account.

use crate::{
    evm::{recordSeedCall, redeemCall},
    rounds::Soak,
    win::Win,
};
use alloy_primitives::{Address, Bytes, U256};
use cheque_bindings::IChequeBank::withdrawCall;
use rand::Rng;

/// An account that sends redemptions for payees.
const RELAYER: Address = Address::repeat_byte(0x7e);

/// The account of the payer's withdrawals.
const COLD: Address = Address::repeat_byte(0xc0);

impl Soak {
    /// Redeems a win now.
    pub(crate) fn redeem(&mut self, win: &Win) {
        let winner = &win.winner;
        let draw_time = winner.deposit().drawTime;
        let (mut proof, mut gas) = (self.chain.proof(draw_time), 0);
        if win.records {
            let call = recordSeedCall {
                drawTime: draw_time,
                proof,
            };
            let seed = self.chain.send(RELAYER, 0, &call).unwrap();
            assert_eq!(seed, self.chain.round(draw_time).seed().0);
            gas = self.chain.gas_used;
            proof = Bytes::new();
        }
        let payee = winner.payee();
        let to = *[Address::ZERO, payee]
            .get(self.rng.random_range(0..2))
            .unwrap();
        let (from, consent) = if self.rng.random() {
            (payee, Bytes::new())
        } else {
            (RELAYER, self.payees.consent(winner, to))
        };
        let redemption = winner.redemption(to, consent).pack().unwrap();
        let call = redeemCall { redemption, proof };
        let payout = self.chain.send(from, 0, &call).unwrap();
        assert_eq!(payout, winner.payout().unwrap().amount.get());
        gas += self.chain.gas_used;

        let cost = u128::from(gas) * win.gas_price;
        self.books
            .add_redemption(payout, cost, winner.redeem_cost());
        self.payees.release(winner);
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
        let amount = self.idle(account, 0).to_u256();
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

    /// Checks that funded = paid out + withdrawn + idle + open, by the bank's balances, its coin, and the coin of the
    /// other accounts.
    pub(crate) fn assert_conserved(&mut self) {
        let payees = self.payees.addresses.clone();
        let (idle, mut held) = self.money_at_stake();
        for lane in idle.into_iter().chain([0]) {
            held += self.idle(self.payer.address, lane).to_u256();
        }
        let mut outside = self.chain.coins(COLD);
        for payee in payees {
            held += self.idle(payee, 0).to_u256();
            outside += self.chain.coins(payee);
        }
        let out = self.books.paid_out + self.books.withdrawn;
        assert_eq!(self.books.funded, out + held);
        assert_eq!(self.chain.coins(self.chain.bank.address()), held);
        assert_eq!(outside, out);
        self.chain.forget();
    }

    /// Checks that payer and payees have no records of closed deposits.
    pub(crate) fn assert_nothing_is_left_over(&self) {
        assert_eq!((self.payer.kept(), self.payees.kept()), (0, 0));
        assert!(self.payees.has_nothing_at_stake());
    }

    /// A line about the progress.
    pub(crate) fn progress(&self) -> String {
        let books = &self.books;
        let (rounds, lanes) = self.in_use();
        format!(
            "time {}, {rounds} rounds in {lanes} purses, {} payments worth {} wei, {} redemptions for {} wei net, {} kB \
             resident",
            self.chain.time(),
            books.payments,
            books.values,
            books.redeemed,
            books.net_cash,
            crate::books::resident().unwrap_or_default()
        )
    }
}
