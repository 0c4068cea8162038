//! A round of the demo: a deposit from opening to end.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use cheque::{
    Amount, DepositId, MasterSalt, Outcome, Proof,
    payee::RedeemOptions,
    payer::{DepositRequest, DepositState, Draw, Payment},
    tx::Call,
};
use eyre::{ContextCompat, Result, WrapErr, bail, ensure};
use tokio::time::sleep;

use super::{
    draw::DrawReport,
    plan::{self, PlannedPayment, Rng, STREAM_STEPS},
    report::{Paid, Round},
    session::{DemoPayee, Session},
};
use crate::opts::time::show_time;

/// Seconds for the payments of a round, in addition to the margins of chain, payer and payees. The demo's payments take
/// a fraction of it.
const TIME_TO_PAY: u64 = 60;

/// Payments in a second on a slow machine, which get more time.
const PAYMENTS_PER_SECOND: u64 = 5;

/// Seconds in which the winner can redeem.
const REDEEM_WINDOW: u64 = 120;

/// The settings of a round.
pub(super) struct RoundSettings {
    pub(super) number: usize,
    pub(super) seed: u64,
    pub(super) payments: usize,
    pub(super) lane: Option<u64>,
    /// True if no later round reclaims the deposit by reopening its purse.
    pub(super) is_last: bool,
}

impl Session {
    /// Builds the request of the round's deposit.
    pub(super) fn request(&self, settings: &RoundSettings) -> DepositRequest {
        let allowances = plan::allowances(settings.seed, settings.number, self.payees.len());
        let payees = self.payees.iter().map(|payee| payee.address);
        let to_pay = TIME_TO_PAY + settings.payments as u64 / PAYMENTS_PER_SECOND;
        let draw_in = 2 * self.payer.cutoff().max(self.reader.min_lead()) + to_pay;
        let list = payees.zip(allowances).collect();
        let mut request = DepositRequest::new(list, self.signer, Draw::In(draw_in));
        let mut rng = Rng::new(settings.seed, &format!("salts {}", settings.number));
        request.master = Some(MasterSalt::from_bytes(rng.word().0));
        request.redeem_window = Some(REDEEM_WINDOW);
        request.lane = settings.lane;
        request
    }

    /// Opens a deposit (in the purse of `previous` if there is one), pays, draws and redeems. Also returns the native
    /// coin sent with the opening.
    pub(super) async fn run_round(
        &mut self,
        settings: &RoundSettings,
        previous: Option<DepositId>,
    ) -> Result<(Round, U256)> {
        let number = settings.number;
        let request = self.request(settings);
        let allowances: Vec<_> = request
            .allowances
            .iter()
            .map(|(_, amount)| *amount)
            .collect();
        let (opened, operation) = match previous {
            None => (self.payer.create_deposit(&request).await, "open"),
            Some(previous) => (self.payer.reopen(previous, &request).await, "reopen"),
        };
        let opened = opened.wrap_err("opening the deposit")?;
        self.record(number, operation, &opened.tx);
        let value = self.value_of(opened.tx.hash).await?;
        let (id, terms) = (opened.id, opened.deposit);
        self.wait_until_active(id).await?;
        // Payees read the chain once per block. No service runs here, so the demo does.
        for payee in &self.payees {
            payee.payee.poll().await?;
        }

        let payments = plan::payments(settings.seed, number, &allowances, settings.payments)?;
        let mut round = Round {
            deposit: id,
            amount: Amount::new(terms.amount),
            ..Round::default()
        };
        self.out
            .progress(format!("round {number}: {} payments", payments.len()));
        for payment in &payments {
            self.pay(id, payment, &mut round).await?;
        }
        self.compare_records(id, &mut round).await?;

        self.out.progress(format!(
            "round {number}: waiting for the draw at {}",
            show_time(terms.drawTime)
        ));
        // The bank pays after the second of the draw.
        self.reach(terms.drawTime.saturating_add(1)).await?;
        let drawn = self.payer.seeds().round(terms.drawTime).await?;
        let drawn = drawn.wrap_err("the beacon has no round of the draw time")?;
        if let Some(call) = self.reader.record_seed(&drawn).await? {
            self.send(number, "record_seed", &call).await?;
        }
        let beacon = self.reader.beacon().clone();
        round.draw = Some(DrawReport::new(beacon, drawn, (id, round.amount)));
        self.redeem(id, settings, &mut round).await?;
        if round.winner.is_none() {
            self.reach(terms.redeemUntil.saturating_add(1)).await?;
            if settings.is_last {
                self.send(
                    number,
                    "reclaim",
                    &Call::reclaim(self.reader.bank(), &terms),
                )
                .await?;
            }
        }
        Ok((round, value))
    }

