use super::*;

fn refused(composer: &mut TestComposer, priors: u64, threshold: u64, now_s: u64) -> ComposeError {
    let threshold = NonZeroU64::new(threshold).unwrap();
    let composed = composer.compose(size(), threshold, [[1], [2]], |_| priors, now_s);
    composed.unwrap_err()
}

#[test]
fn retries_too_few_providers_after_20_seconds() {
    let mut composer = TestComposer::new();
    let expected = ComposeError::PriorsTooSmall {
        sum: 10,
        threshold: 11,
        retry_at_s: 120,
    };
    assert_eq!(refused(&mut composer, 5, 11, 100), expected);
    assert_eq!(composer.due(119), None);
    let waiting = ComposeError::Waiting {
        now_s: 119,
        until_s: 120,
    };
    assert_eq!(refused(&mut composer, 9, 11, 119), waiting);
    let mut composer = restarted(&composer);
    assert_eq!(composer.due(120), Some(Due::First));
    let threshold = NonZeroU64::new(11).unwrap();
    composer
        .compose(size(), threshold, [[1], [2]], |_| 6, 120)
        .unwrap();
}

#[test]
fn retries_failed_deposit_after_30_minutes() {
    let mut composer = TestComposer::new();
    let ids = [[1], [2]];
    let round = composer.compose(size(), NonZeroU64::MIN, ids, |_| 1, 100);
    let round = round.unwrap().round;
    assert_eq!(composer.due(100), None);
    composer.failed(round, 150).unwrap();
    assert_eq!(composer.due(150 + 1_799), None);
    assert_eq!(composer.due(150 + 1_800), Some(Due::First));
    let again = composer.opened(round, [1; 32], 0, END);
    let expected = OpenedError::WrongRound {
        found: round,
        expected: None,
    };
    assert_eq!(again, Err(expected));
}

#[test]
fn accepts_opening_after_its_timeout_until_next_compose() {
    let mut composer = TestComposer::new();
    let first = composer.compose(size(), NonZeroU64::MIN, [[1]], |_| 1, 100);
    let first = first.unwrap();
    let until_s = 100 + 300 + 1_800;
    let mut late = restarted(&composer);
    assert_eq!(
        refused(&mut composer, 1, 1, until_s - 1),
        ComposeError::Creating { round: 1, until_s }
    );
    let second = composer.compose(size(), NonZeroU64::MIN, [[1]], |_| 1, until_s);
    assert_eq!(second.unwrap().round, first.round + 1);
    let expected = OpenedError::WrongRound {
        found: 1,
        expected: Some(2),
    };
    assert_eq!(composer.opened(1, [1; 32], 0, END), Err(expected));

    let changes = late.opened(1, [1; 32], 0, END).unwrap();
    assert_eq!(changes.granted, first.allowances);
    assert_eq!(late.due(until_s), None);
}

#[test]
fn becomes_due_20_minutes_before_end_or_with_the_whole_fee() {
    let mut composer = TestComposer::new();
    next(&mut composer, 4, 1, 1_000);
    assert_eq!(composer.due(END - 1_201), None);
    let near = Due::NearEnd { left_s: 1_200 };
    assert_eq!(composer.due(END - 1_200), Some(near));
    let all = composer.credit(&[1], 0).new_remain;
    assert!(pay(&mut composer, 1, all * 94 / 100).fee() < 1_000);
    assert_eq!(composer.due(0), None);
    pay(&mut composer, 1, all / 50);
    assert_eq!(composer.charged(), Some((1_000, 1_000)));
    assert_eq!(composer.due(0), Some(Due::Charged));
}

#[test]
fn reports_granted_and_dropped_allowances() {
    let mut composer = TestComposer::new();
    let first = next(&mut composer, 4, 1, 0);
    assert_eq!(first.granted.values().sum::<u128>(), SIZE);
    assert!(first.dropped.is_empty());
    let second = next(&mut composer, 2, 2, 0);
    assert!(second.granted.keys().eq(&[[0], [1]]));
    assert!(second.dropped.iter().eq(&[[2], [3]]));
    assert_eq!(
        composer.opened(2, [2; 32], 0, END),
        Err(OpenedError::WrongRound {
            found: 2,
            expected: None
        })
    );
}

#[test]
fn pays_from_older_allowances_first_without_a_fee() {
    let mut composer = TestComposer::new();
    next(&mut composer, 4, 1, 0);
    next(&mut composer, 4, 2, 1 << 20);
    let quarter = SIZE / 4;
    let quote = composer.quote(&[1], 1, quarter, 0).unwrap();
    assert_eq!((quote.fee(), quote.cost()), (0, quarter));
    let across = pay(&mut composer, 1, quarter + quarter / 2);
    assert!(across.fee() > 0);
    let pieces = across.pieces().iter();
    let pieces: Vec<_> = pieces.map(|piece| (piece.deposit, piece.amount)).collect();
    assert_eq!(pieces, [([1; 32], quarter), ([2; 32], quarter / 2)]);
    let credit = Credit {
        old_remain: 0,
        new_total: quarter,
        new_remain: quarter / 2,
        future: 6 * quarter,
    };
    assert_eq!(composer.credit(&[1], 0), credit);
}

