//! The reader of a bank and its chain.

use crate::{
    bank::{ends::Searches, error::BankError, followed::Followed, head::Head},
    node::error::NodeError,
    protocol::{
        amount::Amount, beacon::Beacon, chain_profile::ChainProfile, draw::Seed, terms::Bank,
    },
    tx::gas::NewSlotPrice,
};
use alloy::{
    eips::{BlockId, BlockNumberOrTag},
    providers::{DynProvider, Provider},
    rpc::types::{TransactionInput, TransactionRequest},
    transports::RpcError,
};
use alloy_primitives::{Address, Bytes, U256};
use alloy_sol_types::SolCall;
use cheque_bindings::{
    BeaconParameters,
    IChequeBank::{self, outcomeOfReturn},
    IDrandBank, Outcome,
};

/// Reads a bank through a provider. Cheap to clone.
///
/// Trusts the node, except for seeds that a round proves: everybody can verify those.
///
/// # Example
///
/// ```no_run
/// use alloy_primitives::Address;
/// use cheque::{Purse, bank::Reader, node::connect};
///
/// # async fn show(bank: Address, payer: Address) -> Result<(), Box<dyn std::error::Error>> {
/// let reader = Reader::open(connect("http://127.0.0.1:8545").await?, bank).await?;
/// let head = reader.checked_head().await?;
///
/// let native = Address::ZERO;
/// let lane = 1;
/// let purse = reader.purse((payer, native, lane), reader.confirmed(&head).await?).await?;
/// match purse {
///     Purse::Idle(amount) => println!("{amount} units are idle"),
///     Purse::Open(id) => println!("deposit {id} is open"),
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Reader {
    provider: DynProvider,
    bank: Bank,
    profile: ChainProfile,
    min_lead: u64,
    beacon: Beacon,
    followed: Followed,
    new_slot: NewSlotPrice,
    searches: Searches,
}

impl Reader {
    /// Opens the bank at the address `bank`. Checks that the node's chain is listed and that the contract is a bank of this
    /// version.
    ///
    /// # Errors
    ///
    /// [`BankError::UnlistedChain`] without a profile of the chain, [`BankError::NoBank`] without a contract at the
    /// address, [`BankError::NotABank`] for another contract, and [`BankError::Node`] if the node fails.
    pub async fn open(provider: DynProvider, bank: Address) -> Result<Self, BankError> {
        let profile = *ChainProfile::of(provider.get_chain_id().await?)?;
        Self::open_with(provider, bank, profile).await
    }

    /// Opens the bank at the address `bank` of the chain that `profile` describes, listed or not. Else like
    /// [`Reader::open`].
    ///
    /// # Errors
    ///
    /// [`BankError::WrongChain`] if the profile is another chain's; else as for [`Reader::open`].
    pub async fn open_with(
        provider: DynProvider,
        bank: Address,
        profile: ChainProfile,
    ) -> Result<Self, BankError> {
        let chain_id = provider.get_chain_id().await?;
        if chain_id != profile.chain_id {
            return Err(BankError::WrongChain {
                expected: profile.chain_id,
                found: chain_id,
            });
        }
        if provider.get_code_at(bank).await?.is_empty() {
            return Err(BankError::NoBank { bank, chain_id });
        }
        let contract = Contract {
            provider: &provider,
            address: bank,
        };
        let terms = Bank::new(chain_id, bank);
        contract.check_domain(&terms).await?;
        let min_lead = contract.property(&IChequeBank::minLeadCall {});
        let (min_lead, beacon) = tokio::try_join!(min_lead, contract.beacon())?;
        Ok(Self {
            provider,
            bank: terms,
            profile,
            min_lead,
            beacon,
            followed: Followed::default(),
            new_slot: NewSlotPrice::default(),
            searches: Searches::default(),
        })
    }

    /// Makes a reader of a fake chain, without a bank.
    #[cfg(test)]
    pub(super) fn of_fake_chain(provider: DynProvider, profile: ChainProfile) -> Self {
        Self {
            provider,
            bank: Bank::new(profile.chain_id, Address::repeat_byte(0xba)),
            profile,
            min_lead: 0,
            beacon: Beacon::quicknet(),
            followed: Followed::default(),
            new_slot: NewSlotPrice::default(),
            searches: Searches::default(),
        }
    }

    /// Replaces the chain's usual profile, for example to require older blocks.
    #[must_use]
    pub fn with_profile(mut self, profile: ChainProfile) -> Self {
        self.profile = profile;
        self
    }

    /// Returns the provider.
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// Returns the bank.
    pub const fn bank(&self) -> &Bank {
        &self.bank
    }

    /// Returns the chain's profile.
    pub const fn profile(&self) -> &ChainProfile {
        &self.profile
    }

    /// Returns the bank's least time between opening a deposit and its draw, in seconds.
    pub const fn min_lead(&self) -> u64 {
        self.min_lead
    }

    /// Returns the beacon of the bank's draws.
    pub const fn beacon(&self) -> &Beacon {
        &self.beacon
    }

    /// Returns the heads that this reader and its clones have followed.
    pub(super) const fn followed(&self) -> &Followed {
        &self.followed
    }

