//! `cheque inspect`: the parts of a proof, checked without a network.

use alloy::primitives::{Address, U256};
use cheque::{
    AllowanceProof, Amount, Bank, Deposit, DepositId, Opening, Proof, SignedCheque, hash_chain,
    payout,
};
use clap::Args;
use eyre::{Result, WrapErr, bail, ensure};
use serde_json::{Map, Value};

use crate::{
    amount::Token,
    format,
    input::text_of,
    opts::time::show_time,
    output::{Output, fields},
};

/// Explain a proof of payment, offline
///
/// Checks without a node: the allowance against the deposit's root and the signature against its signer. `cheque
/// receive` also checks the deposit on the chain.
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cheque inspect AflBgA...                  explain a proof
  cheque write ID PAYEE 1500 | cheque inspect -
  cheque inspect step.txt --with first.txt  check a later cheque or a stream step against an opening
                                            (for a step: of the cheque that began the stream)")]
pub(crate) struct InspectArgs {
    /// Proof, a file with the proof, or - for stdin
    proof: String,

    /// Check a later cheque or stream step against an opening
    ///
    /// PROOF is the opening, or a file with the opening.
    #[arg(long, value_name = "PROOF")]
    with: Option<String>,

    /// Subtract this cost to redeem from the value, in token units [default: none]
    ///
    /// A payee tells its cost at GET /terms.
    #[arg(long, value_name = "UNITS")]
    redeem_cost: Option<u128>,
}

