//! Placeholder of the sweep: halves windows.
/// A window of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Window {
    /// From.
    pub from: Option<i64>,
    /// To.
    pub to: Option<i64>,
}
/// What a window's total says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It fits.
    Read,
    /// It does not.
    TooDeep,
    /// It cannot be cut.
    Moment,
}
/// The sweep.
#[derive(Clone, Debug)]
pub struct Sweep {
    limit: u64,
    stack: Vec<Window>,
}
impl Sweep {
    /// New.
    pub fn new(from: Option<i64>, to: Option<i64>, limit: u64, _page: u64) -> Self {
        Self { limit, stack: vec![Window { from, to }] }
    }
    /// Next.
    #[expect(clippy::should_implement_trait, reason = "stub")]
    pub fn next(&mut self) -> Option<Window> {
        self.stack.pop()
    }
    /// Answered.
    pub fn answered(&mut self, window: Window, total: u64, _sample: &[i64]) -> Verdict {
        if total <= self.limit {
            return Verdict::Read;
        }
        let (from, to) = (window.from.unwrap_or(0), window.to.unwrap_or(4_102_444_800));
        if from >= to {
            return Verdict::Moment;
        }
        let middle = from + (to - from) / 2;
        self.stack.push(Window { from: Some(middle + 1), to: window.to });
        self.stack.push(Window { from: window.from, to: Some(middle) });
        Verdict::TooDeep
    }
    /// Read.
    pub fn read(&mut self, _window: Window, _starts: &[i64]) {}
}
