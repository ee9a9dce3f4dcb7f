//! The progress of a piece of work, for those who wait for it: its stage, and how much of the present step is done.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What is being done.
///
/// The set is open: a program that uses this library can define stages of its own for the same progress.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stage(&'static str);

impl Stage {
    /// A stage with a name.
    pub const fn new(name: &'static str) -> Self {
        Self(name)
    }

    /// The name.
    pub fn name(self) -> &'static str {
        self.0
    }
}

/// The stages of this library.
pub mod stage {
    use super::Stage;

    /// Finds out what is in a file.
    pub const SCANNING: Stage = Stage::new("scanning");
    /// Reads rows into memory.
    pub const READING: Stage = Stage::new("reading");
    /// Learns the columns, and how their values are prepared for a detector.
    pub const PREPARING: Stage = Stage::new("preparing");
    /// Fits the detector.
    pub const FITTING: Stage = Stage::new("fitting");
    /// Scores the rows that were learned from, and sets the threshold.
    pub const CALIBRATING: Stage = Stage::new("calibrating");
    /// Measures a detector that learns from labels on rows that were held out.
    pub const VALIDATING: Stage = Stage::new("validating");
}

/// What a step is counted in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Rows.
    Rows,
    /// Bytes.
    Bytes,
    /// Trees, blocks or other parts that take about the same time each.
    Parts,
}

/// The progress of one piece of work. Cheap to clone; clones share it.
///
/// Work consists of stages, and a stage of one or more steps, such as passes over the rows. Steps are numbered, and what is done of
/// a step only grows. So whoever looks again finds a later step, or the same step with at least as much done.
#[derive(Debug, Clone)]
pub struct Progress(Arc<Mutex<Present>>);

/// The present step.
#[derive(Debug)]
struct Present {
    stage: Stage,
    number: u32,
    unit: Option<Unit>,
    total: Option<u64>,
    step: Step,
}

/// A step that several threads advance together. Cheap to clone. The default counts nothing.
#[derive(Debug, Clone, Default)]
pub struct Step(Option<Arc<AtomicU64>>);

/// How far the work was at one moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reached {
    /// The stage.
    pub stage: Stage,
    /// The number of the step, counted from 1 over all stages.
    pub step: u32,
    /// What the step is counted in; `None` if it is not counted.
    pub unit: Option<Unit>,
    /// How much of the step is done, at most the total.
    pub done: u64,
    /// How much there is to do in the step, if that is known.
    pub total: Option<u64>,
}

impl Progress {
    /// Work that begins with a stage.
    pub fn new(stage: Stage) -> Self {
        Self(Arc::new(Mutex::new(Present {
            stage,
            number: 1,
            unit: None,
            total: None,
            step: Step::default(),
        })))
    }

    /// Begins a stage with a step that is not counted.
    pub fn enter(&self, stage: Stage) {
        let mut present = self.present();
        present.stage = stage;
        present.begin(None, None, Step::default());
    }

    /// Begins a counted step of the present stage. `total` is how much there is to do, if that is known.
    pub fn step(&self, unit: Unit, total: Option<u64>) -> Step {
        let step = Step(Some(Arc::default()));
        self.present().begin(Some(unit), total, step.clone());
        step
    }

    /// How far the work is.
    pub fn reached(&self) -> Reached {
        let present = self.present();
        let done = present.step.0.as_deref();
        let done = done.map_or(0, |done| done.load(Ordering::Relaxed));
        Reached {
            stage: present.stage,
            step: present.number,
            unit: present.unit,
            // some bytes of a file are read more than once
            done: done.min(present.total.unwrap_or(u64::MAX)),
            total: present.total,
        }
    }

    fn present(&self) -> MutexGuard<'_, Present> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Present {
    fn begin(&mut self, unit: Option<Unit>, total: Option<u64>, step: Step) {
        self.number = self.number.saturating_add(1);
        self.unit = unit;
        self.total = total;
        self.step = step;
    }
}

impl Step {
    /// Adds to what is done.
    pub fn advance(&self, n: usize) {
        if let Some(done) = &self.0 {
            done.fetch_add(n as u64, Ordering::Relaxed);
        }
    }
}

impl Reached {
    /// The share of the step that is done, in [0, 1]; `None` if it is not known how much there is to do.
    pub fn fraction(&self) -> Option<f64> {
        let total = self.total.filter(|&total| total > 0)?;
        Some(self.done as f64 / total as f64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_advanced_until_the_next_one_begins() {
        let progress = Progress::new(stage::READING);
        assert_eq!(progress.reached().step, 1);
        let rows = progress.step(Unit::Rows, Some(8));
        rows.advance(2);
        rows.clone().advance(4);
        let reached = progress.reached();
        assert_eq!((reached.step, reached.done), (2, 6));
        assert_eq!(reached.fraction(), Some(0.75));
        rows.advance(10);
        let reached = progress.reached();
        let capped = (reached.done, reached.fraction());
        assert_eq!(capped, (8, Some(1.0)), "it is capped");

        progress.enter(stage::FITTING);
        rows.advance(1);
        let reached = progress.reached();
        let fitting = Reached {
            stage: stage::FITTING,
            step: 3,
            unit: None,
            done: 0,
            total: None,
        };
        assert_eq!(reached, fitting, "the step before is over");
        assert_eq!(reached.fraction(), None);

        let bytes = progress.step(Unit::Bytes, None);
        bytes.advance(7);
        let reached = progress.reached();
        assert_eq!((reached.stage, reached.step), (stage::FITTING, 4));
        assert_eq!((reached.done, reached.fraction()), (7, None));
        let nothing = progress.step(Unit::Parts, Some(0));
        nothing.advance(1);
        assert_eq!(progress.reached().fraction(), None);
        Step::default().advance(1);
    }
}
