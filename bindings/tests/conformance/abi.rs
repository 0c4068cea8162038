//! Interfaces, compiled contract and the ABI file for ethers-rs have the same functions, events and errors.

use std::collections::BTreeMap;

use alloy_json_abi::{EventParam, JsonAbi, Param};
use alloy_sol_types::SolInterface;
use cheque_bindings::{
    IChequeBankCalls, IChequeBankErrors, IChequeBankEvents, IDrandBankCalls, IDrandBankErrors,
};
use serde_json::Value;

use crate::artifacts::{artifact, read};

/// The crate's own invocations of `sol!`, but with the ABI as a value.
#[allow(missing_docs, clippy::too_many_arguments)]
mod interface {
    alloy_sol_types::sol! {
        #![sol(abi)]
        "../contracts/src/interfaces/IChequeBank.sol"
    }
    alloy_sol_types::sol! {
        #![sol(abi)]
        "../contracts/src/interfaces/IDrandBank.sol"
    }
}

/// All functions, events and errors of an ABI, a line each, with all names and types.
///
/// Omits the names of Solidity types (`internalType`), which `sol!` does not provide.
fn surface(mut abi: JsonAbi) -> BTreeMap<String, String> {
    for function in abi.functions.values_mut().flatten() {
        function
            .inputs
            .iter_mut()
            .chain(&mut function.outputs)
            .for_each(forget_internal);
    }
    for error in abi.errors.values_mut().flatten() {
        error.inputs.iter_mut().for_each(forget_internal);
    }
    for event in abi.events.values_mut().flatten() {
        for EventParam {
            internal_type,
            components,
            ..
        } in &mut event.inputs
        {
            *internal_type = None;
            components.iter_mut().for_each(forget_internal);
        }
    }

    let functions = abi
        .functions()
        .map(|f| (format!("function {}", f.signature()), format!("{f:?}")));
    let events = abi
        .events()
        .map(|e| (format!("event {}", e.signature()), format!("{e:?}")));
    let errors = abi
        .errors()
        .map(|e| (format!("error {}", e.signature()), format!("{e:?}")));
    let special = [
        ("fallback", abi.fallback.map(|f| format!("{f:?}"))),
        ("receive", abi.receive.map(|f| format!("{f:?}"))),
    ];
    let special = special
        .into_iter()
        .filter_map(|(name, item)| Some((name.to_owned(), item?)));
    functions
        .chain(events)
        .chain(errors)
        .chain(special)
        .collect()
}

fn forget_internal(param: &mut Param) {
    param.internal_type = None;
    param.components.iter_mut().for_each(forget_internal);
}

fn compiled(contract: &str) -> JsonAbi {
    serde_json::from_value(artifact(contract)["abi"].clone()).expect("an artifact has an ABI")
}

#[test]
fn compiled_contract_has_exactly_the_items_of_the_interfaces() {
    let every_bank = surface(interface::IChequeBank::abi::contract());
    let drand_only = surface(interface::IDrandBank::abi::contract());
    let contract = surface(compiled("DrandBank"));
    assert!(
        every_bank.len() > 40,
        "the interface has {} items",
        every_bank.len()
    );
    assert!(drand_only.keys().all(|item| !every_bank.contains_key(item)));

    let interface: BTreeMap<_, _> = every_bank.into_iter().chain(drand_only).collect();
    for (item, text) in &interface {
        let found = contract
            .get(item)
            .unwrap_or_else(|| panic!("the contract lacks {item}"));
        assert_eq!(found, text, "{item}");
    }
    for item in contract.keys() {
        assert!(interface.contains_key(item), "the interfaces lack {item}");
    }
}

#[test]
fn public_types_have_the_selectors_of_the_compiled_contract() {
    let abi = compiled("DrandBank");
    let sorted = |mut selectors: Vec<[u8; 4]>| {
        selectors.sort_unstable();
        selectors
    };

    let functions = abi
        .functions()
        .map(|function| function.selector().0)
        .collect();
    let ours = IChequeBankCalls::selectors().chain(IDrandBankCalls::selectors());
    assert_eq!(sorted(ours.collect()), sorted(functions));
    let errors = abi.errors().map(|error| error.selector().0).collect();
    let ours = IChequeBankErrors::selectors().chain(IDrandBankErrors::selectors());
    assert_eq!(sorted(ours.collect()), sorted(errors));

    let mut topics: Vec<_> = abi.events().map(|event| event.selector().0).collect();
    topics.sort_unstable();
    let mut ours = IChequeBankEvents::SELECTORS.to_vec();
    ours.sort_unstable();
    assert_eq!(ours, topics);
}

#[test]
fn constructor_takes_a_lead_and_a_beacon() {
    let constructor = compiled("DrandBank")
        .constructor
        .expect("the bank has settings");
    let types: Vec<_> = constructor
        .inputs
        .iter()
        .map(|input| input.selector_type())
        .collect();
    assert_eq!(types, ["uint64", "bytes", "uint64", "uint64"]);
}

#[test]
fn abi_files_for_ethers_are_the_compiled_interfaces() {
    for contract in ["ChequeBank", "DrandBank"] {
        let name = format!("bindings/ethers/{contract}.abi.json");
        let file = read(&name, "it belongs to the repository");
        let file: Value = serde_json::from_str(&file).expect("the ABI file is JSON");
        let interface = format!("I{contract}");
        assert!(
            file == artifact(&interface)["abi"],
            "the interface has changed; run\n  node -p 'JSON.stringify(require(\"./out/{interface}.sol/{interface}.json\").abi, null, 2)' > {name}"
        );
    }
}
