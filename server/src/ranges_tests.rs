use proptest::prelude::*;

use super::*;

fn spans(value: &str, length: u64) -> Vec<(u64, u64)> {
    match select(value.as_bytes(), length) {
        Selection::Spans(spans) => spans.iter().map(|span| (span.start, span.length)).collect(),
        other => panic!("{value}: {other:?}"),
    }
}

#[test]
fn single_ranges_are_cut_to_what_is_there() {
    for (value, expected) in [
        ("bytes=0-0", (0, 1)),
        ("bytes=0-499", (0, 500)),
        ("bytes=500-999", (500, 500)),
        ("bytes=999-", (999, 1)),
        ("bytes=0-", (0, 1000)),
        ("bytes=900-5000", (900, 100)),
        ("bytes=-1", (999, 1)),
        ("bytes=-1000", (0, 1000)),
        ("bytes=-5000", (0, 1000)),
        ("BYTES=1-2", (1, 2)),
        ("bytes= 1-2 ,, \t", (1, 2)),
        ("bytes=0-99999999999999999999999", (0, 1000)),
        ("bytes=-99999999999999999999999", (0, 1000)),
        ("bytes=000-0001", (0, 2)),
    ] {
        assert_eq!(spans(value, 1000), [expected], "{value}");
    }
}

#[test]
fn several_ranges_keep_their_order_unless_they_touch() {
    for (value, expected) in [
        ("bytes=0-1,4-5", &[(0, 2), (4, 2)][..]),
        ("bytes=-2,0-1", &[(8, 2), (0, 2)]),
        // What is not there is left out, as long as something is.
        ("bytes=50-60,4-5,90-", &[(4, 2)]),
        ("bytes=-0,4-5", &[(4, 2)]),
        ("bytes=0-3,2-5", &[(0, 6)]),
        ("bytes=2-5,0-3,9-9", &[(0, 6), (9, 1)]),
        ("bytes=0-1,2-3", &[(0, 4)]),
        ("bytes=0-,0-,0-,0-", &[(0, 10)]),
        ("bytes=0-9,3-4", &[(0, 10)]),
    ] {
        assert_eq!(spans(value, 10), expected, "{value}");
    }
}

#[test]
fn ranges_of_what_is_not_there_cannot_be_satisfied() {
    for value in
        ["bytes=10-", "bytes=10-20", "bytes=-0", "bytes=99999999999999999999-", "bytes=10-,-0"]
    {
        assert_eq!(select(value.as_bytes(), 10), Selection::Unsatisfiable, "{value}");
    }
    assert_eq!(select(b"bytes=0-", 0), Selection::Unsatisfiable);
    assert_eq!(select(b"bytes=-0", 0), Selection::Unsatisfiable);
    assert_eq!(select(b"bytes=-5", 0), Selection::Whole);
}

#[test]
fn what_is_malformed_is_ignored() {
    for value in [
        "",
        "bytes",
        "bytes=",
        "bytes=,",
        "bytes=-",
        "bytes=--1",
        "bytes=5",
        "bytes=5-4",
        "bytes=0-1,5-4",
        "bytes=a-b",
        "bytes=+1-2",
        "bytes=0x1-2",
        "bytes=1 -2",
        "bytes=1- 2",
        "bytes=1-2-3",
        "bytes=1-2;3-4",
        "bytes 1-2",
        "bytes =1-2",
        "lines=1-2",
        // Two header lines, joined.
        "bytes=0-1, bytes=2-3",
    ] {
        assert_eq!(select(value.as_bytes(), 10), Selection::Whole, "{value}");
    }
    assert_eq!(select(b"bytes=1-\xff", 10), Selection::Whole);
}

#[test]
fn too_many_ranges_are_ignored() {
    let list = |count: u64| (0..count).map(|n| format!("{n}-{n}")).collect::<Vec<_>>().join(",");
    assert_eq!(spans(&format!("bytes={}", list(16)), 100), [(0, 16)]);
    let many = format!("bytes={}", list(17));
    assert_eq!(select(many.as_bytes(), 100), Selection::Whole);
    let apart = (0..16).map(|n| format!("{}-{}", 2 * n, 2 * n)).collect::<Vec<_>>().join(",");
    assert_eq!(spans(&format!("bytes={apart}"), 100).len(), 16);
}

#[test]
fn content_range_names_the_last_byte() {
    let span = Span { start: 500, length: 500 };
    assert_eq!(span.content_range(1234), "bytes 500-999/1234");
    assert_eq!(Span { start: 0, length: 1 }.content_range(1), "bytes 0-0/1");
}

/// Bytes that are likely to be a Range header, and any others.
fn header() -> impl Strategy<Value = Vec<u8>> {
    let number = prop_oneof![
        Just(String::new()),
        (0..40_u64).prop_map(|n| n.to_string()),
        any::<u64>().prop_map(|n| n.to_string()),
        Just("99999999999999999999999".to_owned()),
    ];
    let range = (number.clone(), number).prop_map(|(first, last)| format!("{first}-{last}"));
    let list =
        prop::collection::vec(range, 0..20).prop_map(|list| format!("bytes={}", list.join(",")));
    prop_oneof![list.prop_map(String::into_bytes), prop::collection::vec(any::<u8>(), 0..40)]
}

proptest! {
    /// Whatever the header says: nothing outside of the representation is selected, nothing twice.
    #[test]
    fn selections_lie_inside_and_do_not_overlap(
        value in header(),
        length in prop_oneof![0..40_u64, Just(u64::MAX), any::<u64>()],
    ) {
        let Selection::Spans(mut spans) = select(&value, length) else { return Ok(()) };
        prop_assert!((1..=MAX_RANGES).contains(&spans.len()));
        for span in &spans {
            prop_assert!(span.length > 0);
            let end = span.start.checked_add(span.length);
            prop_assert!(end.is_some_and(|end| end <= length), "{span:?} of {length}");
            let text = span.content_range(length);
            let (first, rest) = text.strip_prefix("bytes ").unwrap().split_once('-').unwrap();
            let (last, total) = rest.split_once('/').unwrap();
            prop_assert_eq!(first.parse::<u64>().unwrap(), span.start);
            prop_assert_eq!(last.parse::<u64>().unwrap(), span.start + (span.length - 1));
            prop_assert_eq!(total.parse::<u64>().unwrap(), length);
        }
        spans.sort_by_key(|span| span.start);
        prop_assert!(spans.windows(2).all(|two| two[0].start + two[0].length < two[1].start));
    }

    /// A range that says what is there selects it, byte for byte.
    #[test]
    fn a_plain_range_selects_what_it_names(length in 1..u64::MAX, a: u64, b: u64) {
        let (first, last) = ((a % length).min(b % length), (a % length).max(b % length));
        let selection = select(format!("bytes={first}-{last}").as_bytes(), length);
        let span = Span { start: first, length: last - first + 1 };
        prop_assert_eq!(selection, Selection::Spans(vec![span]));
    }
}
