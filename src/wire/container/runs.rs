//! Runs of samples of which something is the same.

/// From which sample on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Run<T> {
    pub first: u32,
    pub what: T,
}

/// All of them, in their order. Before the first one nothing is known.
#[derive(Debug, Clone)]
pub(super) struct Runs<T>(Vec<Run<T>>);

impl<T> Default for Runs<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T: Copy> Runs<T> {
    /// Goes on with another one. One of no samples leaves nothing.
    pub(super) fn push(&mut self, run: Run<T>) {
        if self.0.last().is_some_and(|last| last.first >= run.first) {
            self.0.pop();
        }
        self.0.push(run);
    }

    /// The run that a sample is in.
    pub(super) fn of(&self, number: u32) -> Option<(u32, T)> {
        let place = self.behind(number).checked_sub(1)?;
        self.0.get(place).map(|run| (run.first, run.what))
    }

    /// With which sample the next run begins.
    pub(super) fn end_of(&self, number: u32) -> Option<u32> {
        self.0.get(self.behind(number)).map(|run| run.first)
    }

    pub(super) fn last(&self) -> Option<Run<T>> {
        self.0.last().copied()
    }

    fn behind(&self, number: u32) -> usize {
        self.0.partition_point(|run| run.first <= number)
    }
}
