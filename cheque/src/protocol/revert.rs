//! Texts for reverted calls and outcomes of redemptions.

use alloy_primitives::Bytes;
use alloy_sol_types::{SolError, SolInterface};
use cheque_bindings::{IChequeBankErrors, IDrandBankErrors, Outcome};
use std::fmt;

/// The data of a reverted call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revert(pub Bytes);

impl Revert {
    /// Decodes the data as an error of any bank; `None` for other data. Does not tell which contract reverted.
    pub fn bank_error(&self) -> Option<IChequeBankErrors> {
        IChequeBankErrors::abi_decode(&self.0).ok()
    }

    /// Decodes the data as an error that only a bank with a drand beacon has; `None` for other data.
    pub fn beacon_error(&self) -> Option<IDrandBankErrors> {
        IDrandBankErrors::abi_decode(&self.0).ok()
    }
}

impl fmt::Display for Revert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(error) = self.bank_error() {
            return write!(f, "the bank rejects the call: {}", BankErrorText(&error));
        }
        if let Some(error) = self.beacon_error() {
            return write!(f, "the bank rejects the call: {}", BeaconErrorText(&error));
        }
        write!(f, "the call reverts ({})", revert_text(&self.0))
    }
}

/// The text of an error of the bank.
struct BankErrorText<'a>(&'a IChequeBankErrors);

impl fmt::Display for BankErrorText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use IChequeBankErrors as E;
        match self.0 {
            E::LeadOutOfRange(e) => {
                write!(f, "a lead of {} s is not in 1..={}", e.minLead, e.most)
            }
            E::Reentered(_) => f.write_str("the call reentered the bank"),
            E::InvalidRecipient(e) => write!(f, "{} cannot receive money", e.recipient),
            E::WrongValue(e) => write!(f, "{} wei were sent and {} are needed", e.sent, e.needed),
            E::NotAToken(e) => write!(f, "there is no token contract at {}", e.token),
            E::WrongAmountReceived(e) => write!(
                f,
                "{} units of the token arrived instead of {}; use a token without a fee on transfers",
                e.received, e.expected
            ),
            E::ZeroAmount(_) => f.write_str("the amount is zero"),
            E::AmountTooHigh(e) => write!(f, "{} is more than {}", e.amount, e.most),
            E::NotPayer(e) => write!(f, "only the payer {} may do so, not {}", e.payer, e.caller),
            E::ZeroSigner(_) => f.write_str("the deposit names no signer"),
            E::ZeroLane(_) => f.write_str("lane 0 holds no deposit"),
            E::MinPayoutTooHigh(e) => write!(
                f,
                "the smallest payout {} is more than the deposit's amount {}",
                e.minPayout, e.amount
            ),
            E::DrawTooSoon(e) => write!(
                f,
                "the draw time {} is too soon; choose {} or later",
                e.drawTime, e.earliest
            ),
            E::RedeemWindowEmpty(e) => write!(
                f,
                "the last time to redeem, {}, is not after the draw time {}; choose a longer window",
                e.redeemUntil, e.drawTime
            ),
            E::UnusableId(e) => write!(
                f,
                "the id {} would read as money; change the terms",
                e.depositId
            ),
            E::PurseBusy(e) => write!(f, "the purse holds the open deposit {}", e.openDepositId),
            E::InsufficientFunds(e) => {
                write!(
                    f,
                    "{} units are there and {} are needed",
                    e.available, e.needed
                )
            }
            E::PurseMismatch(_) => {
                f.write_str("both deposits must have the same payer, token and lane")
            }
            E::DepositNotOpen(e) => write!(f, "deposit {} is not open", e.depositId),
            E::StillRedeemable(e) => write!(
                f,
                "the deposit can be redeemed until {}, and reclaimed only after it; wait",
                e.redeemUntil
            ),
            E::NotRedeemable(e) => {
                write!(
                    f,
                    "the cheque cannot be redeemed: {}",
                    outcome_text(e.outcome)
                )
            }
            E::InvalidSignature(e) => write!(f, "the signature is not {}'s", e.account),
            E::SignatureExpired(e) => {
                write!(f, "the signed agreement was valid until {}", e.deadline)
            }
            E::NonceUsed(e) => write!(f, "nonce {} of {} is used", e.nonce, e.account),
            E::SeedUnknown(e) => write!(
                f,
                "the seed of the draw at {} is not recorded; record it, or show the round's signature",
                e.drawTime
            ),
            E::InvalidSeedProof(e) => write!(
                f,
                "the proof is not the beacon's signature for the draw at {}",
                e.drawTime
            ),
            E::LengthMismatch(e) => write!(
                f,
                "the batch has {} draw times and {} proofs; give one proof for each",
                e.drawTimes, e.proofs
            ),
        }
    }
}

