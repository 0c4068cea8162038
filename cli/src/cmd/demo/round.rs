//! One deposit from its opening to its end.

use std::time::Duration;

use alloy::primitives::{Address, U256};
use cheque::{
    Amount, DepositId, MasterSalt, Proof,
    payee::RedeemOptions,
    payer::{DepositRequest, DepositState, Draw, Payment},
    roll,
    tx::Call,
};
use eyre::{ContextCompat, Result, WrapErr, bail, ensure};
use tokio::time::sleep;

use super::{
    plan::{self, Act, Choices, STREAM_STEPS},
    report::{Paid, Round},
    stage::{Actor, Stage},
};

/// Blocks in which payments are made, beside the chain's margins.
const TO_PAY: u64 = 60;

/// What a round is to do.
pub(super) struct Script {
    pub(super) number: usize,
    pub(super) seed: u64,
    pub(super) payments: usize,
    pub(super) lane: Option<u64>,
    /// Whether the deposit has to be taken back if nobody wins, because no further round does.
    pub(super) is_last: bool,
}

impl Stage {
    /// What the next deposit shall be.
    pub(super) fn request(&self, script: &Script) -> DepositRequest {
        let profile = self.reader.profile();
        let allowances = plan::allowances(script.seed, script.number, self.actors.len());
        let payees = self.actors.iter().map(|actor| actor.address);
        let blocks =
            profile.confirmations + 2 * profile.cutoff.max(self.reader.min_lead()) + TO_PAY;
        let list = payees.zip(allowances).collect();
        let mut request = DepositRequest::new(list, self.signer, Draw::In(blocks));
        let mut choices = Choices::new(script.seed, &format!("salts {}", script.number));
        request.master = Some(MasterSalt::from_bytes(choices.word().0));
        request.redeem_window = Some(profile.min_window);
        request.lane = script.lane;
        request
    }

    /// Opens a deposit (in the purse of `previous` if there is one), pays, draws, and cashes. Returns the native coin
    /// that was sent along, too.
    pub(super) async fn play(
        &mut self,
        script: &Script,
        previous: Option<DepositId>,
    ) -> Result<(Round, U256)> {
        let number = script.number;
        let request = self.request(script);
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
        self.note(number, operation, &opened.sent).await?;
        let brought = self.value_of(opened.sent.hash).await?;
        let (id, terms) = (opened.id, opened.deposit);
        self.until_active(id, opened.sent.block).await?;
        // Payees look at the chain once a block; without a service running, this is that look.
        for actor in &self.actors {
            actor.payee.poll().await?;
        }

        let acts = plan::payments(script.seed, number, &allowances, script.payments)?;
        let mut round = Round {
            deposit: id,
            amount: Amount::new(terms.amount),
            draw_block: terms.drawBlock,
            ..Round::default()
        };
        self.out
            .progress(format!("round {number}: {} payments", acts.len()));
        for act in &acts {
            self.pay(id, act, &mut round).await?;
        }
        self.check_books(id, &mut round).await?;

        self.out.progress(format!(
            "round {number}: on to the draw block {}",
            terms.drawBlock
        ));
        self.reach(terms.drawBlock).await?;
        if let Some(call) = self.reader.record_seed(terms.drawBlock).await? {
            self.send(number, "record_seed", &call).await?;
        }
        let (seed, _) = self
            .reader
            .seed(terms.drawBlock)
            .await?
            .wrap_err("the seed is not recorded")?;
        round.seed = seed.0;
        round.roll = roll(seed, id, round.amount);
        self.cash(id, script, &mut round).await?;
        if round.winner.is_none() {
            self.reach(terms.lastRedeemBlock).await?;
            if script.is_last {
                self.send(
                    number,
                    "reclaim",
                    &Call::reclaim(self.reader.bank(), &terms),
                )
                .await?;
            }
        }
        Ok((round, brought))
    }

