//! Reading a bank and its chain.

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
pub struct DrawBlock {
    /// Its number.
    pub number: u64,
    /// Its hash.
    pub hash: B256,
    /// Its randomness.
    pub seed: Seed,
    /// Its RLP header, the proof of the seed. Empty in a `BlockHash` bank, which needs none.
    pub header: Bytes,
}

/// Names a purse: account, token, lane.
pub type PurseKey = (Address, Address, u64);

/// Reads one bank through one node. Cheap to clone. It believes the node, except for headers, which it checks against
/// their hashes.
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
    /// Checks that the node's chain is supported and that there is a bank of this version at `bank`.
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
            // What other contracts answer to a function they do not have is up to them.
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

    /// The same reader with other margins than its chain's usual ones, such as more confirmations.
    pub fn with_profile(mut self, profile: ChainProfile) -> Self {
        self.profile = profile;
        self
    }

    /// The connection.
    pub const fn provider(&self) -> &DynProvider {
        &self.provider
    }

    /// The bank.
    pub const fn bank(&self) -> &Bank {
        &self.bank
    }

    /// The chain's profile.
    pub const fn profile(&self) -> &ChainProfile {
        &self.profile
    }

    /// The least number of blocks between opening a deposit and its draw.
    pub const fn min_lead(&self) -> u64 {
        self.min_lead
    }

    /// Where the bank takes its seeds from.
    pub const fn seed_source(&self) -> SeedSource {
        self.seed_source
    }

    /// What this reader and its clones have seen.
    pub(crate) const fn memory(&self) -> &HeadMemory {
        &self.memory
    }

    /// The newest block, as the node says. [`Reader::checked_head`] asks whether that can be true.
    pub async fn head(&self) -> Result<Head, BankError> {
        let block = self.block(BlockNumberOrTag::Latest).await?;
        let header = block.ok_or(RpcError::NullResp)?.header;
        Ok(Head {
            number: header.number(),
            time: header.timestamp(),
            hash: header.hash,
        })
    }

    /// The block that is as deep below `head` as a deposit has to be to count.
    pub const fn confirmed(&self, head: u64) -> u64 {
        (head + 1).saturating_sub(self.profile.confirmations)
    }

    /// What a purse with lane >= 1 held at the end of block `at`.
    pub async fn purse(&self, purse: PurseKey, at: u64) -> Result<Purse, BankError> {
        let request = self.request(None, &purse_call(purse));
        let answer = self.provider.call(request).block(at.into()).await?;
        self.decode_purse(&answer)
    }

    /// What several purses held at the end of several blocks, in one request.
    pub async fn purses(&self, asked: &[(PurseKey, u64)]) -> Result<Vec<Purse>, BankError> {
        let answers = self.purse_answers(asked).await?;
        let purses = answers.iter().map(|answer| self.decode_purse(answer));
        purses.collect()
    }

    /// The same as of blocks at which the bank was there: that the node has no bank then is an error, and not an idle
    /// purse.
    pub(crate) async fn purses_of_bank(
        &self,
        asked: &[(PurseKey, u64)],
    ) -> Result<Vec<Purse>, BankError> {
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
        /// Nodes bound the length of a batch.
        const MOST: usize = 100;
        let mut all = Vec::with_capacity(asked.len());
        for asked in asked.chunks(MOST) {
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

    /// The balance (lane 0) of an account, now.
    pub async fn balance(&self, account: Address, token: Address) -> Result<U256, BankError> {
        let call = purse_call((account, token, 0));
        Ok(self.call(&call, BlockId::latest()).await?.idle)
    }

    /// The recorded seed of a block.
    pub async fn recorded_seed(&self, block: u64) -> Result<Option<Seed>, BankError> {
        self.seed_as_of(block, BlockId::latest()).await
    }

    /// The same at the end of block `at`.
    #[cfg(feature = "service")]
    pub(crate) async fn recorded_seed_at(
        &self,
        block: u64,
        at: u64,
    ) -> Result<Option<Seed>, BankError> {
        self.seed_as_of(block, at.into()).await
    }

    async fn seed_as_of(&self, block: u64, at: BlockId) -> Result<Option<Seed>, BankError> {
        let call = IChequeBank::seedCall {
            blockNumber: U256::from(block),
        };
        let seed = self.call(&call, at).await?;
        Ok((!seed.is_zero()).then_some(Seed(seed)))
    }

    /// The block with its seed and the proof of it, or `None` if there is no such block yet.
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
            // A header with fields that this program does not know; some nodes hand out the original.
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

    /// What the bank says about a packed redemption that `caller` would send, as of the end of block `at`. Not the pending
    /// one, in which a redemption of ours that waits to be mined has closed the deposit.
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
            // As of a block before the bank was deployed, nothing was in it.
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