/// Lines of the explanation: name, JSON value, text.
struct Explained(Vec<(&'static str, Value, String)>);

impl Explained {
    fn add(&mut self, name: &'static str, value: impl Into<Value>, text: impl Into<String>) {
        self.0.push((name, value.into(), text.into()));
    }

    fn same(&mut self, name: &'static str, value: impl ToString) {
        let text = value.to_string();
        self.add(name, text.clone(), text);
    }

    fn amount(&mut self, name: &'static str, amount: Amount, token: Option<&Token>) {
        let text = token.map_or_else(
            || format!("{amount} units"),
            |token| token.show_amount(amount),
        );
        self.add(name, amount.to_string(), text);
    }
}

impl InspectArgs {
    pub(crate) fn run(&self, out: &Output) -> Result<()> {
        let text = text_of(&self.proof, "proof of payment")?;
        let proof: Proof = text
            .parse()
            .wrap_err("the text is not a proof of payment")?;
        let opening = self.opening(&proof)?;
        let cost = self.redeem_cost.map(Amount::new);
        let mut explained = Explained(Vec::new());
        match &proof {
            Proof::Opening(opening) => explain_opening(&mut explained, opening, cost),
            Proof::Cheque(id, cheque) => {
                explained.add("kind", "cheque", "a later cheque of a deposit");
                explained.same("deposit", id);
                let context = opening.as_deref();
                let context = context.map(|opening| Context::of(opening, cost));
                explain_cheque(&mut explained, *id, cheque, context.as_ref());
            }
            Proof::Step { deposit, k, x } => {
                explained.add("kind", "step", "steps of the stream of the newest cheque");
                explained.same("deposit", deposit);
                explained.add("steps", *k, format!("{k} paid in total"));
                explained.same("x", x);
                if let Some(opening) = opening {
                    explain_step(
                        &mut explained,
                        &Context::of(&opening, cost),
                        &opening,
                        *k,
                        *x,
                    );
                }
            }
        }
        explained.add(
            "bytes",
            proof.encode().len(),
            proof.encode().len().to_string(),
        );
        let json: Map<_, _> = explained
            .0
            .iter()
            .map(|(name, value, _)| ((*name).to_owned(), value.clone()))
            .collect();
        let lines: Vec<_> = explained
            .0
            .into_iter()
            .map(|(name, _, text)| (name, text))
            .collect();
        out.result(&Value::Object(json), || fields(&lines))
    }

    fn opening(&self, proof: &Proof) -> Result<Option<Box<Opening>>> {
        let Some(argument) = &self.with else {
            return Ok(None);
        };
        let text = text_of(argument, "opening")?;
        let Proof::Opening(opening) = text.parse().wrap_err("--with is not a proof of payment")?
        else {
            bail!(
                "--with is not an opening; print one with `cheque write ID PAYEE --reprint --with-terms`"
            );
        };
        let id = opening.bank.deposit_id(&opening.deposit);
        ensure!(
            id == proof.deposit_id(),
            "--with is an opening of deposit {id}, not of {}; use the opening of the same deposit",
            proof.deposit_id()
        );
        Ok(Some(opening))
    }
}

/// The terms to check a cheque against.
struct Context<'a> {
    bank: Bank,
    deposit: &'a Deposit,
    allowance: &'a AllowanceProof,
    payee: Address,
    token: Option<Token>,
    /// The cost to redeem, as the payee counts it.
    redeem_cost: Option<Amount>,
}

impl<'a> Context<'a> {
    fn of(opening: &'a Opening, redeem_cost: Option<Amount>) -> Self {
        Self {
            redeem_cost,
            bank: opening.bank,
            deposit: &opening.deposit,
            allowance: &opening.allowance,
            payee: opening.payee,
            token: opening.deposit.token.is_zero().then(Token::coin),
        }
    }
}

fn explain_opening(explained: &mut Explained, opening: &Opening, redeem_cost: Option<Amount>) {
    let context = Context::of(opening, redeem_cost);
    let token = context.token.as_ref();
    let terms = &opening.deposit;
    let id = opening.bank.deposit_id(terms);
    explained.add(
        "kind",
        "opening",
        "a cheque with the terms to check it against",
    );
    let chain = opening.bank.chain_id();
    explained.add("chain", chain, format::chain(chain));
    explained.same("bank", opening.bank.address());
    explained.same("deposit", id);
    explained.same("payer", terms.payer);
    explained.same("signer", terms.signer);
    let coin = terms.token.is_zero();
    let name = if coin {
        "the native coin".to_owned()
    } else {
        terms.token.to_string()
    };
    explained.add("token", terms.token.to_string(), name);
    explained.add("lane", terms.lane, terms.lane.to_string());
    explained.amount("amount", Amount::new(terms.amount), token);
    explained.amount("min_payout", Amount::new(terms.minPayout), token);
    explained.add("draw_time", terms.drawTime, show_time(terms.drawTime));
    explained.add(
        "redeem_until",
        terms.redeemUntil,
        show_time(terms.redeemUntil),
    );
    explained.same("root", terms.root);
    let terms_ok = cheque::check_terms(terms);
    explained.add(
        "terms",
        terms_ok.is_ok(),
        verdict(terms_ok.map(|()| "possible".to_owned())),
    );
    explained.same("payee", opening.payee);
    explained.amount("allowance", opening.allowance.allowance, token);
    let start = opening.allowance.start(opening.payee, terms);
    let levels = opening.allowance.siblings.len();
    explained.add(
        "allowance_proof",
        start.is_ok(),
        verdict(
            start.map(|start| format!("leads to the root in {levels} levels, range from {start}")),
        ),
    );
    explain_cheque(explained, id, &opening.cheque, Some(&context));
}

fn explain_cheque(
    explained: &mut Explained,
    id: DepositId,
    cheque: &SignedCheque,
    context: Option<&Context<'_>>,
) {
    let token = context.and_then(|context| context.token.as_ref());
    explained.amount("spent", cheque.spent, token);
    if cheque.has_stream() {
        explained.same("anchor", cheque.anchor);
        explained.amount("step", cheque.step, token);
    }
    let stream = cheque.check_stream_terms();
    if let Err(error) = stream {
        explained.add(
            "stream",
            false,
            verdict::<cheque::StreamTermsError>(Err(error)),
        );
    }
    let Some(context) = context else {
        explained.add(
            "signed",
            Value::Null,
            "not checked: name an opening, which has the deposit's terms, with --with",
        );
        return;
    };
    let expected = context.deposit.signer;
    let found = cheque
        .signer(&context.bank, id, context.payee)
        .map(|key| key.address());
    let signed = match found {
        Ok(found) if found == expected => Ok("by the deposit's signer".to_owned()),
        Ok(found) => Err(format!("by {found}, not by the deposit's signer")),
        Err(error) => Err(error.to_string()),
    };
    explained.add("signed", signed.is_ok(), verdict(signed));
    explain_payout(explained, cheque.spent, context);
}

fn explain_payout(explained: &mut Explained, total: Amount, context: &Context<'_>) {
    let allowance = context.allowance.allowance;
    let Some(payout) = payout(total, allowance, context.deposit) else {
        if total > allowance {
            explained.add(
                "wins",
                Value::Null,
                format!("never: {total} is more than the allowance"),
            );
        }
        return;
    };
    explained.amount("payout", payout.amount, context.token.as_ref());
    let amount = U256::from(context.deposit.amount);
    explained.add(
        "range",
        payout.range.to_string(),
        format!(
            "{} of {amount}: a chance of {}",
            payout.range,
            format::percent(payout.range.to_u256(), amount)
        ),
    );
    let cost = context.redeem_cost.unwrap_or_default();
    let value = payout.expected_value(Amount::new(context.deposit.amount), cost);
    let shown = |amount| {
        let token = context.token.as_ref();
        token.map_or_else(
            || format!("{amount} units"),
            |token| token.show_amount(amount),
        )
    };
    let text = match context.redeem_cost {
        Some(cost) => format!(
            "{}: the chance times the payout less {} to redeem",
            shown(value),
            shown(cost)
        ),
        None => format!(
            "{} less the chance times the cost to redeem; --redeem-cost subtracts it",
            shown(value)
        ),
    };
    explained.add("value", value.to_string(), text);
}

fn explain_step(
    explained: &mut Explained,
    context: &Context<'_>,
    opening: &Opening,
    k: u32,
    x: alloy::primitives::B256,
) {
    let cheque = &opening.cheque;
    let leads = cheque.has_stream() && hash_chain(x, k) == cheque.anchor;
    let text = if leads {
        Ok("lead to the anchor of the cheque".to_owned())
    } else {
        Err("do not lead to the anchor of this cheque; try the opening of another".to_owned())
    };
    explained.add("leads_to_anchor", leads, verdict(text));
    let paid = cheque.step.checked_mul(u128::from(k));
    let total = paid.and_then(|paid| cheque.spent.checked_add(paid));
    if let (true, Some(total)) = (leads, total) {
        explained.amount("total", total, context.token.as_ref());
        explain_payout(explained, total, context);
    }
}

fn verdict<E: std::fmt::Display>(checked: std::result::Result<String, E>) -> String {
    match checked {
        Ok(text) => format!("ok: {text}"),
        Err(error) => format!("WRONG: {error}"),
    }
}
