use super::*;
use proptest::prelude::*;

fn metering(meter: Meter, is_event_stream: bool, began: Instant) -> Metering {
    Metering::new(meter, is_event_stream, Reported::default(), began)
}

fn part(bytes: usize, units: u64) -> Part {
    Part { bytes, units }
}

#[tokio::test]
async fn pauses_of_the_payer_do_not_count() {
    let began = Instant::now();
    let at = |seconds| began + Duration::from_secs(seconds);
    let mut metering = metering(Meter::Reported, false, began);
    let elapsed =
        |metering: &Metering, seconds| metering.usage(Part::default(), at(seconds)).milliseconds;
    assert_eq!(elapsed(&metering, 2), 2_000);
    metering.pause(at(3));
    metering.pause(at(5));
    assert_eq!(elapsed(&metering, 9), 3_000);
    metering.resume(at(10));
    assert_eq!(elapsed(&metering, 11), 4_000);
    // Time is paid ahead.
    let due = metering.due(part(5, 1), at(11));
    assert_eq!((due.milliseconds, due.bytes), (4_000 + LOOK_AHEAD, 5));
}

#[tokio::test]
async fn counts_units_by_their_meter() {
    let now = Instant::now();
    let units = |metering: &Metering| metering.usage(Part::default(), now).units;
    let bytes = b": alive\n\ndata: 1\n\ndata: 2\n\ndata: ";
    let mut events = metering(Meter::Events, true, now);
    let whole = events.whole(bytes);
    assert_eq!(whole, part(bytes.len(), 2));
    events.add(bytes, whole);
    assert_eq!(
        (units(&events), events.is_between_events()),
        (Some(2), false)
    );
    assert_eq!(events.whole(b"3\n\n"), part(3, 1));
    // An answer of another kind is one unit.
    let mut object = metering(Meter::Events, false, now);
    let first = object.whole(b"{");
    object.add(b"{", first);
    let second = object.whole(b"}");
    object.add(b"}", second);
    assert_eq!(units(&object), Some(1));
    object.count(part(7, 1));
    assert_eq!(units(&object), Some(2));
    // The upstream's own number counts, from the beginning.
    let reported = Reported {
        units: Some(9),
        ..Reported::default()
    };
    let known = Metering::new(Meter::Events, true, reported, now);
    assert_eq!(known.usage(part(1, 1), now).units, Some(9));
    assert_eq!(units(&metering(Meter::Reported, false, now)), None);
}

#[tokio::test]
async fn tokens_that_are_not_reported_cost_the_most_or_nothing() {
    let now = Instant::now();
    let mut usage = metering(Meter::OpenaiUsage, false, now);
    assert_eq!(usage.last(true, now).units, None);
    // The upstream broke off, and nobody has counted.
    assert_eq!(usage.last(false, now).units, Some(0));
    let answer = br#"{"usage":{"total_tokens":4}}"#;
    usage.add(answer, usage.whole(answer));
    assert_eq!(usage.last(false, now).units, Some(4));
}

#[tokio::test]
async fn smallest_part_is_an_event_or_a_kib() {
    let now = Instant::now();
    let events = metering(Meter::Events, true, now);
    assert_eq!(events.least(b"data: 1\n\ndata: 2\n\n"), part(9, 1));
    assert_eq!(events.least(b"data: 1"), part(7, 0));
    let bytes = metering(Meter::Reported, false, now);
    assert_eq!(bytes.least(&[7; 5_000]).bytes, LEAST_PART);
    assert_eq!(bytes.least(&[7; 50]).bytes, 50);
}

proptest! {
    /// The largest part that is paid, against a search through all parts.
    #[test]
    fn largest_part_agrees_with_a_search(
        before in "(data\n){0,1}",
        text in "[d:\n]{0,40}",
        is_event_stream: bool,
        per_unit in 0..5_u64,
        money in 0..60_u64,
    ) {
        let now = Instant::now();
        let mut metering = metering(Meter::Events, is_event_stream, now);
        metering.add(before.as_bytes(), metering.whole(before.as_bytes()));
        let cost = |part: Part| part.bytes as u64 + per_unit * part.units;
        let found = metering.largest(text.as_bytes(), |part| cost(part) <= money);
        let ends = (1..=text.len()).filter(|end| {
            let mut after = metering.clone();
            after.add(&text.as_bytes()[..*end], part(*end, 0));
            // A blank line between events ends none.
            let is_end = metering.ends(&text.as_bytes()[..*end]).last().is_some_and(|last| last.bytes == *end);
            !is_event_stream || is_end && after.is_between_events()
        });
        let paid = ends.filter(|end| cost(metering.whole(&text.as_bytes()[..*end])) <= money);
        prop_assert_eq!(found.map(|part| part.bytes), paid.max());
        if let Some(found) = found {
            prop_assert_eq!(found, metering.whole(&text.as_bytes()[..found.bytes]));
        }
    }
}
