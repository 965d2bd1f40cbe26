//! The autoscaler: cases one by one, and simulated pools at work.

use dataflume_engine::autoscale::{Algorithm, Autoscaler, Change, Load, Reason, ScalingLimits};
use dataflume_model::time::ProcessingTime;

fn limits(initial: u32, max: u32) -> ScalingLimits {
    ScalingLimits {
        initial,
        min: 1,
        max,
        algorithm: Algorithm::ThroughputBased,
    }
}

/// Shows the same load every half second until something changes, for a minute at most.
fn first_change(limits: ScalingLimits, load: impl Fn(u64) -> Load) -> Option<(i64, Change)> {
    let mut scaler = Autoscaler::new(limits);
    (0..120_u64).find_map(|look| {
        let now = look as i64 * 500;
        let change = scaler.look(ProcessingTime(now), &load(look))?;
        Some((now, change))
    })
}

#[test]
fn limits_change_while_the_job_runs() {
    let mut scaler = Autoscaler::new(limits(2, 8));
    // Below what there must be now: at once.
    let change = scaler.limit(Some(4), None).unwrap();
    assert_eq!(
        (change.from, change.to, change.reason),
        (2, 4, Reason::Limits)
    );
    // No use for so many, but there must be so many.
    let idle = Load {
        slots: 1,
        ..Load::default()
    };
    let changes = (0..60).find_map(|look| scaler.look(ProcessingTime(look * 500), &idle));
    assert_eq!(changes, None);
    // Above what there may be: at once too, and the smallest number follows.
    let change = scaler.limit(None, Some(3)).unwrap();
    assert_eq!((change.from, change.to), (4, 3));
    assert_eq!(scaler.limit(Some(1), Some(3)), None);
    let change = (60..120).find_map(|look| scaler.look(ProcessingTime(look * 500), &idle));
    assert_eq!(change.unwrap().to, 1);
    // Where the number never changes, limits don't either.
    let mut fixed = Autoscaler::new(ScalingLimits::fixed(1));
    assert_eq!(fixed.limit(Some(5), Some(5)), None);
}

#[test]
fn cases() {
    let busy = Load {
        slots: 1,
        running: 1,
        startable: 7,
        waiting_bytes: 1_000_000,
        ..Load::default()
    };
    // Nothing was finished: patience first, then twice as many.
    let (at, change) = first_change(limits(1, 8), |_| busy).unwrap();
    assert_eq!((at, change.from, change.to), (2_000, 1, 2));
    assert_eq!(change.reason, Reason::Backlog { remaining_ms: None });

    // 10 kB a second: the rest would take 100 s, so as many as can be used.
    let slow = |look| Load {
        processed_bytes: look * 5_000,
        ..busy
    };
    let (at, change) = first_change(limits(1, 8), slow).unwrap();
    assert_eq!((at, change.to), (500, 8));
    assert_eq!(
        change.reason,
        Reason::Backlog {
            remaining_ms: Some(100_000)
        }
    );
    assert_eq!(first_change(limits(1, 3), slow).unwrap().1.to, 3);

    // A megabyte a second: done before another worker would be ready.
    let fast = |look| Load {
        processed_bytes: look * 500_000,
        ..busy
    };
    assert_eq!(first_change(limits(1, 8), fast), None);

    // Workers that are being started come first.
    let starting = |look| Load {
        starting: 1,
        ..slow(look)
    };
    assert_eq!(first_change(limits(1, 8), starting), None);

    // Their start is no time in which work waited, nor one that tells how fast it is done.
    let just_there = |look| Load {
        starting: u32::from(look < 10),
        processed_bytes: if look < 10 { 0 } else { (look - 10) * 500_000 },
        ..busy
    };
    assert_eq!(first_change(limits(1, 8), just_there), None);
    let idle_yet = |look| Load {
        starting: u32::from(look < 10),
        ..busy
    };
    let (at, _) = first_change(limits(1, 8), idle_yet).unwrap();
    assert_eq!(at, 5_000 + 2_000);

    // What can't be spread needs no more workers.
    let lonely = |look| Load {
        startable: 0,
        ..slow(look)
    };
    assert_eq!(first_change(limits(1, 8), lonely), None);

    // Workers with several slots.
    let threads = |look| Load {
        slots: 4,
        ..slow(look)
    };
    assert_eq!(first_change(limits(1, 8), threads).unwrap().1.to, 2);

    // Four for one bundle's work.
    let idle = Load {
        startable: 0,
        waiting_bytes: 0,
        ..busy
    };
    let (at, change) = first_change(limits(4, 8), |_| idle).unwrap();
    assert_eq!((at, change.from, change.to), (5_000, 4, 1));
    assert_eq!(change.reason, Reason::Idle);

    // The last one stays, and so does a number that is not to change.
    let nothing = Load {
        slots: 1,
        ..Load::default()
    };
    assert_eq!(first_change(limits(1, 8), |_| nothing), None);
    assert_eq!(first_change(limits(2, 8), |_| nothing).unwrap().1.to, 1);
    assert_eq!(first_change(ScalingLimits::fixed(3), slow), None);
    assert_eq!(Autoscaler::new(ScalingLimits::fixed(3)).next_look(), None);
}

