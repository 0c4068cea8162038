//! A customer and a payee of transfers.

use crate::node::{Account, World};
use alloy_primitives::{Address, hex};
use cheque::{bank::NativeRate, store::Memory, tx::Wallet};
use cheque_market::{
    payment::{
        Incoming, ModuleError, PreparedPayment, ReceiveError, TransferRejection, TransferTerms,
        chain::{TransferModule, TransferSender},
        prepare,
    },
    store::{self, Batch, Store},
};
use std::sync::Arc;

pub(crate) const PREFIX: &[u8] = b"market:";
const KEY: &[u8] = b"transfers:";
pub(crate) const TOKEN: Address = Address::repeat_byte(0x70);
/// Required age of a transfer, in seconds.
pub(crate) const CONFIRM_S: u64 = 12;

/// Code of a token that only emits the event `Transfer(caller, to, value)`.
const EMITS_EVENT_ONLY: &str = "60206024600037600435337fddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef\
                       60206000a3600160005260206000f3";

pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) customer: Account,
    pub(crate) payee: Account,
    token: Address,
}

impl Scene {
    pub(crate) async fn new(token: Address) -> Self {
        let world = World::new().await;
        let (customer, payee) = (world.account(1).await, world.account(11).await);
        let code = format!("0x{EMITS_EVENT_ONLY}");
        assert_eq!(hex::decode(&code).unwrap().len(), 59);
        world.node.anvil("anvil_setCode", (TOKEN, code)).await;
        Self {
            world,
            customer,
            payee,
            token,
        }
    }

    pub(crate) fn terms(&self) -> TransferTerms {
        TransferTerms {
            chain_id: 31_337,
            token: self.token,
            payee: self.payee.address,
            confirm_s: CONFIRM_S,
        }
    }

    pub(crate) async fn module(&self) -> TransferModule {
        let node = self.world.node.provider.clone();
        TransferModule::open(node, self.terms()).await.unwrap()
    }

    pub(crate) async fn sender(&self, wallet: Wallet, store: &Arc<Memory>) -> TransferSender {
        let node = self.world.node.provider.clone();
        let paid_in = (self.token, NativeRate::NATIVE);
        TransferSender::open(node, wallet, store.clone(), paid_in, KEY)
            .await
            .unwrap()
    }

    pub(crate) async fn prepared(
        &self,
        from: Address,
        proof: &[u8],
        store: &store::Memory,
    ) -> PreparedPayment {
        let module = self.module().await;
        prepare(&module, store, PREFIX, from, proof).await.unwrap()
    }

    /// Receives a proof from `from`, like a host.
    pub(crate) async fn take(
        &self,
        from: Address,
        proof: &[u8],
        store: &store::Memory,
    ) -> Result<Incoming, TransferRejection> {
        let prepared = self.prepared(from, proof, store).await;
        let mut batch = Batch::new();
        let taken = prepared
            .store_received(store, &mut batch)
            .map_err(rejection);
        store.write(&batch).unwrap();
        taken
    }
}

pub(crate) fn rejection(error: ReceiveError<ModuleError>) -> TransferRejection {
    match error {
        ReceiveError::Rejected(ModuleError::Rejected(error)) => *error.downcast().unwrap(),
        other => panic!("no rejection: {other:?}"),
    }
}
