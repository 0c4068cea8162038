//! A chain with a bank, in an EVM of this process.

#![allow(
    dead_code,
    unused_imports,
    reason = "every test uses its own part of this"
)]

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, keccak256};
use alloy_sol_types::{SolCall, SolInterface, SolValue};
use cheque::{
    Bank, BankSnapshot, Beacon, BeaconRound, Deposit, LocalBeacon, Outcome, Seed, draw_time_from,
};
use cheque_bindings::{IChequeBank, IDrandBankErrors, creation_code};
use revm::{
    Context, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext, MainnetEvm,
    context::{ContextTr, JournalTr, TxEnv, result::ExecutionResult},
    database::{CacheDB, EmptyDB},
    handler::{EthPrecompiles, MainnetContext},
    precompile::Precompiles,
    primitives::hardfork::SpecId,
};

pub(crate) use cheque_bindings::IChequeBank::{
    IChequeBankErrors as Revert, openCall, outcomeOfCall, purseCall, reclaimCall, recordSeedCall,
    redeemBatchCall, redeemCall, rollOfCall, seedCall,
};

const CHAIN_ID: u64 = 560_048;
const FIRST_BLOCK: u64 = 3_000_000;

/// The time of the first block, on the beacon's schedule.
pub(crate) const START: u64 = 1_800_000_000;

/// The time of the beacon's first round, and the time between its rounds, in seconds.
pub(crate) const GENESIS: u64 = 1_500_000_000;
pub(crate) const PERIOD: u64 = 3;

/// More than any call here uses, below the limit of EIP-7825.
const GAS_LIMIT: u64 = 16_000_000;

/// The slot of the mapping `seed` in the bank's storage.
const SEEDS: U256 = U256::ZERO;

type Db = CacheDB<EmptyDB>;

/// Makes the beacon of the tests, whose secret key is known.
pub(crate) fn local_beacon() -> LocalBeacon {
    LocalBeacon::new(&[5; 32], GENESIS, PERIOD).unwrap()
}

/// A chain with a bank. Gas is free, and every account can send any amount of native coin.
pub(crate) struct Evm {
    evm: MainnetEvm<MainnetContext<Db>>,
    pub(crate) bank: Bank,
    /// The beacon of the bank's draws.
    pub(crate) beacon: Beacon,
    local: LocalBeacon,
    /// Gas used by the last call.
    pub(crate) gas_used: u64,
}

impl Evm {
    /// A bank with the tests' own beacon, and a least lead in seconds.
    pub(crate) fn new(min_lead: u64) -> Self {
        Self::drawing_from(local_beacon().beacon().clone(), min_lead)
    }

    /// A bank with this beacon.
    pub(crate) fn drawing_from(beacon: Beacon, min_lead: u64) -> Self {
        let precompiles = EthPrecompiles::new(SpecId::OSAKA);
        Self::at_level(SpecId::OSAKA, precompiles, beacon, min_lead)
    }

    /// A bank with this beacon, on a chain at the level of Cancun that has the precompiles of EIP-2537 before their time.
    pub(crate) fn at_cancun_with_eip_2537(beacon: Beacon, min_lead: u64) -> Self {
        let precompiles = EthPrecompiles {
            precompiles: Precompiles::prague(),
            spec: SpecId::CANCUN,
        };
        Self::at_level(SpecId::CANCUN, precompiles, beacon, min_lead)
    }

    fn at_level(level: SpecId, precompiles: EthPrecompiles, beacon: Beacon, min_lead: u64) -> Self {
        let mut context = Context::mainnet().with_db(Db::default());
        context.cfg.set_spec_and_mainnet_gas_params(level);
        context.cfg.chain_id = CHAIN_ID;
        context.cfg.disable_nonce_check = true;
        context.cfg.disable_balance_check = true;
        context.cfg.disable_base_fee = true;
        context.block.number = U256::from(FIRST_BLOCK);
        context.block.timestamp = U256::from(START);
        context.block.prevrandao = Some(B256::repeat_byte(0xab));
        let mut evm = context.build_mainnet();
        evm.precompiles = precompiles;
        let create = TxEnv {
            kind: TxKind::Create,
            data: creation_code(min_lead, &beacon.parameters()),
            gas_limit: GAS_LIMIT,
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        };
        let created = evm.transact_commit(create).expect("a valid transaction");
        let bank = created.created_address().expect("the bank is deployed");
        Self {
            evm,
            bank: Bank::new(CHAIN_ID, bank),
            beacon,
            local: local_beacon(),
            gas_used: 0,
        }
    }

