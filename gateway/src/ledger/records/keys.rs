//! The keys of the ledger's records: `gateway/1/` ‖ payee (20 bytes) ‖ kind (1) ‖ the rest.

use crate::ledger::{
    account::{AccountKey, Currency},
    payment::{AuthorizationId, PaymentId},
};
use alloy_primitives::{Address, B256};
use cheque::DepositId;

const PREFIX: &[u8] = b"gateway/1/";

/// Makes the keys of one payee's ledger.
#[derive(Clone, Copy, Debug)]
pub(in crate::ledger) struct Keys {
    payee: Address,
}

impl Keys {
    pub(in crate::ledger) const fn new(payee: Address) -> Self {
        Self { payee }
    }

    fn key(&self, kind: u8, parts: &[&[u8]]) -> Vec<u8> {
        let mut key = Vec::with_capacity(128);
        key.extend_from_slice(PREFIX);
        key.extend_from_slice(self.payee.as_slice());
        key.push(kind);
        for part in parts {
            key.extend_from_slice(part);
        }
        key
    }

    /// Signer (20 bytes) ‖ chain id (8, big-endian) ‖ token (20).
    pub(in crate::ledger) fn account(&self, account: &AccountKey) -> Vec<u8> {
        let chain = account.currency.chain_id.to_be_bytes();
        let token = account.currency.token;
        self.key(b'a', &[account.signer.as_slice(), &chain, token.as_slice()])
    }

    pub(in crate::ledger) fn accounts(&self) -> Vec<u8> {
        self.key(b'a', &[])
    }

    /// The account in its key; `None` for a key of another length.
    pub(in crate::ledger) fn account_of(&self, key: &[u8]) -> Option<AccountKey> {
        let rest: &[u8; 48] = key.get(self.accounts().len()..)?.try_into().ok()?;
        let (signer, rest) = rest.split_first_chunk::<20>()?;
        let (chain, token) = rest.split_first_chunk::<8>()?;
        Some(AccountKey {
            signer: signer.into(),
            currency: Currency {
                chain_id: u64::from_be_bytes(*chain),
                token: Address::from_slice(token),
            },
        })
    }

    /// The deposit's id (32 bytes).
    pub(in crate::ledger) fn deposit(&self, deposit: DepositId) -> Vec<u8> {
        self.key(b'd', &[deposit.0.as_slice()])
    }

    pub(in crate::ledger) fn deposits(&self) -> Vec<u8> {
        self.key(b'd', &[])
    }

    /// The gateway's identity, which is no record of the ledger.
    pub(in crate::ledger) fn identity(&self) -> Vec<u8> {
        self.key(b'k', &[])
    }

    /// Deposit (32 bytes) ‖ total (16, big-endian) ‖ anchor (32).
    pub(in crate::ledger) fn payment(&self, id: &PaymentId) -> Vec<u8> {
        self.key(b'i', &[&id.to_key()])
    }

    /// The prefix of the keys of a deposit's payments.
    pub(in crate::ledger) fn payments(&self, deposit: DepositId) -> Vec<u8> {
        self.key(b'i', &[deposit.0.as_slice()])
    }

    /// The id of the reservation's first payment, as in [`Self::payment`].
    pub(in crate::ledger) fn reservation(&self, holder: &PaymentId) -> Vec<u8> {
        self.key(b'r', &[&holder.to_key()])
    }

    pub(in crate::ledger) fn reservations(&self) -> Vec<u8> {
        self.key(b'r', &[])
    }

    /// The second until which the answer is stored (8 bytes, big-endian) ‖ the holder's id. So a scan meets the oldest first.
    pub(in crate::ledger) fn answer(&self, until: u64, holder: &PaymentId) -> Vec<u8> {
        self.key(b's', &[&until.to_be_bytes(), &holder.to_key()])
    }

    pub(in crate::ledger) fn answers(&self) -> Vec<u8> {
        self.key(b's', &[])
    }

    /// The hash that names an authorization (32 bytes).
    pub(in crate::ledger) fn authorization(&self, id: AuthorizationId) -> Vec<u8> {
        self.key(b'x', &[id.0.as_slice()])
    }

    /// The second from which an authorization is not needed (8 bytes, big-endian) ‖ its hash (32).
    pub(in crate::ledger) fn authorization_end(&self, until: u64, id: AuthorizationId) -> Vec<u8> {
        self.key(b'y', &[&until.to_be_bytes(), id.0.as_slice()])
    }

    pub(in crate::ledger) fn authorization_ends(&self) -> Vec<u8> {
        self.key(b'y', &[])
    }

    /// The authorization of whose end this is the key; `None` for one that is too short.
    pub(in crate::ledger) fn of_authorization_end(&self, end: &[u8]) -> Option<AuthorizationId> {
        let rest = end.get(self.authorization_ends().len() + 8..)?;
        let id = rest.first_chunk::<32>()?;
        Some(AuthorizationId(B256::from(*id)))
    }

    /// The second in the key of an answer, or of an end of a key; `None` for one that is too short.
    pub(in crate::ledger) fn until_of(&self, key: &[u8]) -> Option<u64> {
        let rest = key.get(self.answers().len()..)?;
        rest.first_chunk::<8>()
            .map(|until| u64::from_be_bytes(*until))
    }

    /// The account, as in [`Self::account`] ‖ the hash of the client's key (32).
    pub(in crate::ledger) fn idempotency(&self, account: &AccountKey, key: B256) -> Vec<u8> {
        let chain = account.currency.chain_id.to_be_bytes();
        let token = account.currency.token;
        let parts = [account.signer.as_slice(), &chain, token.as_slice()];
        self.key(b'n', &[&parts.concat(), key.as_slice()])
    }

    /// The second until which a key counts (8 bytes, big-endian) ‖ the rest of the key of [`Self::idempotency`].
    pub(in crate::ledger) fn key_end(
        &self,
        until: u64,
        account: &AccountKey,
        key: B256,
    ) -> Vec<u8> {
        let of_key = self.idempotency(account, key);
        let rest = &of_key[self.key_ends().len()..];
        self.key(b't', &[&until.to_be_bytes(), rest])
    }

    pub(in crate::ledger) fn key_ends(&self) -> Vec<u8> {
        self.key(b't', &[])
    }

    /// The key of the record of whose end this is the key; `None` for one that is too short.
    pub(in crate::ledger) fn of_key_end(&self, end: &[u8]) -> Option<Vec<u8>> {
        let rest = end.get(self.key_ends().len() + 8..)?;
        Some(self.key(b'n', &[rest]))
    }
}
