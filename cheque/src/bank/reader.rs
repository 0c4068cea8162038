//! The reader of a bank and its chain.

use crate::{
    bank::error::BankError,
    bank::head::{Head, HeadMemory},
    protocol::{
        amount::Amount,
        chain_profile::ChainProfile,
        draw::{Seed, seed_from_header},
        terms::{Bank, Purse},
    },
};
use alloy::{
    consensus::BlockHeader,
    eips::{BlockId, BlockNumberOrTag},
    providers::{DynProvider, Provider},
    rpc::types::{Block, TransactionInput, TransactionRequest},
    transports::RpcError,
};
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_sol_types::SolCall;
use cheque_bindings::IChequeBank::{self, outcomeOfReturn, purseCall};
use cheque_bindings::Outcome;
use cheque_bindings::SeedSource;

/// A block that decides draws.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DrawBlock {
    /// The number.
    pub number: u64,
    /// The hash.
    pub hash: B256,
    /// The block's randomness.
    pub seed: Seed,
    /// The RLP header, which proves the seed. Empty for a `BlockHash` bank, which needs no proof.
    pub header: Bytes,
}

/// The key of a purse: account, token, lane.
pub type PurseKey = (Address, Address, u64);

/// Reads a bank through a provider. Cheap to clone.
///
/// Trusts the node, except for headers: those are checked against their hashes.
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
/// let purse = reader.purse((payer, native, lane), reader.confirmed(head.number)).await?;
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
    seed_source: SeedSource,
    memory: HeadMemory,
}

impl Reader {
    /// Opens the bank at the address `bank`. Checks that the node's chain is supported and that the contract is a bank of
    /// this version.
    ///
    /// # Errors
    ///
    /// [`BankError::UnsupportedChain`] without a profile of the chain, [`BankError::NoBank`] without a contract at the
    /// address, [`BankError::NotABank`] for another contract, and [`BankError::Node`] if the node fails.
    pub async fn open(provider: DynProvider, bank: Address) -> Result<Self, BankError> {
        let chain_id = provider.get_chain_id().await?;
        let profile = *ChainProfile::of(chain_id)?;
        if provider.get_code_at(bank).await?.is_empty() {
            return Err(BankError::NoBank { bank, chain_id });
        }
        let mut reader = Self {
            provider,
            bank: Bank::new(chain_id, bank),
            profile,
            min_lead: 0,
            seed_source: profile.seed_source,
            memory: HeadMemory::default(),
        };
        let latest = BlockId::latest();
        let domain = reader.call(&IChequeBank::eip712DomainCall {}, latest);
        let domain = domain.await.map_err(|error| match &error {
            // Other contracts may answer an unknown function with any refusal.
            BankError::Node(source) if !source.is_refusal() => error,
            _ => BankError::NotABank(bank),
        })?;
        let expected = reader.bank.domain();
        if expected.name.as_deref() != Some(domain.name.as_str())
            || expected.version.as_deref() != Some(domain.version.as_str())
            || domain.chainId != U256::from(chain_id)
            || domain.verifyingContract != bank
        {
            return Err(BankError::NotABank(bank));
        }
        reader.min_lead = reader.call(&IChequeBank::minLeadCall {}, latest).await?;
        reader.seed_source = reader.call(&IChequeBank::seedSourceCall {}, latest).await?;
        Ok(reader)
    }

    /// Replaces the chain's usual profile, for example to require more confirmations.
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

    /// Returns the bank's minimum number of blocks between opening a deposit and its draw.
    pub const fn min_lead(&self) -> u64 {
        self.min_lead
    }

    /// Returns the source of the bank's seeds.
    pub const fn seed_source(&self) -> SeedSource {
        self.seed_source
    }

    /// Returns the highest plausible head of this reader and its clones.
    pub(crate) const fn memory(&self) -> &HeadMemory {
        &self.memory
    }

    /// Reads the node's newest block. Does not check its plausibility; [`Reader::checked_head`] does.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails.
    pub async fn head(&self) -> Result<Head, BankError> {
        let block = self.block(BlockNumberOrTag::Latest).await?;
        let header = block.ok_or(RpcError::NullResp)?.header;
        Ok(Head {
            number: header.number(),
            time: header.timestamp(),
            hash: header.hash,
        })
    }

    /// Returns the newest confirmed block at `head`, by the profile's number of confirmations. The head itself has one.
    pub const fn confirmed(&self, head: u64) -> u64 {
        (head + 1).saturating_sub(self.profile.confirmations)
    }

    /// Reads a purse with lane >= 1 at the end of block `at`. Idle and empty if the bank was not yet deployed.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails or lacks the block, [`BankError::NotABank`] for a garbled answer.
    pub async fn purse(&self, purse: PurseKey, at: u64) -> Result<Purse, BankError> {
        let request = self.request(None, &purse_call(purse));
        let answer = self.provider.call(request).block(at.into()).await?;
        self.decode_purse(&answer)
    }

    /// Reads several purses, each at the end of its block, in batches of up to 100 requests.
    ///
    /// # Errors
    ///
    /// As for [`Reader::purse`].
    pub async fn purses(&self, asked: &[(PurseKey, u64)]) -> Result<Vec<Purse>, BankError> {
        let answers = self.purse_answers(asked).await?;
        let purses = answers.iter().map(|answer| self.decode_purse(answer));
        purses.collect()
    }

