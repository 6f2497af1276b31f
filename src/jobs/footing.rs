/// How what owes a job stands on the chain, as far as a job that was handed to an engine has to know.
///
/// It stands beside the phase, which a running job keeps: it may go back and forth between the first two, and ends in the third.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Footing {
    /// The logs that the job's verdict rests on are on the chain.
    #[default]
    Canonical,
    /// One of them is not, and may return: the job runs on, and what comes out waits.
    Orphaned,
    /// The event is gone from the chain for good: the job is ended, and nothing comes out.
    Withdrawn,
}

impl Footing {
    /// Whether results may leave and be shown.
    pub const fn lets_out(self) -> bool {
        matches!(self, Self::Canonical)
    }
}