    /// Returns the searches that this reader and its clones have made.
    pub(super) const fn searches(&self) -> &Searches {
        &self.searches
    }

    /// Returns the price of a new storage slot, shared by the clones of this reader.
    pub(super) const fn new_slot(&self) -> &NewSlotPrice {
        &self.new_slot
    }

    /// Reads the node's newest block. Does not check it; [`Reader::checked_head`] does.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails.
    pub async fn head(&self) -> Result<Head, BankError> {
        let head = self.block(BlockNumberOrTag::Latest).await?;
        Ok(head.ok_or(RpcError::NullResp)?)
    }

    /// Reads the seed of a draw time from the bank, at the newest block. `None` if the seed is not recorded.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails, [`BankError::NotABank`] for a garbled answer.
    pub async fn recorded_seed(&self, draw_time: u64) -> Result<Option<Seed>, BankError> {
        self.recorded_seed_at(draw_time, BlockId::latest()).await
    }

    /// Reads the seed of a draw time from the bank, at the end of block `at`. `None` if the seed was not recorded.
    pub(crate) async fn recorded_seed_at(
        &self,
        draw_time: u64,
        at: BlockId,
    ) -> Result<Option<Seed>, BankError> {
        let call = IChequeBank::seedCall {
            drawTime: draw_time,
        };
        let seed = self.call(&call, at).await?;
        Ok((!seed.is_zero()).then_some(Seed(seed)))
    }

    /// Simulates a packed redemption with the proof of its seed, sent by `caller`, at the end of block `at`.
    ///
    /// `at` must not be the pending block, in which an own pending redemption has already closed the deposit.
    pub(crate) async fn outcome_of(
        &self,
        packed: Bytes,
        proof: Bytes,
        caller: Address,
        at: BlockId,
    ) -> Result<(Outcome, Amount), BankError> {
        let call = IChequeBank::outcomeOfCall {
            redemption: packed,
            proof,
        };
        let request = self.request(Some(caller), &call);
        let answer = self.provider.call(request).block(at).await?;
        let outcomeOfReturn { outcome, payout } =
            self.decode::<IChequeBank::outcomeOfCall>(&answer)?;
        Ok((outcome, Amount::new(payout)))
    }

    /// Calls a view of the bank at the end of block `at`.
    pub(crate) async fn call<C: SolCall>(
        &self,
        call: &C,
        at: BlockId,
    ) -> Result<C::Return, BankError> {
        let request = self.request(None, call);
        let answer = self.provider.call(request).block(at).await?;
        self.decode::<C>(&answer)
    }

    pub(super) fn request(&self, from: Option<Address>, call: &impl SolCall) -> TransactionRequest {
        request(self.bank.address(), from, call)
    }

    pub(super) fn decode<C: SolCall>(&self, answer: &[u8]) -> Result<C::Return, BankError> {
        C::abi_decode_returns(answer).map_err(|_| BankError::NotABank(self.bank.address()))
    }
}

/// A contract that may be a bank.
struct Contract<'a> {
    provider: &'a DynProvider,
    address: Address,
}

impl Contract<'_> {
    /// Fails unless the contract signs like a bank of this version.
    async fn check_domain(&self, bank: &Bank) -> Result<(), BankError> {
        let domain = self.property(&IChequeBank::eip712DomainCall {}).await?;
        let expected = bank.domain();
        if expected.name.as_deref() != Some(domain.name.as_str())
            || expected.version.as_deref() != Some(domain.version.as_str())
            || domain.chainId != U256::from(bank.chain_id())
            || domain.verifyingContract != self.address
        {
            return Err(BankError::NotABank(self.address));
        }
        Ok(())
    }

    /// Reads the bank's beacon.
    async fn beacon(&self) -> Result<Beacon, BankError> {
        let (key, genesis, period) = tokio::try_join!(
            self.property(&IDrandBank::publicKeyCall {}),
            self.property(&IDrandBank::genesisCall {}),
            self.property(&IDrandBank::periodCall {}),
        )?;
        let no_bank = || BankError::NotABank(self.address);
        let parameters = BeaconParameters {
            public_key: key[..].try_into().map_err(|_| no_bank())?,
            genesis,
            period,
        };
        Beacon::try_from(&parameters).map_err(|_| no_bank())
    }

    /// Reads a property that never changes.
    async fn property<C: SolCall>(&self, call: &C) -> Result<C::Return, BankError> {
        let request = request(self.address, None, call);
        let answer = self.provider.call(request).block(BlockId::latest()).await;
        let answer = answer
            .map_err(BankError::from)
            .map_err(|error| match &error {
                // Other contracts may answer an unknown function with any refusal.
                BankError::Node(NodeError::Reverted(_)) => BankError::NotABank(self.address),
                BankError::Node(NodeError::Rpc(source)) if source.is_error_resp() => {
                    BankError::NotABank(self.address)
                }
                _ => error,
            })?;
        C::abi_decode_returns(&answer).map_err(|_| BankError::NotABank(self.address))
    }
}

fn request(to: Address, from: Option<Address>, call: &impl SolCall) -> TransactionRequest {
    TransactionRequest {
        from,
        to: Some(to.into()),
        input: TransactionInput::new(call.abi_encode().into()),
        ..TransactionRequest::default()
    }
}
