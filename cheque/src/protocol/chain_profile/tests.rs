use super::*;

/// The rows of docs/chains.md: id, name, confirm, finality, least window and default window in hours, fees, tokens.
type Row = (u64, &'static str, u64, u64, u64, u64, FeeModel, usize);

const ROWS: [Row; 10] = [
    (1, "mainnet", 144, 1_536, 6, 24, FeeModel::Plain, 3),
    (11_155_111, "sepolia", 144, 1_536, 6, 24, FeeModel::Plain, 1),
    (560_048, "hoodi", 144, 1_536, 6, 24, FeeModel::Plain, 0),
    (10, "op-mainnet", 10, 2_400, 16, 24, FeeModel::OpStack, 1),
    (
        11_155_420,
        "op-sepolia",
        10,
        2_400,
        16,
        24,
        FeeModel::OpStack,
        1,
    ),
    (8453, "base", 10, 2_400, 16, 24, FeeModel::OpStack, 2),
    (
        84_532,
        "base-sepolia",
        10,
        2_400,
        16,
        24,
        FeeModel::OpStack,
        1,
    ),
    (
        42_161,
        "arbitrum-one",
        10,
        2_400,
        30,
        48,
        FeeModel::Arbitrum,
        2,
    ),
    (
        421_614,
        "arbitrum-sepolia",
        10,
        2_400,
        30,
        48,
        FeeModel::Arbitrum,
        1,
    ),
    (137, "polygon", 10, 600, 16, 24, FeeModel::Plain, 1),
];

/// Chain, symbol and address with the letter case of EIP-55.
const TOKENS: [(u64, &str, &str); 13] = [
    (1, "USDC", "0xA0b86991c6218b36c1d19D4a2e9Eb0cE3606eB48"),
    (1, "EURC", "0x1aBaEA1f7C830bD89Acc67eC4af516284b1bC33c"),
    (1, "PYUSD", "0x6c3ea9036406852006290770BEdFcAbA0e23A0e8"),
    (
        11_155_111,
        "USDC",
        "0x1c7D4B196Cb0C7B01d743Fbc6116a902379C7238",
    ),
    (10, "USDC", "0x0b2C639c533813f4Aa9D7837CAf62653d097Ff85"),
    (
        11_155_420,
        "USDC",
        "0x5fd84259d66Cd46123540766Be93DFE6D43130D7",
    ),
    (8453, "USDC", "0x833589fCD6eDb6E08f4c7C32D4f71b54bdA02913"),
    (8453, "EURC", "0x60a3E35Cc302bFA44Cb288Bc5a4F316Fdb1adb42"),
    (84_532, "USDC", "0x036CbD53842c5426634e7929541eC2318f3dCF7e"),
    (42_161, "USDC", "0xaf88d065e77c8cC2239327C5EDb3A432268e5831"),
    (
        42_161,
        "PYUSD",
        "0x46850aD61C2B7d64d08c9C754F45254596696984",
    ),
    (
        421_614,
        "USDC",
        "0x75faf114eafb1BDbe2F0316DF893fd58CE46AA4d",
    ),
    (137, "USDC", "0x3c499c542cEF5E3811e1192ce70d8cC03d5c3359"),
];

#[test]
fn has_the_figures_of_every_public_chain() {
    for (id, name, confirm, finality, min_window, redeem_window, fees, tokens) in ROWS {
        let profile = ChainProfile::of(id).unwrap();
        assert_eq!((profile.chain_id, profile.name), (id, name));
        assert_eq!(
            (profile.confirm, profile.finality),
            (confirm, finality),
            "{name}"
        );
        assert_eq!(profile.min_window, min_window * 3_600, "{name}");
        assert_eq!(profile.redeem_window, redeem_window * 3_600, "{name}");
        assert_eq!(
            (profile.fees, profile.tokens.len()),
            (fees, tokens),
            "{name}"
        );
        assert_eq!(profile.freshness, Some(Freshness::DEFAULT), "{name}");
        assert_eq!(profile.draw_grid, 300, "{name}");
    }
}

#[test]
fn runs_a_local_chain_in_seconds_without_checks_of_clocks() {
    let local = ChainProfile::of(31_337).unwrap();
    assert_eq!((local.confirm, local.finality), (0, 0));
    assert_eq!((local.min_window, local.redeem_window), (8, 86_400));
    assert_eq!((local.draw_grid, local.freshness), (1, None));
    assert_eq!((local.fees, local.tokens), (FeeModel::Plain, &[][..]));
}

#[test]
fn lists_no_other_chain() {
    assert_eq!(PROFILES.len(), ROWS.len() + 1);
    assert_eq!(ChainProfile::of(100), Err(UnlistedChain(100)));
}

#[test]
fn lists_the_issuers_tokens_by_checksummed_address() {
    for (chain, symbol, text) in TOKENS {
        let address = Address::parse_checksummed(text, None).unwrap();
        let token = ChainProfile::of(chain).unwrap().token(address).unwrap();
        assert_eq!(
            (token.symbol, token.decimals, token.authorization),
            (symbol, 6, true)
        );
    }
    let listed: usize = PROFILES.iter().map(|profile| profile.tokens.len()).sum();
    assert_eq!(listed, TOKENS.len());
    assert_eq!(ChainProfile::of(1).unwrap().token(Address::ZERO), None);
}

#[test]
fn reaches_finality_within_the_pinned_banks_lead() {
    for profile in PROFILES {
        assert!(profile.confirm <= profile.finality, "{}", profile.name);
        assert!(
            profile.finality <= cheque_bindings::MIN_LEAD,
            "{}",
            profile.name
        );
    }
}

#[test]
fn grants_longer_windows_than_payees_require() {
    for profile in PROFILES {
        assert!(
            profile.min_window < profile.redeem_window,
            "{}",
            profile.name
        );
    }
}

#[test]
fn makes_the_most_careful_profile_of_an_unlisted_chain() {
    let unlisted = ChainProfile::unlisted(7, 5, 60);
    assert_eq!(
        (unlisted.chain_id, unlisted.confirm, unlisted.finality),
        (7, 5, 60)
    );
    for profile in PROFILES {
        assert!(
            unlisted.min_window >= profile.min_window,
            "{}",
            profile.name
        );
    }
    assert_eq!(unlisted.freshness, Some(Freshness::DEFAULT));
    assert_eq!((unlisted.fees, unlisted.tokens), (FeeModel::Plain, &[][..]));
}