/// The text of an error of a bank with a drand beacon.
struct BeaconErrorText<'a>(&'a IDrandBankErrors);

impl fmt::Display for BeaconErrorText<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use IDrandBankErrors as E;
        match self.0 {
            E::DrawBeforeGenesis(e) => write!(
                f,
                "the draw time {} is before the beacon's first round at {}; choose a later one",
                e.drawTime, e.genesis
            ),
            E::DrawOffSchedule(e) => write!(
                f,
                "the beacon has no round at {}; choose a time on its schedule",
                e.drawTime
            ),
            E::InvalidSchedule(e) => write!(
                f,
                "genesis {} and period {} of the beacon must be more than zero",
                e.genesis, e.period
            ),
            E::NoPrecompiles(_) => f.write_str(
                "the chain cannot verify the beacon; use a chain with the precompiles of EIP-2537",
            ),
            E::InvalidPublicKey(_) => {
                f.write_str("the beacon's public key is no point of the group, or the identity")
            }
        }
    }
}

/// Formats Solidity's `Error(string)` and `Panic(uint256)` as text, other data in hexadecimal. Omits control characters:
/// a foreign contract chose the text.
fn revert_text(data: &Bytes) -> String {
    if data.is_empty() {
        return "without a reason".to_owned();
    }
    if let Ok(revert) = alloy_sol_types::Revert::abi_decode(data) {
        return revert.reason.replace(char::is_control, "");
    }
    alloy_sol_types::Panic::abi_decode(data)
        .map_or_else(|_| data.to_string(), |panic| panic.to_string())
}

/// Returns the text of an outcome.
pub const fn outcome_text(outcome: Outcome) -> &'static str {
    match outcome {
        Outcome::Payable => "the cheque wins and would be paid",
        Outcome::Malformed => {
            "the bytes are too short for their own lengths, or announce an unknown part"
        }
        Outcome::BadProof => "the allowance proof is too deep, or its sum too large",
        Outcome::NotOpen => {
            "the deposit is not open: never opened, already redeemed or reclaimed, or the allowance is not part of it"
        }
        Outcome::TooEarly => "the draw time is not over",
        Outcome::TooLate => "the last time to redeem is over",
        Outcome::BadStream => "the stream steps do not lead to the cheque's anchor",
        Outcome::NothingSpent => "nothing was spent",
        Outcome::OverAllowance => "the cheque exceeds the allowance",
        Outcome::BadSignature => "the cheque is not signed by the deposit's signer",
        Outcome::SeedUnknown => {
            "the seed of the draw is not recorded, and the redemption comes without its proof"
        }
        Outcome::Loses => "the cheque does not win",
        Outcome::ConsentMissing => {
            "the payee has not agreed; send it as the payee or with a signed consent"
        }
        _ => "the bank gave an unknown reason",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use cheque_bindings::{IChequeBank, IDrandBank};

    fn text(error: &impl SolError) -> String {
        Revert(error.abi_encode().into()).to_string()
    }

    #[test]
    fn names_times_of_refused_draws() {
        let too_soon = IChequeBank::DrawTooSoon {
            drawTime: 1_800_000_000,
            earliest: alloy_primitives::U256::from(1_800_002_400),
        };
        assert_eq!(
            text(&too_soon),
            "the bank rejects the call: the draw time 1800000000 is too soon; choose 1800002400 or later"
        );
        let off = IDrandBank::DrawOffSchedule {
            drawTime: 1_800_000_001,
        };
        assert_eq!(
            text(&off),
            "the bank rejects the call: the beacon has no round at 1800000001; choose a time on its schedule"
        );
    }

    #[test]
    fn decodes_each_error_by_one_interface_only() {
        let every_bank = Revert(IChequeBank::ZeroLane {}.abi_encode().into());
        assert!(every_bank.bank_error().is_some() && every_bank.beacon_error().is_none());
        let drand_only = Revert(IDrandBank::NoPrecompiles {}.abi_encode().into());
        assert!(drand_only.bank_error().is_none() && drand_only.beacon_error().is_some());
        let foreign = Revert(vec![1, 2, 3, 4].into());
        assert!(foreign.bank_error().is_none() && foreign.beacon_error().is_none());
        assert_eq!(foreign.to_string(), "the call reverts (0x01020304)");
    }

    #[test]
    fn shows_reasons_of_other_contracts_without_control_characters() {
        let reason = alloy_sol_types::Revert::from("paused\u{1b}[2J\n");
        assert_eq!(text(&reason), "the call reverts (paused[2J)");
        let panic = alloy_sol_types::Panic::from(0x11_u64);
        assert!(text(&panic).contains("0x11"), "{}", text(&panic));
        let silent = Revert(Bytes::new()).to_string();
        assert_eq!(silent, "the call reverts (without a reason)");
    }
}