#[test]
fn a_short_dip_stops_no_worker() {
    let mut scaler = Autoscaler::new(limits(4, 8));
    for look in 0..100 {
        let running = if look % 8 == 0 { 4 } else { 1 };
        let load = Load {
            slots: 1,
            running,
            ..Load::default()
        };
        assert_eq!(scaler.look(ProcessingTime(look * 500), &load), None);
    }
}

/// A pool of workers that take two seconds to start and process a unit of 1,000 bytes per step of 100 ms.
struct Pool {
    scaler: Autoscaler,
    ready: u32,
    /// When those that were started will be ready.
    starting: Vec<i64>,
    waiting: u64,
    processed: u64,
    changes: Vec<Change>,
}

impl Pool {
    fn new(limits: ScalingLimits) -> Self {
        Self {
            scaler: Autoscaler::new(limits),
            ready: limits.initial,
            starting: Vec::new(),
            waiting: 0,
            processed: 0,
            changes: Vec::new(),
        }
    }

    fn step(&mut self, now: i64, arriving: u64) {
        self.waiting += arriving;
        let before = self.starting.len();
        self.starting.retain(|at| *at > now);
        self.ready += (before - self.starting.len()) as u32;
        let running = u64::from(self.ready).min(self.waiting);
        self.waiting -= running;
        self.processed += running;
        let load = Load {
            starting: self.starting.len() as u32,
            slots: 1,
            running: running as u32,
            startable: self.waiting,
            waiting_bytes: self.waiting * 1_000,
            processed_bytes: self.processed * 1_000,
        };
        if let Some(change) = self.scaler.look(ProcessingTime(now), &load) {
            assert_ne!(change.from, change.to);
            self.ready = self.ready.min(change.to);
            let more = change.to.saturating_sub(change.from);
            self.starting.extend((0..more).map(|_| now + 2_000));
            self.changes.push(change);
        }
        assert!((1..=8).contains(&self.scaler.target()));
    }

    /// How often the direction changed.
    fn turns(&self) -> usize {
        let up: Vec<bool> = self.changes.iter().map(|c| c.to > c.from).collect();
        up.windows(2).filter(|pair| pair[0] != pair[1]).count()
    }
}

#[test]
fn a_batch_grows_to_the_limit_and_shrinks_once_when_it_runs_out() {
    let mut pool = Pool::new(limits(1, 8));
    pool.waiting = 3_000;
    for step in 0..1_000 {
        pool.step(step * 100, 0);
    }
    assert_eq!(pool.waiting, 0);
    assert_eq!(pool.changes.iter().map(|c| c.to).max(), Some(8));
    assert_eq!(pool.turns(), 1, "{:?}", pool.changes);
    assert_eq!(pool.scaler.target(), 1);
}

#[test]
fn steady_streams_of_any_rate_keep_up_and_do_not_flap() {
    for rate in 1..=8_u64 {
        let mut pool = Pool::new(limits(1, 8));
        for step in 0..6_000 {
            pool.step(step * 100, rate);
        }
        assert!(pool.waiting < 2_000, "rate {rate}: {} wait", pool.waiting);
        assert!(pool.turns() <= 2, "rate {rate}: {:?}", pool.changes);
    }
}

#[test]
fn little_work_starts_no_worker() {
    let mut pool = Pool::new(limits(1, 8));
    pool.waiting = 25;
    for step in 0..200 {
        pool.step(step * 100, 0);
    }
    assert_eq!(pool.changes, []);
}

#[test]
fn work_that_comes_and_goes_is_followed_ever_more_slowly() {
    let mut scaler = Autoscaler::new(limits(1, 8));
    let mut raised = Vec::new();
    // What could use two workers for a while, and then has no use for the second: again and again.
    for look in 0..4_000 {
        let startable = u64::from(scaler.target() == 1);
        let load = Load {
            slots: 1,
            running: 1,
            startable,
            ..Load::default()
        };
        let now = ProcessingTime(look * 500);
        if scaler
            .look(now, &load)
            .is_some_and(|change| change.to > change.from)
        {
            raised.push(now.0);
        }
    }
    let gaps: Vec<i64> = raised.windows(2).map(|pair| pair[1] - pair[0]).collect();
    assert!(gaps.is_sorted(), "{gaps:?}");
    assert!(gaps.last().is_some_and(|gap| *gap > 60_000), "{gaps:?}");
}
