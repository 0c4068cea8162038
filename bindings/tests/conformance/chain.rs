//! A chain in this process: revm over an empty state.

use alloy_primitives::{Address, Bytes, Log, TxKind, U256, hex};
use alloy_sol_types::SolCall;
use cheque_bindings::{BeaconParameters, CREATE2_DEPLOYER, create2_address, create2_input};
use revm::context::result::ExecutionResult;
use revm::context::{ContextTr, TxEnv};
use revm::database::{CacheDB, EmptyDB};
use revm::handler::MainnetContext;
use revm::interpreter::{CallInputs, CallOutcome};
use revm::state::{AccountInfo, Bytecode};
use revm::{Context, InspectCommitEvm, Inspector, MainBuilder, MainContext, MainnetEvm};

/// The runtime code of [`CREATE2_DEPLOYER`].
pub(crate) const DEPLOYER_CODE: [u8; 69] = hex!(
    "7fffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffe03601600081602082378035828234f58015156039578182fd5b8082525050506014600cf3"
);

/// The chain's id.
pub(crate) const CHAIN_ID: u64 = 560_048;

/// The first block's time: 1,000 rounds of quicknet before a real one.
pub(crate) const START: u64 = 1_692_803_364;

type Db = CacheDB<EmptyDB>;

/// Records the input of every call to or by a contract.
#[derive(Default)]
struct Calls(Vec<(Address, Bytes)>);

impl<Ctx: ContextTr> Inspector<Ctx> for Calls {
    fn call(&mut self, context: &mut Ctx, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.0
            .push((inputs.target_address, inputs.input.bytes(context)));
        None
    }
}

/// A chain on which all accounts are rich and gas is free.
pub(crate) struct Chain {
    evm: MainnetEvm<MainnetContext<Db>, Calls>,
    /// The logs of the last call that did not revert.
    pub(crate) logs: Vec<Log>,
}

impl Chain {
    pub(crate) fn new() -> Self {
        let mut context = Context::mainnet().with_db(Db::default());
        context.cfg.chain_id = CHAIN_ID;
        context.cfg.disable_nonce_check = true;
        context.block.timestamp = U256::from(START);
        let evm = context.build_mainnet_with_inspector(Calls::default());
        let mut chain = Self {
            evm,
            logs: Vec::new(),
        };
        chain.put_code(CREATE2_DEPLOYER, &DEPLOYER_CODE);
        chain
    }

    /// A chain with one bank, deployed by `create2_input`.
    pub(crate) fn with_bank(min_lead: u64, beacon: &BeaconParameters) -> (Self, Address) {
        let mut chain = Self::new();
        chain
            .send(
                Address::ZERO,
                CREATE2_DEPLOYER,
                U256::ZERO,
                create2_input(min_lead, beacon),
            )
            .expect("the bank is deployed");
        (chain, create2_address(min_lead, beacon))
    }

    pub(crate) fn put_code(&mut self, account: Address, code: &[u8]) {
        let code = Bytecode::new_raw(Bytes::copy_from_slice(code));
        self.evm
            .ctx
            .journaled_state
            .database
            .insert_account_info(account, AccountInfo::default().with_code(code));
    }

    /// Moves on to a later block with this time.
    pub(crate) fn mine_at(&mut self, time: u64) {
        self.evm.ctx.block.timestamp = U256::from(time);
    }

    /// Sends a transaction; returns its output, or its revert data as the error.
    pub(crate) fn send(
        &mut self,
        from: Address,
        to: Address,
        value: U256,
        data: Bytes,
    ) -> Result<Bytes, Bytes> {
        let rich = AccountInfo::from_balance(U256::from(u128::MAX));
        self.evm
            .ctx
            .journaled_state
            .database
            .insert_account_info(from, rich);
        let transaction = TxEnv {
            caller: from,
            kind: TxKind::Call(to),
            value,
            data,
            gas_limit: 16_000_000,
            chain_id: Some(CHAIN_ID),
            ..TxEnv::default()
        };
        match self
            .evm
            .inspect_tx_commit(transaction)
            .expect("the transaction is valid")
        {
            ExecutionResult::Success { logs, output, .. } => {
                self.logs = logs;
                Ok(output.into_data())
            }
            ExecutionResult::Revert { output, .. } => Err(output),
            ExecutionResult::Halt { reason, .. } => panic!("the transaction halted: {reason:?}"),
        }
    }

    /// Calls a function; returns the decoded output, or the revert data as the error.
    pub(crate) fn call<C: SolCall>(
        &mut self,
        from: Address,
        to: Address,
        value: U256,
        call: C,
    ) -> Result<C::Return, Bytes> {
        let answer = self.send(from, to, value, call.abi_encode().into())?;
        Ok(C::abi_decode_returns_validate(&answer).expect("the answer has the interface's types"))
    }

    /// The answer of a view.
    pub(crate) fn view<C: SolCall>(&mut self, to: Address, call: C) -> C::Return {
        self.call(Address::ZERO, to, U256::ZERO, call)
            .expect("a view does not revert")
    }

    /// The inputs of all calls to this account so far.
    pub(crate) fn calls_to(&self, account: Address) -> Vec<Bytes> {
        let calls = self.evm.inspector.0.iter();
        calls
            .filter(|(to, _)| *to == account)
            .map(|(_, input)| input.clone())
            .collect()
    }
}