    /// Runs creation code. True if it ends in order.
    pub(crate) fn runs(&mut self, code: &[u8]) -> bool {
        let create = TxEnv {
            kind: TxKind::Create,
            data: Bytes::copy_from_slice(code),
            gas_limit: GAS_LIMIT,
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        };
        let created = self.evm.transact_one(create).expect("a valid transaction");
        self.forget();
        created.is_success()
    }

    /// Returns the time of the block under construction, which includes every transaction sent now.
    pub(crate) fn time(&self) -> u64 {
        self.evm.ctx.block.timestamp.to()
    }

    /// Ends the current block. The next has this time.
    pub(crate) fn mine_at(&mut self, time: u64) {
        assert!(time >= self.time(), "time goes forward");
        self.evm.ctx.block.number += U256::from(1);
        self.evm.ctx.block.timestamp = U256::from(time);
    }

    /// Returns the first time on the beacon's schedule that is `seconds` from now or later.
    pub(crate) fn draw_in(&self, seconds: u64) -> u64 {
        let earliest = self.time() + seconds;
        draw_time_from(earliest, 1, self.beacon.genesis(), self.beacon.period()).unwrap()
    }

    /// Returns the round of a draw time, which may be in the future.
    pub(crate) fn round(&self, draw_time: u64) -> BeaconRound {
        let round = self.beacon.round_at(draw_time).unwrap();
        self.local.round(round).unwrap()
    }

    /// Returns the proof of the seed of a draw time.
    pub(crate) fn proof(&self, draw_time: u64) -> Bytes {
        Bytes::copy_from_slice(self.round(draw_time).proof().as_bytes())
    }

    /// Writes a seed into the bank's storage as if it was recorded: no other way gives a draw time another seed. Zero
    /// forgets it.
    pub(crate) fn record(&mut self, draw_time: u64, seed: B256) {
        let slot = keccak256((U256::from(draw_time), SEEDS).abi_encode());
        let database = &mut self.evm.ctx.journaled_state.database;
        let word = U256::from_be_bytes(seed.0);
        let Ok(()) = database.insert_account_storage(self.bank.address(), slot.into(), word);
        assert_eq!(self.recorded(draw_time), seed);
    }

    /// Returns the recorded seed, zero if none is.
    pub(crate) fn recorded(&mut self, draw_time: u64) -> B256 {
        let call = seedCall {
            drawTime: draw_time,
        };
        self.view(Address::ZERO, &call)
    }

    /// Calls the bank. The changes stay pending until [`Evm::keep`] or [`Evm::forget`].
    pub(crate) fn attempt<C: SolCall>(
        &mut self,
        from: Address,
        value: u128,
        call: &C,
    ) -> Result<C::Return, Revert> {
        let result = self.transact(from, value, call);
        result.map_err(|output| Revert::abi_decode_validate(&output).expect("an error of the bank"))
    }

    /// Sends a call that the bank refuses because of its beacon, and discards pending changes.
    pub(crate) fn refused_by_beacon<C: SolCall>(
        &mut self,
        from: Address,
        value: u128,
        call: &C,
    ) -> IDrandBankErrors {
        let result = self.transact(from, value, call);
        self.forget();
        let output = result.err().expect("a refusal");
        IDrandBankErrors::abi_decode_validate(&output).expect("an error of the beacon")
    }

    fn transact<C: SolCall>(
        &mut self,
        from: Address,
        value: u128,
        call: &C,
    ) -> Result<C::Return, Bytes> {
        let transaction = TxEnv {
            caller: from,
            kind: TxKind::Call(self.bank.address()),
            value: U256::from(value),
            data: call.abi_encode().into(),
            gas_limit: GAS_LIMIT,
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        };
        let result = self.evm.transact_one(transaction);
        let result = result.expect("a valid transaction");
        self.gas_used = result.tx_gas_used();
        match result {
            ExecutionResult::Success { output, .. } => {
                let answer = C::abi_decode_returns_validate(output.data());
                Ok(answer.expect("the answer has the interface's types"))
            }
            ExecutionResult::Revert { output, .. } => Err(output),
            ExecutionResult::Halt { reason, .. } => panic!("halted: {reason:?}"),
        }
    }

