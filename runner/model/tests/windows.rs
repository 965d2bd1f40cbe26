//! Assigning, merging and mapping windows.

use dataflume_model::time::EventTime;
use dataflume_model::window::{Window, WindowFn};

fn interval(start: i64, end: i64) -> Window {
    Window::Interval {
        start: EventTime(start),
        end: EventTime(end),
    }
}

#[test]
fn assign() {
    let fixed = WindowFn::Fixed {
        size_ms: 10,
        offset_ms: 0,
    };
    let shifted = WindowFn::Fixed {
        size_ms: 10,
        offset_ms: 4,
    };
    let sliding = WindowFn::Sliding {
        size_ms: 10,
        period_ms: 5,
        offset_ms: 0,
    };
    let gaps = WindowFn::Sliding {
        size_ms: 2,
        period_ms: 5,
        offset_ms: 1,
    };
    let sessions = WindowFn::Sessions { gap_ms: 7 };
    let cases = [
        (&fixed, 0, vec![interval(0, 10)]),
        (&fixed, 9, vec![interval(0, 10)]),
        (&fixed, -1, vec![interval(-10, 0)]),
        (&shifted, 3, vec![interval(-6, 4)]),
        (&shifted, 4, vec![interval(4, 14)]),
        (&sliding, 12, vec![interval(10, 20), interval(5, 15)]),
        (&sliding, -3, vec![interval(-5, 5), interval(-10, 0)]),
        (&gaps, 2, vec![interval(1, 3)]),
        (&gaps, 3, vec![]),
        (&sessions, 3, vec![interval(3, 10)]),
    ];
    for (function, timestamp, expected) in cases {
        assert_eq!(
            function.assign(EventTime(timestamp)),
            Some(expected),
            "{function:?} at {timestamp}"
        );
    }
}

#[test]
fn extremes_do_not_overflow() {
    for function in [
        WindowFn::Fixed {
            size_ms: i64::MAX,
            offset_ms: i64::MIN,
        },
        WindowFn::Sliding {
            size_ms: 100,
            period_ms: 0,
            offset_ms: i64::MAX,
        },
        WindowFn::Sessions { gap_ms: i64::MAX },
    ] {
        for timestamp in [EventTime::MIN, EventTime(0), EventTime::MAX] {
            assert!(function.assign(timestamp).is_some());
        }
    }
}

#[test]
fn sessions_merge_where_they_overlap() {
    let sessions = WindowFn::Sessions { gap_ms: 10 };
    let windows = [
        interval(40, 50),
        interval(0, 10),
        interval(8, 18),
        interval(18, 28),
        interval(42, 45),
    ];
    let merged = sessions.merge(&windows);
    let expected = vec![
        (interval(0, 18), vec![interval(0, 10), interval(8, 18)]),
        (interval(18, 28), vec![interval(18, 28)]),
        (interval(40, 50), vec![interval(40, 50), interval(42, 45)]),
    ];
    assert_eq!(merged, Some(expected));
}

#[test]
fn side_input_windows() {
    let fixed = WindowFn::Fixed {
        size_ms: 60,
        offset_ms: 0,
    };
    let sliding = WindowFn::Sliding {
        size_ms: 60,
        period_ms: 20,
        offset_ms: 0,
    };
    let main = interval(50, 70);
    assert_eq!(WindowFn::Global.map_side_input(&main), Some(Window::Global));
    assert_eq!(fixed.map_side_input(&main), Some(interval(60, 120)));
    // The earliest window that holds timestamp 69.
    assert_eq!(sliding.map_side_input(&main), Some(interval(20, 80)));
    assert_eq!(WindowFn::Sessions { gap_ms: 5 }.map_side_input(&main), None);
    let custom = WindowFn::Custom {
        urn: "beam:window_fn:pickled_python:v1".into(),
        payload: Default::default(),
    };
    assert_eq!(custom.map_side_input(&main), None);
    assert_eq!(custom.assign(EventTime(0)), None);
}