#[test]
fn pays_nothing_from_ended_or_unusable_deposit() {
    let mut composer = TestComposer::new();
    next(&mut composer, 4, 1, 0);
    assert!(composer.quote(&[1], 1, 9, END - 1).is_ok());
    let nothing = Err(QuoteError::NotCovered { min: 1, left: 0 });
    assert_eq!(composer.quote(&[1], 1, 9, END), nothing);
    composer.mark_unusable(&[1; 32], &[1]);
    let composer = restarted(&composer);
    assert_eq!(composer.quote(&[1], 1, 9, 0), nothing);
    assert_eq!(composer.credit(&[1], 0).new_remain, 0);
    assert!(composer.quote(&[2], 1, 9, 0).is_ok());
}

#[test]
fn rejects_impossible_amounts() {
    let mut composer = TestComposer::new();
    next(&mut composer, 4, 1, 0);
    let quarter = SIZE / 4;
    let quote = |min, max| {
        composer
            .quote(&[1], min, max, 0)
            .map(|quote| quote.amount())
    };
    assert_eq!(quote(0, 0), Err(QuoteError::ZeroAmount));
    assert_eq!(quote(2, 1), Err(QuoteError::EmptyRange { min: 2, max: 1 }));
    assert_eq!(quote(1, u128::MAX), Ok(quarter));
    let over = QuoteError::NotCovered {
        min: quarter + 1,
        left: quarter,
    };
    assert_eq!(quote(quarter + 1, u128::MAX), Err(over));
    let unknown = QuoteError::NotCovered { min: 0, left: 0 };
    assert_eq!(composer.quote(&[9], 0, 1, 0), Err(unknown));
}

#[test]
fn records_quote_once_and_only_while_unchanged() {
    let mut composer = TestComposer::new();
    next(&mut composer, 4, 1, 0);
    let (one, other) = (composer.quote(&[1], 5, 5, 0), composer.quote(&[2], 5, 5, 0));
    let (one, other) = (one.unwrap(), other.unwrap());
    composer.record(&one).unwrap();
    let before = composer.clone();
    assert!(composer.record(&one).is_err());
    assert!(composer.record(&other).is_err());
    assert_eq!(composer, before);
}

#[test]
fn keeps_credit_of_payments_made_while_opening() {
    let mut composer = TestComposer::new();
    next(&mut composer, 4, 1, 0);
    pay(&mut composer, 1, 1_000);
    let ids = (0..4).map(|n| [n]);
    let round = composer.compose(size(), NonZeroU64::MIN, ids, |_| 1, 0);
    pay(&mut composer, 1, 10);
    let mut composer = restarted(&composer);
    composer
        .opened(round.unwrap().round, [2; 32], 0, END)
        .unwrap();
    assert_eq!(composer.credit(&[1], 0).future, 40);
}

#[test]
fn carries_over_a_quarter_of_unserved_credit() {
    let mut composer = TestComposer::new();
    next(&mut composer, 2, 1, 0);
    pay(&mut composer, 0, SIZE / 2);
    pay(&mut composer, 1, SIZE / 2);
    // Each provider has 2 deposits of credit, and gets half a deposit.
    next(&mut composer, 2, 2, 0);
    let carried = (2 * SIZE - SIZE / 2) / 4;
    assert_eq!(composer.credit(&[0], 0).future, carried);
    // A provider that is no candidate is not served.
    let round = composer.compose(size(), NonZeroU64::MIN, [[1]], |_| 1, 0);
    composer
        .opened(round.unwrap().round, [3; 32], 0, END)
        .unwrap();
    assert_eq!(composer.credit(&[0], 0).future, carried / 4);
}

#[test]
fn prunes_ended_deposits_except_the_newest() {
    let mut composer = TestComposer::new();
    next(&mut composer, 4, 1, 7);
    next(&mut composer, 4, 2, 9);
    composer.prune(END - 1);
    assert_eq!(composer.deposits.len(), 2);
    composer.prune(END);
    assert_eq!(composer.deposits.len(), 1);
    assert_eq!(composer.charged(), Some((0, 9)));
}

#[test]
fn rejects_deposit_that_is_open_already() {
    let mut composer = TestComposer::new();
    next(&mut composer, 4, 1, 0);
    let round = composer.compose(size(), NonZeroU64::MIN, [[1]], |_| 1, 0);
    let round = round.unwrap().round;
    let again = composer.opened(round, [1; 32], 0, END);
    assert_eq!(again, Err(OpenedError::AlreadyOpen));
    composer.opened(round, [2; 32], 0, END).unwrap();
}

#[test]
fn rejects_damaged_and_newer_bytes() {
    let mut composer = TestComposer::new();
    next(&mut composer, 4, 1, 7);
    pay(&mut composer, 1, 10);
    let bytes = composer.to_bytes();
    for length in 0..bytes.len() {
        let cut = TestComposer::from_bytes(&bytes[..length]);
        assert_eq!(cut, Err(LoadComposerError::Damaged { length }));
    }
    let newer = [&[2], &bytes[1..]].concat();
    let found = TestComposer::from_bytes(&newer);
    assert_eq!(found, Err(LoadComposerError::Version { found: 2 }));
    // The ids have another length.
    assert!(Composer::<[u8; 32]>::from_bytes(&bytes).is_err());
}
