use super::dice::Dice;
use super::honest::Refusal;

/// What a provider is like, for as long as the world lasts: its abilities and limits, which are honest, and its bad habits, which
/// it loses when the lies stop.
#[derive(Clone, Debug)]
pub(super) struct Character {
    /// Whether it serves receipts of a block.
    pub(super) receipts: bool,
    /// Whether it knows the tags `finalized` and `safe`.
    pub(super) tags: bool,
    /// Whether its logs say when their block was made.
    pub(super) times: bool,
    /// Most blocks of a range, if it has such a limit.
    pub(super) blocks: Option<u64>,
    /// Whether that limit counts both ends of the range.
    pub(super) both_ends: bool,
    /// Most logs of an answer, if it has such a limit.
    pub(super) logs: Option<usize>,
    /// Most requests of a batch, if it has such a limit.
    pub(super) batch: Option<usize>,
    /// What it says of a range beyond its head.
    pub(super) beyond: Beyond,
    /// It has no state of blocks below.
    pub(super) state_from: u64,
    /// What it serves as bloom filters while it lies.
    pub(super) blooms: Blooms,
    /// While it lies it has forgotten the logs of blocks below.
    pub(super) logs_from: u64,
    /// While it lies there never was a transaction in some blocks: their headers and their receipts say so.
    pub(super) denies: bool,
    /// While it lies its head trails by so many blocks.
    pub(super) lag: u64,
    refusal: usize,
}

/// What is said of a range that begins beyond the head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Beyond {
    /// An error.
    Refused,
    /// No logs.
    Nothing,
}

/// What is served as bloom filters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Blooms {
    /// The header's.
    True,
    /// No bit set: there seem to be no logs at all.
    Zero,
    /// Every bit set: there might be any log.
    Ones,
    /// Another block's, now and then.
    Wrong,
}

/// Ways to say that a range is too wide: codes and words of several services, and words that nobody knows.
const REFUSALS: [(i64, &str); 6] = [
    (-32005, "query returned more than 10000 results"),
    (-32005, "limit exceeded"),
    (-32602, "eth_getLogs is limited to a range of fewer blocks"),
    (-32000, "exceed maximum block range"),
    (-32600, "the moon is in the wrong house"),
    (-32603, "internal error"),
];

impl Character {
    /// Provider number `place.0` of `place.1`; `tags` is a matter of the chain. Only one that is not alone forgets logs for good, and the
    /// first keeps all state: what was counted before the start is found out nowhere else.
    pub(super) fn thrown(dice: &mut Dice, tags: bool, place: (usize, usize)) -> Self {
        let has_others = place.1 > 1;
        Self {
            receipts: dice.percent(75),
            tags,
            blocks: dice.percent(60).then(|| dice.between(1..=60)),
            both_ends: dice.percent(50),
            logs: dice.percent(40).then(|| dice.place(60) + 3),
            batch: dice.percent(30).then(|| dice.place(20) + 4),
            beyond: dice.one_of(&[Beyond::Refused, Beyond::Nothing]),
            state_from: dice.one_of(&[0, 0, 30]) * u64::from(place.0 > 0),
            blooms: dice.one_of(&[
                Blooms::True,
                Blooms::True,
                Blooms::Zero,
                Blooms::Ones,
                Blooms::Wrong,
            ]),
            logs_from: if has_others {
                dice.one_of(&[0, 0, 20, 60])
            } else {
                0
            },
            lag: dice.one_of(&[0, 0, 0, 1, 2, 5]),
            refusal: dice.place(REFUSALS.len()),
            times: dice.percent(50),
            denies: has_others && dice.percent(30),
        }
    }

    /// Refuses a range of too many blocks.
    pub(super) fn check_width(&self, from: u64, to: u64) -> Result<(), Refusal> {
        let wide = to.saturating_sub(from) + u64::from(self.both_ends);
        match self.blocks {
            Some(limit) if wide > limit => Err(self.refuse()),
            _ => Ok(()),
        }
    }

    /// Refuses an answer of too many logs.
    pub(super) fn check_count(&self, logs: usize) -> Result<(), Refusal> {
        match self.logs {
            Some(limit) if logs > limit => Err(self.refuse()),
            _ => Ok(()),
        }
    }

    /// Refuses a batch of too many requests.
    pub(super) fn check_batch(&self, requests: usize) -> Result<(), Refusal> {
        match self.batch {
            Some(limit) if requests > limit => Err(Refusal::new(-32600, "batch too large")),
            _ => Ok(()),
        }
    }

    fn refuse(&self) -> Refusal {
        let (code, words) = REFUSALS[self.refusal];
        Refusal::new(code, words)
    }
}
