//! The precompiles and instructions that a bank needs, tried in calls that change nothing.
//!
//! The node runs init code that creates the bank, calls it and returns its answer. So nothing is deployed, and the node
//! need not support changes of state in calls.

use alloy::{
    network::TransactionBuilder,
    primitives::{B256, Bytes, b256, hex},
    providers::{DynProvider, Provider},
    rpc::types::TransactionRequest,
    sol_types::SolCall,
};
use cheque::{MIN_LEAD, node::NodeError};
use cheque_bindings::{
    IChequeBank::{IChequeBankErrors, recordSeedCall},
    QUICKNET, creation_code,
};

/// The time of round 1000 of quicknet.
const TIME: u64 = 1_692_806_364;

/// The signature of round 1000, uncompressed.
const PROOF: [u8; 96] = hex!(
    "144679b9a59af2ec876b1a6b1ad52ea9b1615fc3982b19576350f93447cb1125e342b73a8dd2bacbe47e4b6b63ed5e39"
    "11f92e4521ef54f047b64b85fa98db2d46f0f44add1f60b93f8a0dbddd63b34f238657c2d93aed18b90bddd60a01b6d2"
);

/// The published randomness of round 1000: sha256 of its compressed signature.
const SEED: B256 = b256!("fe290beca10872ef2fb164d2aa4442de4566183ec51c56ff3cd603d930e54fdd");

/// The sum of the signature and a point of order 3. On the curve, outside of the prime subgroup, with the same pairings
/// by the equation alone: only a check of the subgroup refuses it.
const OUTSIDE: [u8; 96] = hex!(
    "0bbaa2cd356c8b543308abe2c07d92facb092294f841b0c295786b635167aba148d4e2e86fedf3cf2c04c43b68a5aaee"
    "10cded0866820992f398646689dbf1272dda5fa9e0088989db7c4c7d3a59de10418aea586a7b3c95f52e5f30d4dd5f48"
);

/// Init code that stores 1 transiently and returns it:
/// `PUSH1 1, PUSH0, TSTORE, PUSH0, TLOAD, PUSH0, MSTORE, PUSH1 32, PUSH0, RETURN`.
const TRANSIENT: [u8; 12] = hex!("60015f5d5f5c5f5260205ff3");

/// True if the bank accepts the known round and tells its published randomness. Errs with the reason.
pub(super) async fn verifies_a_round(provider: &DynProvider) -> Result<(), String> {
    match record(provider, &PROOF).await {
        Ok(answer) if answer[..] == SEED[..] => Ok(()),
        Ok(answer) => Err(format!(
            "the answer is {answer}, not the round's randomness"
        )),
        Err(error) => Err(reason(&error)),
    }
}

/// True if the bank refuses a point outside of the subgroup. Errs with the reason.
pub(super) async fn refuses_a_point_outside(provider: &DynProvider) -> Result<(), String> {
    match record(provider, &OUTSIDE).await {
        Err(NodeError::Reverted(revert))
            if matches!(
                revert.bank_error(),
                Some(IChequeBankErrors::InvalidSeedProof(_))
            ) =>
        {
            Ok(())
        }
        Ok(_) => Err(
            "the pairing takes a point outside of the subgroup, so a draw would have several seeds"
                .to_owned(),
        ),
        Err(error) => Err(reason(&error)),
    }
}

/// True if the chain has transient storage (EIP-1153). Errs with the reason.
pub(super) async fn stores_transiently(provider: &DynProvider) -> Result<(), String> {
    match run(provider, &TRANSIENT).await {
        Ok(answer) if answer[..] == B256::with_last_byte(1)[..] => Ok(()),
        Ok(answer) => Err(format!("the answer is {answer}, not 1")),
        Err(error) => Err(reason(&error)),
    }
}

/// Checks what the bank's code needs of the chain, in calls that change nothing. Errs with the first reason.
pub(crate) async fn check_rules(provider: &DynProvider) -> Result<(), String> {
    verifies_a_round(provider).await?;
    refuses_a_point_outside(provider).await?;
    stores_transiently(provider).await
}

fn reason(error: &NodeError) -> String {
    match error {
        NodeError::Reverted(revert) if revert.0.is_empty() => {
            "the chain cannot run the contract, or the node gives the call too little gas"
                .to_owned()
        }
        error => error.to_string(),
    }
}

/// Creates the common bank and lets it record the round's seed with this proof. Changes nothing.
async fn record(provider: &DynProvider, proof: &[u8; 96]) -> Result<Bytes, NodeError> {
    let call = recordSeedCall {
        drawTime: TIME,
        proof: proof.to_vec().into(),
    };
    let program = creating_and_calling(&creation_code(MIN_LEAD, &QUICKNET), &call.abi_encode());
    run(provider, &program).await
}

