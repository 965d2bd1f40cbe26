//! The engine against a fake harness that reorders, delays, splits, fails and kills, with checks
//! after every step. A failure names its seed: `DATAFLUME_SEED=n cargo test -p dataflume-engine
//! --test simulator` runs that one alone.

mod checks;
mod plans;
mod rng;
mod world;

use std::collections::{BTreeMap, BTreeSet};

use dataflume_engine::{
    Action, Bundle, BundleFailure, Engine, EngineConfig, Input, JobOutcome, PendingData, Work,
};
use dataflume_model::ids::{BundleId, EnvironmentId, WorkerId};
use dataflume_model::time::ProcessingTime;

use crate::checks::Checks;
use crate::rng::Rng;
use crate::world::{Staged, World, on_worker};

const SEEDS: u64 = 10_000;
/// No plan of this size needs more: beyond it, the engine runs in circles.
const MAX_STEPS: u32 = 100_000;

/// Something that will happen.
#[derive(Debug, Clone)]
enum Event {
    BundleNearsEnd(BundleId),
    BundleWindsUp(BundleId),
    BundleEnds(BundleId),
    WorkerJoins(EnvironmentId),
    SlotsChange(WorkerId),
    WorkerDies(WorkerId),
    SplitAnswered(BundleId),
    /// News of a bundle that the engine has given up: it must not matter.
    Ghost(BundleId),
    Drain,
}

#[derive(Debug)]
struct Simulation {
    engine: Engine,
    world: World,
    checks: Checks,
    now: i64,
    events: BTreeMap<(i64, u64), Event>,
    next_event: u64,
    running: BTreeMap<BundleId, Bundle>,
    staged: BTreeMap<BundleId, Staged>,
    workers: BTreeMap<WorkerId, EnvironmentId>,
    slots: BTreeMap<WorkerId, u32>,
    /// When bundles began, and how old they have to be to give their slots while they wind up.
    began: BTreeMap<BundleId, i64>,
    long_ms: i64,
    winding_up: BTreeSet<BundleId>,
    next_worker: u64,
    outcome: Option<JobOutcome>,
    chaos: Chaos,
}

/// How unfriendly the world is: one in so many bundles fails, loses its worker.
#[derive(Debug, Clone, Copy)]
struct Chaos {
    fails: u64,
    kills: u64,
    /// This bundle's work never succeeds.
    poisoned: bool,
    max_attempts: u32,
    drains_within_ms: Option<u64>,
}

impl Simulation {
    fn new(seed: u64) -> Self {
        let mut rng = Rng::new(seed);
        let plan = plans::random(&mut rng);
        let config = EngineConfig {
            runner_slots: 1 + rng.below(3) as u32,
            max_bundle_elements: 1 + rng.below(20),
            max_bundle_bytes: 10 + rng.below(500),
            max_waiting_bytes_of_grouping: rng.below(500),
            split_after_ms: 5 + rng.below(40) as i64,
            early_split_after_ms: 1 + rng.below(20) as i64,
            checkpoint_after_ms: 5 + rng.below(40) as i64,
            ..EngineConfig::default()
        };
        let chaos = Chaos {
            fails: if rng.one_in(2) { 8 } else { u64::MAX },
            kills: if rng.one_in(2) { 15 } else { u64::MAX },
            poisoned: rng.one_in(20),
            max_attempts: config.max_bundle_attempts,
            drains_within_ms: rng.one_in(3).then(|| 1 + rng.below(600)),
        };
        Self {
            long_ms: config.split_after_ms,
            engine: Engine::new(&plan, config),
            world: World::new(plan, rng),
            checks: Checks::default(),
            now: 1_000_000,
            events: BTreeMap::new(),
            next_event: 0,
            running: BTreeMap::new(),
            staged: BTreeMap::new(),
            workers: BTreeMap::new(),
            slots: BTreeMap::new(),
            began: BTreeMap::new(),
            winding_up: BTreeSet::new(),
            next_worker: 0,
            outcome: None,
            chaos,
        }
    }