    /// Waits until the payer can write cheques.
    async fn wait_until_active(&mut self, id: DepositId) -> Result<()> {
        loop {
            self.poll_payer().await?;
            match self.payer.deposit(id).await?.state {
                DepositState::Active => return Ok(()),
                DepositState::Pending => sleep(Duration::from_millis(100)).await,
                state => bail!("the deposit is {} before the first payment", state.name()),
            }
        }
    }

    /// Makes a payment: the payer writes the proof, and the payee checks and records its text.
    async fn pay(&self, id: DepositId, planned: &PlannedPayment, round: &mut Round) -> Result<()> {
        let payee = &self.payees[planned.payee];
        if let Some(step) = planned.new_stream {
            let opened = self
                .payer
                .open_stream(id, payee.address, Amount::ZERO, step, STREAM_STEPS)
                .await?;
            self.deliver(payee, opened, round).await?;
        }
        let payment = match planned.payment {
            plan::Payment::Cheque(amount) => {
                round.cheques += 1;
                self.payer.write_cheque(id, payee.address, amount).await?
            }
            plan::Payment::Steps(steps) => {
                round.steps += 1;
                self.payer.pay_steps(id, payee.address, steps).await?
            }
        };
        self.deliver(payee, payment, round).await
    }

    async fn deliver(&self, to: &DemoPayee, payment: Payment, round: &mut Round) -> Result<()> {
        round.proof_bytes += payment.proof.encode().len();
        let text = payment.proof.to_string();
        let proof: Proof = text.parse()?;
        let received = to.payee.receive_payment(Some(self.signer), &proof).await;
        let accepted = received.wrap_err_with(|| format!("payee {} rejects", to.address))?;
        ensure!(
            accepted.total == payment.spent,
            "payee {} has a total of {}, the payer of {}",
            to.address,
            accepted.total,
            payment.spent
        );
        Ok(())
    }

    /// Compares every payee's total in its store with the payer's record.
    async fn compare_records(&self, id: DepositId, round: &mut Round) -> Result<()> {
        let left = self.payer.allowances_left(id).await?;
        for payee in &self.payees {
            let holding = payee.payee.position(id).await?;
            let last = self.payer.spent_and_left(id, payee.address).await?;
            let (total, left_of) = last.wrap_err("a payee has no allowance")?;
            let paid = Paid {
                payee: payee.address,
                allowance: left_of
                    .checked_add(total)
                    .wrap_err("an allowance overflows")?,
                total: holding
                    .as_ref()
                    .map_or(Amount::ZERO, |position| position.total()),
                credited: holding
                    .as_ref()
                    .map_or(Amount::ZERO, |position| position.credited()),
            };
            ensure!(
                paid.total == total && left.get(&payee.address) == Some(&left_of),
                "the records of the payer and of payee {} differ",
                payee.address
            );
            round.paid.push(paid);
        }
        Ok(())
    }

    /// Updates the payer's deposits from the chain.
    async fn poll_payer(&self) -> Result<()> {
        match self.payer.poll().await?.errors.pop() {
            Some((_, error)) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Asks every payee for wins and redeems the winner's cheque.
    async fn redeem(
        &mut self,
        id: DepositId,
        settings: &RoundSettings,
        round: &mut Round,
    ) -> Result<()> {
        let mut winners = Vec::new();
        for (number, payee) in self.payees.iter().enumerate() {
            let holds = payee.payee.position(id).await?.is_some();
            if holds && payee.payee.outcome(id).await?.0 == Outcome::Payable {
                winners.push(number);
            }
        }
        self.poll_payer().await?;
        let state = self.payer.deposit(id).await?.state;
        let expected = winners.first().map(|number| self.payees[*number].address);
        ensure!(
            winners.len() <= 1 && state == DepositState::Drawn { winner: expected },
            "{} payees claim the win, and the deposit is {state:?} for the payer",
            winners.len()
        );
        round.winner = expected;
        let Some(winner) = winners.first() else {
            round.end = "reclaimed";
            return Ok(());
        };
        let options = RedeemOptions {
            to: Address::ZERO,
            consent: None,
        };
        let payee = self.payees[*winner].payee.clone();
        if let (Some(draw), Some(position)) = (&mut round.draw, payee.position(id).await?) {
            draw.set_winner(&position);
        }
        let redeemed = payee.redeem(id, &options).await?;
        round.payout = redeemed.payout;
        round.end = "redeemed";
        self.record(settings.number, "redeem", &redeemed.tx);
        Ok(())
    }
}
