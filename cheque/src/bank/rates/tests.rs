use super::{source::COIN, *};
use alloy::providers::{Provider, ProviderBuilder};
use alloy_primitives::I256;
use std::{fs, path::PathBuf, time::UNIX_EPOCH};

const TOKEN: Address = Address::repeat_byte(0x70);
const NOW: u64 = 1_800_000_000;

const BOUNDS: RateBounds = RateBounds {
    max_age: 1_000,
    max_jump: 50,
};

/// A rate of `units` for a coin.
fn rate(units: u128) -> NativeRate {
    NativeRate::new(COIN, units).unwrap()
}

fn reading(units: u128, at: u64) -> Result<Reading, RateFault> {
    Ok(Reading {
        rate: rate(units),
        at: Some(at),
    })
}

fn unread() -> Result<Reading, RateFault> {
    Err(RateFault::Unread("no answer".to_owned()))
}

fn entry() -> Entry {
    Entry {
        source: RateSource::Feed(TOKEN),
        decimals: 6,
        bounds: BOUNDS,
        last: None,
        fault: None,
    }
}

/// A node that nobody asks.
fn no_node() -> DynProvider {
    let url = "http://127.0.0.1:1".parse().unwrap();
    ProviderBuilder::default().connect_http(url).erased()
}

#[test]
fn reads_all_forms_of_a_source_and_writes_them_again() {
    for text in [
        "2500.0",
        "0.000001",
        "file:/run/rate",
        "feed:0x7070707070707070707070707070707070707070",
    ] {
        let source: RateSource = text.parse().unwrap();
        assert_eq!(source.to_string(), text);
    }
    for text in [
        "", "2500", "2500.", ".5", "-1.0", "1e3", "file:", "feed:", "feed:70", "1.0 ",
    ] {
        assert!(text.parse::<RateSource>().is_err(), "{text:?}");
    }
}

#[test]
fn fixed_rate_is_exact_and_never_old() {
    for (text, decimals, units) in [
        ("2500.0", 6, 2_500_000_000),
        ("2500.120000000", 6, 2_500_120_000),
        ("2500.0", 0, 2_500),
        ("0.5", 18, COIN / 2),
    ] {
        let rates = TokenRates::new();
        let source = text.parse().unwrap();
        rates.follow(TOKEN, decimals, source, BOUNDS).unwrap();
        assert_eq!(rates.of_at(TOKEN, u64::MAX), Ok(rate(units)), "{text}");
    }
    let rates = TokenRates::new();
    for text in ["0.0", "0.0000001", "999999999999999999999999999999999.0"] {
        let source = text.parse().unwrap();
        let refused = rates.follow(TOKEN, 6, source, BOUNDS);
        assert!(matches!(refused, Err(RateSourceError::Range(_))), "{text}");
    }
    assert_eq!(rates.of_at(TOKEN, NOW), Err(RateFault::Unset));
    assert_eq!(rates.of_at(Address::ZERO, NOW), Ok(NativeRate::NATIVE));
}

#[test]
fn feed_answers_are_exact_and_checked() {
    let of =
        |answer: i128, feed, token| feed::rate_of(I256::try_from(answer).unwrap(), feed, token);
    let more = NativeRate::new(COIN * 100, 250_000_000_001);
    assert_eq!(of(250_000_000_001, 8, 6), more);
    assert_eq!(
        of(250_000_000_001, 8, 18),
        Some(rate(250_000_000_001 * 10_u128.pow(10)))
    );
    for (answer, feed, token) in [
        (0, 8, 6),
        (-1, 8, 6),
        (1, 255, 6),
        (i128::MAX, 8, 18),
        (1, 0, 255),
    ] {
        assert_eq!(of(answer, feed, token), None, "{answer} {feed} {token}");
    }
    assert_eq!(feed::rate_of(I256::MAX, 8, 6), None);
}

#[test]
fn old_reading_stops_the_token_until_a_new_one() {
    let mut entry = entry();
    assert!(matches!(entry.at(NOW), Err(RateFault::Unread(_))));
    entry.take(reading(2_500, NOW), NOW);
    // A source that fails for a while changes nothing.
    entry.take(unread(), NOW + 10);
    assert_eq!(entry.at(NOW + 1_000), Ok(rate(2_500)));
    assert_eq!(entry.at(NOW + 1_001), unread().map(|read| read.rate));
    entry.take(reading(2_500, NOW), NOW + 1_001);
    let old = RateFault::Old {
        age: 1_001,
        max_age: 1_000,
    };
    assert_eq!(entry.at(NOW + 1_001), Err(old));
    entry.take(reading(2_600, NOW + 1_001), NOW + 1_001);
    assert_eq!(entry.at(NOW + 1_001), Ok(rate(2_600)));
}

#[test]
fn jump_stops_the_token_until_the_rate_is_back() {
    for (first, second, percent) in [(2_500, 3_751, 51), (3_751, 2_500, 51), (2_500, 25_000, 900)] {
        let mut entry = entry();
        entry.take(reading(first, NOW), NOW);
        entry.take(reading(second, NOW + 30), NOW + 30);
        let jump = RateFault::Jump { percent, max: 50 };
        assert_eq!(entry.at(NOW + 30), Err(jump.clone()));
        // What a node says meanwhile does not make it good.
        entry.take(reading(second, NOW + 60), NOW + 60);
        assert_eq!(entry.at(NOW + 60), Err(jump));
        entry.take(reading(first, NOW + 90), NOW + 90);
        assert_eq!(entry.at(NOW + 90), Ok(rate(first)));
    }
    let mut entry = entry();
    entry.take(reading(2_500, NOW), NOW);
    entry.take(reading(3_750, NOW + 30), NOW + 30);
    assert_eq!(entry.at(NOW + 30), Ok(rate(3_750)));
    // After a long silence, the last reading says nothing.
    let later = NOW + 30 + 1_001;
    entry.take(reading(9_999, later), later);
    assert_eq!(entry.at(later), Ok(rate(9_999)));
}