/// Runs init code in a call.
async fn run(provider: &DynProvider, code: &[u8]) -> Result<Bytes, NodeError> {
    let mut request = TransactionRequest::default();
    request.set_deploy_code(code.to_vec());
    Ok(provider.call(request).await?)
}

/// The first instructions of [`creating_and_calling`], with zeros for sizes and places.
const PROGRAM: usize = 60;

/// Writes init code that creates a contract, calls it, and ends like the call: returns its answer, or reverts with it.
/// Also reverts with the reason of a creation that reverts.
///
/// Sizes and places are pushed with two bytes: init code is shorter than 49,152 bytes (EIP-3860).
fn creating_and_calling(creation: &[u8], calldata: &[u8]) -> Vec<u8> {
    let push = |code: &mut Vec<u8>, number: usize| {
        code.push(0x61);
        code.extend_from_slice(&number.to_be_bytes()[size_of::<usize>() - 2..]);
    };
    let mut code = Vec::with_capacity(PROGRAM + creation.len() + calldata.len());
    // CODECOPY(0, PROGRAM, size); CREATE(0, 0, size)
    push(&mut code, creation.len());
    push(&mut code, PROGRAM);
    code.extend_from_slice(&hex!("5f39"));
    push(&mut code, creation.len());
    code.extend_from_slice(&hex!("5f5ff0"));
    // If the address is not zero, jump over: RETURNDATACOPY(0, 0, size); REVERT(0, size)
    code.push(0x80);
    let created = code.len() + 4 + 7;
    push(&mut code, created);
    code.extend_from_slice(&hex!("573d5f5f3e3d5ffd5b"));
    // CODECOPY(0, PROGRAM + creation, size); CALL(GAS, address, 0, 0, size, 0, 0)
    push(&mut code, calldata.len());
    push(&mut code, PROGRAM + creation.len());
    code.extend_from_slice(&hex!("5f395f5f"));
    push(&mut code, calldata.len());
    code.extend_from_slice(&hex!("5f5f855af1"));
    // RETURNDATACOPY(0, 0, size); if the call succeeded, RETURN(0, size), else REVERT(0, size)
    code.extend_from_slice(&hex!("3d5f5f3e"));
    let succeeded = code.len() + 4 + 3;
    push(&mut code, succeeded);
    code.extend_from_slice(&hex!("573d5ffd5b3d5ff3"));
    code.extend_from_slice(creation);
    code.extend_from_slice(calldata);
    code
}

#[cfg(test)]
mod tests {
    use super::*;
    use cheque::Beacon;
    use serde_json::Value;

    #[test]
    fn knows_a_real_round() {
        let mut signature = [0; 48];
        signature.copy_from_slice(&PROOF[..48]);
        // Compressed, and with the larger y.
        signature[0] |= 0xa0;
        let round = Beacon::quicknet().verify(1_000, &signature).unwrap();
        assert_eq!((round.time(), round.seed().0), (TIME, SEED));
        assert_eq!(round.proof().as_bytes()[..], PROOF[..]);
    }

    #[test]
    fn knows_a_point_outside_as_the_vectors_do() {
        let vectors = include_str!("../../../../contracts/test/vectors/seeds.json");
        let vectors: Value = serde_json::from_str(vectors).unwrap();
        let outside = hex::encode_prefixed(OUTSIDE);
        let mut lists = vectors
            .as_object()
            .unwrap()
            .values()
            .filter_map(Value::as_array);
        let found = lists.find_map(|list| list.iter().find(|entry| entry["proof"] == *outside));
        let found = found.unwrap();
        assert_eq!(found["reason"], "outside_subgroup");
        assert_eq!(found["drawTime"], TIME.to_string());
    }

    #[test]
    fn places_creation_and_calldata_behind_the_program() {
        let code = creating_and_calling(&[0xaa; 5], &[0xbb; 3]);
        assert_eq!(code[PROGRAM..], [[0xaa; 5].as_slice(), &[0xbb; 3]].concat());
        // Both jumps lead to a JUMPDEST.
        let jumps = code[..PROGRAM]
            .windows(4)
            .filter(|part| part[0] == 0x61 && part[3] == 0x57);
        let targets = jumps.map(|part| usize::from(u16::from_be_bytes([part[1], part[2]])));
        let targets: Vec<_> = targets.collect();
        assert_eq!(targets.len(), 2);
        assert!(
            targets.iter().all(|target| code[*target] == 0x5b),
            "{targets:?}"
        );
    }
}