    fn run(&mut self) -> JobOutcome {
        for environment in 0..plans::ENVIRONMENTS {
            for _ in 0..1 + self.world.rng.below(2) {
                self.later(30, Event::WorkerJoins(EnvironmentId(environment)));
            }
        }
        if let Some(within_ms) = self.chaos.drains_within_ms {
            self.later(within_ms, Event::Drain);
        }
        self.tell(Input::Start);
        for _ in 0..MAX_STEPS {
            if let Some(outcome) = self.outcome.take() {
                return outcome;
            }
            let event = self.events.first_key_value().map(|((at, _), _)| *at);
            let deadline = self.engine.next_deadline().map(|at| at.0.max(self.now));
            match (event, deadline) {
                (None, None) => panic!("nothing will ever happen again\n{}", self.engine.dump()),
                (Some(at), deadline) if deadline.is_none_or(|deadline| at <= deadline) => {
                    let (_, event) = self.events.pop_first().expect("there is one");
                    self.now = self.now.max(at);
                    self.happen(event);
                }
                (_, Some(deadline)) => {
                    self.now = deadline;
                    self.tell(Input::Tick);
                }
                (Some(_), None) => unreachable!("an event without deadline is taken"),
            }
        }
        panic!("no end after {MAX_STEPS} steps\n{}", self.engine.dump());
    }

    fn later(&mut self, within_ms: u64, event: Event) {
        let at = self.now + self.world.rng.below(within_ms) as i64;
        self.next_event += 1;
        self.events.insert((at, self.next_event), event);
    }

    fn happen(&mut self, event: Event) {
        match event {
            Event::WorkerJoins(environment) => {
                let worker = WorkerId(self.next_worker);
                self.next_worker += 1;
                self.workers.insert(worker, environment);
                let slots = 1 + self.world.rng.below(2) as u32;
                self.slots.insert(worker, slots);
                self.tell(Input::WorkerJoined {
                    worker,
                    environment,
                    slots,
                });
                self.later(200, Event::SlotsChange(worker));
            }
            Event::SlotsChange(worker) => {
                if self.workers.contains_key(&worker) {
                    let slots = 1 + self.world.rng.below(5) as u32;
                    self.slots.insert(worker, slots);
                    self.tell(Input::WorkerSlots { worker, slots });
                }
            }
            Event::WorkerDies(worker) => {
                if let Some(environment) = self.workers.remove(&worker) {
                    self.later(50, Event::WorkerJoins(environment));
                    self.tell(Input::WorkerLost {
                        worker,
                        reason: "killed".into(),
                        blames_bundles: false,
                    });
                }
            }
            Event::BundleNearsEnd(bundle) => self.tell(Input::BundleNearsEnd { bundle }),
            Event::BundleWindsUp(bundle) => {
                // Of one that has not run for long it doesn't matter.
                if self
                    .began
                    .get(&bundle)
                    .is_some_and(|began| self.now - began >= self.long_ms)
                {
                    self.winding_up.insert(bundle);
                }
                self.tell(Input::BundleWindsUp { bundle });
            }
            Event::BundleEnds(id) => self.end_bundle(id),
            Event::SplitAnswered(id) => self.answer_split(id),
            Event::Drain => {
                self.checks.draining = true;
                self.tell(Input::Drain);
            }
            Event::Ghost(bundle) => {
                self.tell(Input::BundleFinished {
                    bundle,
                    effects: Default::default(),
                });
            }
        }
    }

    fn end_bundle(&mut self, id: BundleId) {
        let Some(bundle) = self.running.get(&id).cloned() else {
            return;
        };
        let fails = self.chaos.fails != u64::MAX && self.world.rng.one_in(self.chaos.fails);
        let last_chance = bundle.attempt == self.chaos.max_attempts;
        if on_worker(&bundle) && (self.chaos.poisoned || (fails && !last_chance)) {
            self.later(20, Event::Ghost(id));
            let failure = BundleFailure::Failed("the user's code failed".into());
            self.tell(Input::BundleFailed {
                bundle: id,
                failure,
            });
            return;
        }
        let staged = self.world.execute(&bundle);
        self.world.data.extend(staged.new_data.clone());
        let effects = staged.effects.clone();
        self.staged.insert(id, staged);
        self.tell(Input::BundleFinished {
            bundle: id,
            effects,
        });
    }

    fn answer_split(&mut self, id: BundleId) {
        let Some(bundle) = self.running.get_mut(&id) else {
            return;
        };
        let Work::Elements(work) = &bundle.work else {
            panic!("only elements are split")
        };
        let refuse = self.world.rng.one_in(3);
        let split = if refuse { None } else { self.world.split(work) };
        let Some((primary, residual)) = split else {
            self.tell(Input::SplitRefused { bundle: id });
            return;
        };
        let after: Vec<PendingData> = primary.iter().chain(&residual).cloned().collect();
        self.checks.split(bundle.stage, work, &after);
        bundle.work = Work::Elements(primary.clone());
        self.tell(Input::BundleSplit {
            bundle: id,
            primary,
            residual,
        });
    }

