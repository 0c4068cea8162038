//! A chain with a bank, in an EVM of this process.

#![allow(
    dead_code,
    unused_imports,
    reason = "every test uses its own part of this"
)]

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, bytes, keccak256};
use alloy_sol_types::{SolCall, SolInterface};
use cheque::{Bank, BankSnapshot, Deposit, HISTORY_WINDOW, Outcome, Seed, SeedSource};
use cheque_bindings::{IChequeBank, creation_code};
use revm::{
    Context, ExecuteCommitEvm, ExecuteEvm, MainBuilder, MainContext, MainnetEvm,
    SystemCallCommitEvm,
    context::{ContextTr, JournalTr, TxEnv, result::ExecutionResult},
    database::{CacheDB, EmptyDB},
    handler::MainnetContext,
    state::{AccountInfo, Bytecode},
};
use std::collections::HashMap;

pub(crate) use cheque_bindings::IChequeBank::{
    IChequeBankErrors as Revert, openCall, outcomeOfCall, purseCall, reclaimCall, recordSeedCall,
    redeemBatchCall, redeemCall, rollOfCall, seedCall,
};

const CHAIN_ID: u64 = 560_048;
const FIRST_BLOCK: u64 = 3_000_000;

/// EIP-2935: its address and its code.
const HISTORY: Address = address!("0000F90827F1C53a10cb7A02335B175320002935");
const HISTORY_CODE: Bytes = bytes!(
    "3373fffffffffffffffffffffffffffffffffffffffe14604657602036036042575f35600143038111604257611fff81430311604257611fff9006545f5260205ff35b5f5ffd5b5f35611fff60014303065500"
);

type Db = CacheDB<EmptyDB>;

/// A chain with a bank. Gas is free, and every account can send any amount of native coin.
pub(crate) struct Evm {
    evm: MainnetEvm<MainnetContext<Db>>,
    pub(crate) bank: Bank,
    pub(crate) source: SeedSource,
    /// Gas used by the last call.
    pub(crate) gas_used: u64,
    /// Hashes of earlier blocks, as far back as the chain remembers.
    hashes: HashMap<u64, B256>,
}

impl Evm {
    pub(crate) fn new(source: SeedSource, min_lead: u64) -> Self {
        let mut context = Context::mainnet().with_db(Db::default());
        context.cfg.chain_id = CHAIN_ID;
        context.cfg.disable_nonce_check = true;
        context.cfg.disable_balance_check = true;
        context.cfg.disable_base_fee = true;
        context.block.number = U256::from(FIRST_BLOCK);
        context.block.prevrandao = Some(B256::repeat_byte(0xab));
        let history = AccountInfo::default().with_code(Bytecode::new_raw(HISTORY_CODE));
        let database = &mut context.journaled_state.database;
        database.insert_account_info(HISTORY, history);
        let mut evm = context.build_mainnet();
        let create = TxEnv {
            kind: TxKind::Create,
            data: creation_code(min_lead, source),
            gas_limit: 16_000_000,
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        };
        let created = evm.transact_commit(create).expect("a valid transaction");
        let bank = created.created_address().expect("the bank is deployed");
        Self {
            evm,
            bank: Bank::new(CHAIN_ID, bank),
            source,
            gas_used: 0,
            hashes: HashMap::new(),
        }
    }

    /// Returns the number of the block under construction, which includes every transaction sent now.
    pub(crate) fn block(&self) -> u64 {
        self.evm.ctx.block.number.to()
    }

    /// Ends the current block and gives it this hash.
    pub(crate) fn mine(&mut self, hash: B256) {
        let number = self.block();
        self.know(number, hash);
        self.evm.ctx.block.number += U256::from(1);
        let stored = self
            .evm
            .system_call_commit(HISTORY, hash.0.into())
            .expect("a system call");
        assert!(stored.is_success());
    }

    /// Mines blocks with arbitrary hashes until `block` is the current block.
    pub(crate) fn mine_to(&mut self, block: u64) {
        assert!(
            block >= self.block(),
            "a block before the current block cannot be mined"
        );
        while self.block() < block {
            self.mine(keccak256(self.block().to_be_bytes()));
        }
    }

    /// Replaces the hash of an older block, as in a reorg.
    pub(crate) fn replace_block(&mut self, number: u64, hash: B256) {
        assert!(number < self.block() && self.block() - number <= HISTORY_WINDOW);
        self.know(number, hash);
        let slot = U256::from(number % HISTORY_WINDOW);
        let database = &mut self.evm.ctx.journaled_state.database;
        let word = U256::from_be_bytes(hash.0);
        let Ok(()) = database.insert_account_storage(HISTORY, slot, word);
    }

    fn know(&mut self, number: u64, hash: B256) {
        self.hashes.insert(number, hash);
        let database = &mut self.evm.ctx.journaled_state.database;
        let known = &mut database.cache.block_hashes;
        known.insert(U256::from(number), hash);
        // Hashes beyond the chain's memory are dropped.
        if let Some(forgotten) = number.checked_sub(HISTORY_WINDOW) {
            self.hashes.remove(&forgotten);
            known.remove(&U256::from(forgotten));
        }
    }

    /// Returns the hash of a block among the last 8191.
    pub(crate) fn known_hash(&self, number: u64) -> Option<B256> {
        let age = self.block().checked_sub(number)?;
        if age == 0 || age > HISTORY_WINDOW {
            return None;
        }
        self.hashes.get(&number).copied()
    }

    /// Calls the bank. The changes stay pending until [`Evm::keep`] or [`Evm::forget`].
    pub(crate) fn attempt<C: SolCall>(
        &mut self,
        from: Address,
        value: u128,
        call: &C,
    ) -> Result<C::Return, Revert> {
        let transaction = TxEnv {
            caller: from,
            kind: TxKind::Call(self.bank.address()),
            value: U256::from(value),
            data: call.abi_encode().into(),
            gas_limit: 16_000_000,
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
            ExecutionResult::Revert { output, .. } => {
                Err(Revert::abi_decode_validate(&output).expect("an error of the interface"))
            }
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

    /// Returns the bank's state as a snapshot for the core.
    pub(crate) fn state(&mut self, deposit: &Deposit, caller: Address) -> BankSnapshot {
        let draw_block = deposit.drawBlock;
        let seed = self.view(
            caller,
            &seedCall {
                blockNumber: U256::from(draw_block),
            },
        );
        BankSnapshot {
            bank: self.bank,
            seed_source: self.source,
            block: self.block(),
            purse: self.purse(deposit),
            recorded_seed: (!seed.is_zero()).then_some(Seed(seed)),
            draw_block_hash: self.known_hash(draw_block),
            caller,
        }
    }

    /// Returns the contract's outcome and payout for packed bytes.
    pub(crate) fn outcome_of(&mut self, packed: &Bytes, caller: Address) -> (Outcome, u128) {
        let redemption = packed.clone();
        let answer = self.view(caller, &outcomeOfCall { redemption });
        (answer.outcome, answer.payout)
    }
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