    /// Commits the pending changes.
    pub(crate) fn keep(&mut self) {
        self.evm.commit_inner();
    }

    /// Discards the pending changes.
    pub(crate) fn forget(&mut self) {
        self.evm.finalize();
    }

    /// Sends a transaction to the bank and commits its changes.
    pub(crate) fn send<C: SolCall>(
        &mut self,
        from: Address,
        value: u128,
        call: &C,
    ) -> Result<C::Return, Revert> {
        let result = self.attempt(from, value, call);
        self.keep();
        result
    }

    /// Reads from the bank, and discards pending changes.
    pub(crate) fn view<C: SolCall>(&mut self, from: Address, call: &C) -> C::Return {
        let result = self.attempt(from, 0, call);
        self.forget();
        result.expect("a view does not revert")
    }

    /// Returns the native coin of an account outside the bank.
    pub(crate) fn coins(&mut self, account: Address) -> U256 {
        let journal = self.evm.ctx.journal_mut();
        let loaded = journal
            .load_account(account)
            .expect("an account of the database in memory");
        loaded.data.info.balance
    }

    /// Opens a deposit of native coin and sends its amount with the call.
    pub(crate) fn open(&mut self, deposit: &Deposit) -> B256 {
        let call = openCall {
            deposit: deposit.clone(),
        };
        self.send(deposit.payer, deposit.amount, &call)
            .expect("a deposit with good terms opens")
    }

    /// Returns the word of a purse: idle money or the id of an open deposit.
    pub(crate) fn purse(&mut self, deposit: &Deposit) -> U256 {
        let word = self.attempt(Address::ZERO, 0, &purse_of(deposit));
        self.forget();
        purse_word(word.expect("a view does not revert"))
    }

    /// Returns the bank's state as a snapshot for the core. The seed is the recorded one, or else what the core reads in
    /// the proof.
    pub(crate) fn state(
        &mut self,
        deposit: &Deposit,
        caller: Address,
        proof: &Bytes,
    ) -> BankSnapshot {
        let draw_time = deposit.drawTime;
        let recorded = self.recorded(draw_time);
        let seed = if recorded.is_zero() {
            shown(&self.beacon, draw_time, proof)
        } else {
            Some(Seed(recorded))
        };
        BankSnapshot {
            bank: self.bank,
            time: self.time(),
            purse: self.purse(deposit),
            seed,
            caller,
        }
    }

    /// Returns the contract's outcome and payout for packed bytes, or its revert.
    pub(crate) fn outcome_of(
        &mut self,
        packed: &Bytes,
        proof: &Bytes,
        caller: Address,
    ) -> Result<(Outcome, u128), Revert> {
        let (redemption, proof) = (packed.clone(), proof.clone());
        let answer = self.attempt(caller, 0, &outcomeOfCall { redemption, proof });
        self.forget();
        answer.map(|answer| (answer.outcome, answer.payout))
    }
}

/// (p - 1) / 2, the largest y of a compressed point without the sign bit.
const HALF: [u8; 48] = alloy_primitives::hex!(
    "0d0088f51cbff34d258dd3db21a5d66bb23ba5c279c2895fb39869507b587b120f55ffff58a9ffffdcff7fffffffd555"
);

/// Returns the seed that the core reads in a proof in the form of the bank. `None` if the proof shows none.
pub(crate) fn shown(beacon: &Beacon, draw_time: u64, proof: &[u8]) -> Option<Seed> {
    let round = beacon.round_at(draw_time).ok()?;
    let bytes: &[u8; 96] = proof.try_into().ok()?;
    let (mut compressed, y) = (bytes[..48].to_vec(), &bytes[48..]);
    compressed[0] |= if y > &HALF[..] { 0xa0 } else { 0x80 };
    let round = beacon.verify(round, &compressed).ok()?;
    // The compressed form has one bit of y, and the proof has to have all others right, too.
    (round.proof().as_bytes() == bytes).then(|| round.seed())
}

pub(crate) fn purse_of(deposit: &Deposit) -> purseCall {
    purseCall {
        account: deposit.payer,
        token: deposit.token,
        lane: deposit.lane,
    }
}

pub(crate) fn purse_word(purse: IChequeBank::purseReturn) -> U256 {
    if purse.openDepositId.is_zero() {
        purse.idle
    } else {
        purse.openDepositId.into()
    }
}