#[test]
fn reading_of_a_replaced_source_counts_for_nothing() {
    let asked = entry();
    let mut replaced = Entry {
        decimals: asked.decimals + 1,
        ..entry()
    };
    replaced.take_of(&asked, reading(2_000, NOW), NOW);
    assert_eq!((replaced.last, &replaced.fault), (None, &None));
    let mut same = entry();
    same.take_of(&asked, reading(2_000, NOW), NOW);
    assert!(same.last.is_some());
}

#[test]
fn reading_of_the_future_stops_the_token() {
    let mut entry = entry();
    entry.take(reading(2_500, NOW + 600), NOW);
    assert_eq!(entry.at(NOW), Ok(rate(2_500)));
    entry.take(reading(2_500, NOW + 601), NOW);
    assert_eq!(entry.at(NOW), Err(RateFault::Ahead { ahead: 601 }));
}

#[test]
fn jumps_of_extreme_rates_do_not_overflow() {
    let (low, high) = (NativeRate::new(u128::MAX, 1), NativeRate::new(1, u128::MAX));
    let of = |rate: Option<NativeRate>| Reading {
        rate: rate.unwrap(),
        at: None,
    };
    for (a, b) in [(low, high), (high, low)] {
        let jump = accept(Some(of(a)), of(b), BOUNDS, NOW);
        let percent = u64::MAX;
        assert_eq!(jump, Err(RateFault::Jump { percent, max: 50 }));
        assert!(accept(Some(of(a)), of(a), BOUNDS, NOW).is_ok());
    }
}

fn file(name: &str, text: &str) -> (tempfile::TempDir, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join(name);
    fs::write(&path, text).unwrap();
    (folder, path)
}

#[tokio::test]
async fn file_is_read_again_when_it_changes() {
    let (_folder, path) = file("rate", "2500.0\n");
    let rates = TokenRates::new();
    rates
        .follow(TOKEN, 6, RateSource::File(path.clone()), BOUNDS)
        .unwrap();
    rates.refresh(&no_node()).await;
    assert_eq!(rates.of(TOKEN), Ok(rate(2_500_000_000)));
    fs::write(&path, "2600.5").unwrap();
    // Not yet due.
    rates.refresh(&no_node()).await;
    assert_eq!(rates.of(TOKEN), Ok(rate(2_500_000_000)));
    rates.shared.due.store(0, Relaxed);
    rates.refresh(&no_node()).await;
    assert_eq!(rates.of(TOKEN), Ok(rate(2_600_500_000)));
    // A further source is due at once, and so are all.
    let (_other, second) = file("second", "1.5");
    let token = Address::repeat_byte(0x71);
    let source = RateSource::File(second);
    rates.follow(token, 6, source.clone(), BOUNDS).unwrap();
    rates.refresh(&no_node()).await;
    assert_eq!(rates.of(token), Ok(rate(1_500_000)));
    // The same source keeps its reading.
    rates.follow(token, 6, source, BOUNDS).unwrap();
    assert_eq!(rates.of(token), Ok(rate(1_500_000)));
    fs::remove_file(&path).unwrap();
    rates.shared.due.store(0, Relaxed);
    rates.refresh(&no_node()).await;
    // Until it is too old.
    assert_eq!(rates.of(TOKEN), Ok(rate(2_600_500_000)));
    assert_eq!(rates.last(TOKEN), Some(rate(2_600_500_000)));
}

#[tokio::test]
async fn useless_file_stops_its_token_alone() {
    let other = Address::repeat_byte(0x71);
    for text in ["", "2500", "0.0", "x", &"1".repeat(200)] {
        let (_folder, path) = file("rate", text);
        let rates = TokenRates::new();
        rates
            .follow(TOKEN, 6, RateSource::File(path), BOUNDS)
            .unwrap();
        rates
            .follow(other, 6, "1.0".parse().unwrap(), BOUNDS)
            .unwrap();
        rates.refresh(&no_node()).await;
        assert!(
            matches!(rates.of(TOKEN), Err(RateFault::Unread(_))),
            "{text}"
        );
        assert!(rates.of(other).is_ok());
        assert_eq!(rates.faults().keys().collect::<Vec<_>>(), [&TOKEN]);
    }
}

#[tokio::test]
async fn age_of_a_file_is_the_time_since_it_was_written() {
    let (_folder, path) = file("rate", "2500.0");
    let old = UNIX_EPOCH + Duration::from_secs(unix_now() - 2_000);
    fs::File::options()
        .write(true)
        .open(&path)
        .unwrap()
        .set_modified(old)
        .unwrap();
    let rates = TokenRates::new();
    rates
        .follow(TOKEN, 6, RateSource::File(path), BOUNDS)
        .unwrap();
    rates.refresh(&no_node()).await;
    assert!(matches!(rates.of(TOKEN), Err(RateFault::Old { .. })));
    // A win of before is still redeemed.
    assert!(rates.last(TOKEN).is_some());
}