    /// Reads several purses like [`Reader::purses`], at blocks after the bank's deployment.
    ///
    /// # Errors
    ///
    /// As for [`Reader::purse`], and [`BankError::NoBank`] if the node has no bank at such a block.
    pub async fn purses_of_bank(&self, asked: &[(PurseKey, u64)]) -> Result<Vec<Purse>, BankError> {
        let answers = self.purse_answers(asked).await?;
        if answers.iter().any(|answer| answer.is_empty()) {
            return Err(BankError::NoBank {
                bank: self.bank.address(),
                chain_id: self.bank.chain_id(),
            });
        }
        let purses = answers.iter().map(|answer| self.decode_purse(answer));
        purses.collect()
    }

    async fn purse_answers(&self, asked: &[(PurseKey, u64)]) -> Result<Vec<Bytes>, BankError> {
        /// The maximum number of requests in a batch, since nodes limit its length.
        const MAX_BATCH: usize = 100;
        let mut all = Vec::with_capacity(asked.len());
        for asked in asked.chunks(MAX_BATCH) {
            let mut batch = alloy::rpc::client::BatchRequest::new(self.provider.client());
            let mut answers = Vec::with_capacity(asked.len());
            for (purse, at) in asked {
                let call = self.request(None, &purse_call(*purse));
                let params = (call, BlockId::from(*at));
                answers.push(batch.add_call::<_, Bytes>("eth_call", &params)?);
            }
            batch.send().await?;
            for answer in answers {
                all.push(answer.await?);
            }
        }
        Ok(all)
    }

    /// Reads an account's balance (lane 0) at the newest block, in token units.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails, [`BankError::NotABank`] for a garbled answer.
    pub async fn balance(&self, account: Address, token: Address) -> Result<U256, BankError> {
        let call = purse_call((account, token, 0));
        Ok(self.call(&call, BlockId::latest()).await?.idle)
    }

    /// Reads a block's seed from the bank, at the newest block. `None` if the seed is not recorded.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails, [`BankError::NotABank`] for a garbled answer.
    pub async fn recorded_seed(&self, block: u64) -> Result<Option<Seed>, BankError> {
        self.recorded_seed_at(block, BlockId::latest()).await
    }

    /// Reads a block's seed from the bank, at the end of block `at`. `None` if the seed was not recorded.
    pub(crate) async fn recorded_seed_at(
        &self,
        block: u64,
        at: BlockId,
    ) -> Result<Option<Seed>, BankError> {
        let call = IChequeBank::seedCall {
            blockNumber: U256::from(block),
        };
        let seed = self.call(&call, at).await?;
        Ok((!seed.is_zero()).then_some(Seed(seed)))
    }

    /// Reads a draw block with its seed and proof. `None` before the block exists.
    ///
    /// # Errors
    ///
    /// [`BankError::Node`] if the node fails, [`BankError::Header`] if its header does not hash to the block's hash.
    pub async fn draw_block(&self, number: u64) -> Result<Option<DrawBlock>, BankError> {
        let Some(block) = self.block(number.into()).await? else {
            return Ok(None);
        };
        let hash = block.header.hash;
        if self.seed_source == SeedSource::BlockHash {
            return Ok(Some(DrawBlock {
                number,
                hash,
                seed: Seed(hash),
                header: Bytes::new(),
            }));
        }
        let mut header = Bytes::from(alloy_rlp::encode(&block.header.inner));
        if alloy_primitives::keccak256(&header) != hash {
            // The header has fields unknown to this program. Some nodes return the original bytes.
            header = self.raw_header(number).await?;
        }
        let seed = seed_from_header(&header, hash);
        let seed = seed.map_err(|source| BankError::Header {
            block: number,
            source,
        })?;
        Ok(Some(DrawBlock {
            number,
            hash,
            seed,
            header,
        }))
    }

    /// Simulates a packed redemption sent by `caller`, at the end of block `at`.
    ///
    /// `at` must not be the pending block, in which an own pending redemption has already closed the deposit.
    pub(crate) async fn outcome_of(
        &self,
        packed: Bytes,
        caller: Address,
        at: BlockId,
    ) -> Result<(Outcome, Amount), BankError> {
        let call = IChequeBank::outcomeOfCall { redemption: packed };
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

    fn request(&self, from: Option<Address>, call: &impl SolCall) -> TransactionRequest {
        TransactionRequest {
            from,
            to: Some(self.bank.address().into()),
            input: TransactionInput::both(call.abi_encode().into()),
            ..TransactionRequest::default()
        }
    }

    fn decode_purse(&self, answer: &[u8]) -> Result<Purse, BankError> {
        if answer.is_empty() {
            // Before its deployment the bank held nothing.
            return Ok(Purse::Idle(Amount::ZERO));
        }
        let answer = self.decode::<purseCall>(answer)?;
        Ok(Purse::from_word(if answer.openDepositId.is_zero() {
            answer.idle
        } else {
            answer.openDepositId.into()
        }))
    }

    fn decode<C: SolCall>(&self, answer: &[u8]) -> Result<C::Return, BankError> {
        C::abi_decode_returns(answer).map_err(|_| BankError::NotABank(self.bank.address()))
    }

    async fn block(&self, number: BlockNumberOrTag) -> Result<Option<Block>, BankError> {
        Ok(self.provider.get_block_by_number(number).await?)
    }

    async fn raw_header(&self, number: u64) -> Result<Bytes, BankError> {
        let params = (BlockNumberOrTag::from(number),);
        let method = "debug_getRawHeader";
        Ok(self.provider.raw_request(method.into(), params).await?)
    }
}

const fn purse_call((account, token, lane): PurseKey) -> purseCall {
    purseCall {
        account,
        token,
        lane,
    }
}