    fn tell(&mut self, input: Input) {
        self.engine.handle(input, ProcessingTime(self.now));
        while let Some(action) = self.engine.poll_action() {
            assert!(self.outcome.is_none(), "{action:?} after the end");
            self.act(action);
        }
        self.checks.watermarks(&self.engine, &self.world.plan);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::StartBundle(bundle) => {
                self.checks
                    .started(&bundle, &self.world, ProcessingTime(self.now));
                self.later(60, Event::BundleEnds(bundle.id));
                if on_worker(&bundle) && self.world.rng.one_in(2) {
                    self.later(60, Event::BundleNearsEnd(bundle.id));
                    self.later(60, Event::BundleWindsUp(bundle.id));
                }
                if let dataflume_engine::Executor::Worker(worker) = bundle.executor {
                    assert!(
                        self.workers.contains_key(&worker),
                        "a bundle for a worker that is gone"
                    );
                    let runs_there = |other: &&Bundle| other.executor == bundle.executor;
                    let others: Vec<&Bundle> = self.running.values().filter(runs_there).collect();
                    let slots = self.slots[&worker] as usize;
                    let winding_up = |other: &&&Bundle| self.winding_up.contains(&other.id);
                    let winding_up = others.iter().filter(winding_up).count();
                    assert!(
                        others.len() - winding_up.min(slots) < slots,
                        "a bundle more than the worker has slots for"
                    );
                    if self.chaos.kills != u64::MAX && self.world.rng.one_in(self.chaos.kills) {
                        self.later(60, Event::WorkerDies(worker));
                    }
                }
                self.began.insert(bundle.id, self.now);
                self.running.insert(bundle.id, bundle);
            }
            Action::SplitBundle { bundle, .. } => self.later(20, Event::SplitAnswered(bundle)),
            Action::CommitBundle { bundle } => self.commit(bundle),
            Action::DiscardBundle { bundle: id } => {
                let bundle = self
                    .running
                    .remove(&id)
                    .expect("discarded once, while it runs");
                self.checks.ended(&bundle);
                assert!(
                    !self.staged.contains_key(&id),
                    "a finished bundle is committed at once"
                );
            }
            Action::ReleaseData(ids) => {
                self.checks.released(&ids, &self.world);
                for id in ids {
                    assert!(
                        self.world.data.remove(&id).is_some(),
                        "{id:?} was released twice"
                    );
                }
            }
            Action::FinalizeBundle { .. } | Action::Warn(_) => {}
            Action::Finish(outcome) => self.outcome = Some(outcome),
        }
    }

    fn commit(&mut self, id: BundleId) {
        let bundle = self
            .running
            .remove(&id)
            .expect("committed once, while it runs");
        let staged = self
            .staged
            .remove(&id)
            .expect("only what finished is committed");
        self.checks.ended(&bundle);
        self.checks.committed(&bundle, &staged, &self.world);
        for (group, timer) in &staged.timers_fired {
            let timers = self.world.timers.entry((bundle.stage, *group)).or_default();
            assert!(timers.remove(timer), "a timer fired twice");
        }
        for (group, timer) in staged.timers_set {
            self.world
                .timers
                .entry((bundle.stage, group))
                .or_default()
                .insert(timer);
        }
    }
}

fn simulate(seed: u64) {
    let mut simulation = Simulation::new(seed);
    match simulation.run() {
        outcome @ (JobOutcome::Done | JobOutcome::Drained) => {
            let drained = outcome == JobOutcome::Drained;
            assert_eq!(drained, simulation.checks.draining);
            simulation.checks.done(&simulation.world);
        }
        JobOutcome::Failed(error) => {
            assert!(simulation.chaos.poisoned, "the job failed: {error}");
            assert!(
                error.contains("failed 4 times") && error.contains("the user's code failed"),
                "{error}"
            );
        }
        JobOutcome::Cancelled => panic!("nobody cancelled"),
    }
}

#[test]
fn all_checks_hold_for_every_seed() {
    if let Ok(seed) = std::env::var("DATAFLUME_SEED") {
        simulate(seed.parse().expect("DATAFLUME_SEED is a number"));
        return;
    }
    for seed in 0..SEEDS {
        if let Err(panic) = std::panic::catch_unwind(|| simulate(seed)) {
            eprintln!("seed {seed} fails");
            std::panic::resume_unwind(panic);
        }
    }
}