    /// Waits until cheques can be written.
    async fn until_active(&mut self, id: DepositId, opened: u64) -> Result<()> {
        self.reach(opened + self.reader.profile().confirmations - 1)
            .await?;
        loop {
            self.look().await?;
            match self.payer.deposit(id).await?.state {
                DepositState::Active => return Ok(()),
                DepositState::Pending => sleep(Duration::from_millis(100)).await,
                state => bail!("the deposit is {} before anybody was paid", state.name()),
            }
        }
    }

    /// One payment: the payer writes it, the payee gets the text, checks it and keeps it.
    async fn pay(&self, id: DepositId, act: &Act, round: &mut Round) -> Result<()> {
        let actor = &self.actors[act.payee];
        if let Some(step) = act.stream {
            let begun = self
                .payer
                .open_stream(id, actor.address, Amount::ZERO, step, STREAM_STEPS)
                .await?;
            self.hand_over(actor, begun, round).await?;
        }
        let payment = match act.payment {
            plan::Payment::Cheque(amount) => {
                round.cheques += 1;
                self.payer.write_cheque(id, actor.address, amount).await?
            }
            plan::Payment::Steps(steps) => {
                round.steps += 1;
                self.payer.pay_steps(id, actor.address, steps).await?
            }
        };
        self.hand_over(actor, payment, round).await
    }

    async fn hand_over(&self, actor: &Actor, payment: Payment, round: &mut Round) -> Result<()> {
        let proof = payment
            .proof
            .wrap_err("the deposit does not cover the payment")?;
        round.proof_bytes += proof.encode().len();
        let text = proof.to_string();
        let proof: Proof = text.parse()?;
        let received = actor.payee.receive_payment(Some(self.signer), &proof).await;
        let accepted = received.wrap_err_with(|| format!("payee {} rejects", actor.address))?;
        ensure!(
            accepted.total == payment.spent,
            "payee {} counts {}, the payer {}",
            actor.address,
            accepted.total,
            payment.spent
        );
        Ok(())
    }

    /// What everybody was paid, as the payees' stores have it; the payer's has to agree.
    async fn check_books(&self, id: DepositId, round: &mut Round) -> Result<()> {
        let left = self.payer.allowances_left(id).await?;
        for actor in &self.actors {
            let holding = actor.payee.holding(id).await?;
            let last = self.payer.last_cheque(id, actor.address).await?;
            let (total, left_of) = last.wrap_err("a payee without an allowance")?;
            let paid = Paid {
                payee: actor.address,
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
                paid.total == total && left.get(&actor.address) == Some(&left_of),
                "the books of the payer and of payee {} differ",
                actor.address
            );
            round.paid.push(paid);
        }
        Ok(())
    }

    /// The payer's look at the chain.
    async fn look(&self) -> Result<()> {
        match self.payer.poll().await?.errors.pop() {
            Some((_, error)) => Err(error.into()),
            None => Ok(()),
        }
    }

    /// Asks every payee whether it has won; the winner redeems.
    async fn cash(&mut self, id: DepositId, script: &Script, round: &mut Round) -> Result<()> {
        let mut winners = Vec::new();
        for (number, actor) in self.actors.iter().enumerate() {
            let won = actor.payee.won().await?;
            for (of, position) in won {
                if position?.deposit_id() == id && of == id {
                    winners.push(number);
                }
            }
        }
        self.look().await?;
        let state = self.payer.deposit(id).await?.state;
        let expected = winners.first().map(|number| self.actors[*number].address);
        ensure!(
            winners.len() <= 1 && state == DepositState::Drawn { winner: expected },
            "{} payees say that they have won, the payer says that the deposit is {state:?}",
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
        let payee = self.actors[*winner].payee.clone();
        let redeemed = payee.redeem(id, &options).await?;
        round.payout = redeemed.payout;
        round.end = "redeemed";
        self.note(script.number, "redeem", &redeemed.sent).await
    }
}
