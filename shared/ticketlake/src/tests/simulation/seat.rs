//! One run in the simulated world: where it takes turns with others, and where it is killed.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::task::{Context, Poll};

use super::dice::Dice;
use super::scenario::{Kill, Run};

/// What the world knows of one run.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) run: Run,
    /// Whether another run takes place at the same time.
    pub(super) is_shared: bool,
    turns: AtomicU32,
    requests: AtomicU32,
    operations: AtomicU32,
    is_killed: AtomicBool,
    /// Whether an answer was untrue.
    pub(super) was_lied_to: AtomicBool,
}

impl Seat {
    pub(super) fn new(run: Run, is_shared: bool) -> Self {
        Self {
            run,
            is_shared,
            turns: AtomicU32::new(0),
            requests: AtomicU32::new(0),
            operations: AtomicU32::new(0),
            is_killed: AtomicBool::new(false),
            was_lied_to: AtomicBool::new(false),
        }
    }

    /// Begins a request; returns its number, from 0 on.
    pub(super) async fn request(&self) -> u32 {
        let number = self.requests.fetch_add(1, Ordering::Relaxed);
        self.take_turn().await;
        if matches!(self.run.kill, Some(Kill::Request(at)) if at == number) {
            self.die().await;
        }
        number
    }

    /// Begins an operation of the store; returns its number, from 0 on.
    pub(super) async fn operation(&self) -> u32 {
        let number = self.operations.fetch_add(1, Ordering::Relaxed);
        self.take_turn().await;
        if matches!(self.run.kill, Some(Kill::StoreBefore(at)) if at == number) {
            self.die().await;
        }
        number
    }

    /// Ends operation `number` of the store.
    pub(super) async fn end_operation(&self, number: u32) {
        if matches!(self.run.kill, Some(Kill::StoreAfter(at)) if at == number) {
            self.die().await;
        }
    }

    /// The number of requests so far.
    pub(super) fn requests(&self) -> u32 {
        self.requests.load(Ordering::Relaxed)
    }

    async fn take_turn(&self) {
        self.turns.fetch_add(1, Ordering::Relaxed);
        if self.is_shared {
            tokio::task::yield_now().await;
        }
    }

    /// Waits for the end, which comes at once: the driver drops the run.
    pub(super) async fn die(&self) {
        self.is_killed.store(true, Ordering::Relaxed);
        std::future::pending::<()>().await;
    }
}

/// A run that takes turns with others.
pub(super) struct Seated<'f, T> {
    pub(super) seat: std::sync::Arc<Seat>,
    pub(super) future: Pin<Box<dyn Future<Output = T> + 'f>>,
}

/// Lets the runs take turns in an order that follows from `dice`. Returns their results; `None` for one that was killed.
pub(super) async fn take_turns<T>(runs: Vec<Seated<'_, T>>, dice: &mut Dice) -> Vec<Option<T>> {
    let mut results: Vec<Option<T>> = runs.iter().map(|_| None).collect();
    let mut live: Vec<(usize, Seated<'_, T>)> = runs.into_iter().enumerate().collect();
    std::future::poll_fn(|cx| {
        if poll_one(&mut live, &mut results, dice, cx) {
            cx.waker().wake_by_ref();
        }
        if live.is_empty() { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    results
}

/// Polls the runs in random order until one of them gets on. Returns whether one did.
fn poll_one<T>(
    live: &mut Vec<(usize, Seated<'_, T>)>,
    results: &mut [Option<T>],
    dice: &mut Dice,
    cx: &mut Context<'_>,
) -> bool {
    let first = if live.len() > 1 { dice.below(live.len() as u32) as usize } else { 0 };
    for turn in 0..live.len() {
        let place = (first + turn) % live.len();
        let (number, run) = &mut live[place];
        let turns = run.seat.turns.load(Ordering::Relaxed);
        if let Poll::Ready(result) = run.future.as_mut().poll(cx) {
            results[*number] = Some(result);
            live.remove(place);
            return true;
        }
        if run.seat.is_killed.load(Ordering::Relaxed) {
            live.remove(place);
            return true;
        }
        if run.seat.turns.load(Ordering::Relaxed) > turns {
            return true;
        }
    }
    false
}
