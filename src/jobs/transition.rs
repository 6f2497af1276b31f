use alloy::primitives::B256;
use chrono::{DateTime, SecondsFormat, Utc};
use sha2::{Digest, Sha256};

use super::{Outcome, Phase, Reason};
use crate::ids::JobName;

/// Where a job stands: its phase, how it ended if it did, and why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Status {
    /// The phase.
    pub phase: Phase,
    /// Set exactly when the phase is [`Phase::Finished`].
    pub outcome: Option<Outcome>,
    /// Set for every outcome but success, and for whatever waits for something nameable.
    pub reason: Option<Reason>,
    /// The attempt it speaks of; 0 before the first.
    pub attempt: u32,
}

impl Status {
    /// A status that is not an end.
    pub const fn of_phase(phase: Phase, attempt: u32) -> Self {
        Self {
            phase,
            outcome: None,
            reason: None,
            attempt,
        }
    }

    /// The end of a job.
    pub const fn finished(outcome: Outcome, reason: Option<Reason>, attempt: u32) -> Self {
        Self {
            phase: Phase::Finished,
            outcome: Some(outcome),
            reason,
            attempt,
        }
    }
}

/// SHA-256 over a transition and its predecessor's hash.
pub type TransitionHash = B256;

/// A change of a job's status, chained by hash to the one before, so that none can be altered or taken out unseen.
///
/// The first of a job is chained to 32 zero bytes. Appending is the ledger's work; checking the chain needs only rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Transition {
    /// The job.
    pub job: JobName,
    /// 1 for the job's first, then without gaps.
    pub number: u32,
    /// What it became.
    pub status: Status,
    /// When it was recorded, in whole microseconds, which is what Postgres keeps.
    pub at: DateTime<Utc>,
    /// Hash of the transition before, or zero.
    pub previous: TransitionHash,
}

impl Transition {
    /// The transition's own hash: SHA-256 of the previous hash's 32 bytes and the line
    /// `job number phase outcome reason attempt time`, fields separated by one space, absent ones written `-`, the time in
    /// RFC 3339 with microseconds and `Z`. The form is stable: anybody can check it with `sha256sum`.
    pub fn hash(&self) -> TransitionHash {
        let outcome = self.status.outcome.map_or("-", Outcome::as_str);
        let reason = self.status.reason.map_or("-", Reason::as_str);
        let line = format!(
            "{} {} {} {outcome} {reason} {} {}",
            self.job,
            self.number,
            self.status.phase,
            self.status.attempt,
            self.at.to_rfc3339_opts(SecondsFormat::Micros, true),
        );
        B256::from_slice(
            &Sha256::new()
                .chain_update(self.previous)
                .chain_update(line)
                .finalize(),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_covers_every_field_and_the_predecessor() {
        let base = Transition {
            job: "job-00112233445566778899aabbccddeeff".parse().unwrap(),
            number: 1,
            status: Status::of_phase(Phase::Queued, 0),
            at: DateTime::from_timestamp_micros(1_500_000_000_000_001).unwrap(),
            previous: B256::ZERO,
        };
        let line =
            "job-00112233445566778899aabbccddeeff 1 queued - - 0 2017-07-14T02:40:00.000001Z";
        let by_hand = Sha256::new()
            .chain_update([0; 32])
            .chain_update(line)
            .finalize();
        assert_eq!(base.hash().as_slice(), &by_hand[..]);

        let altered = [
            Transition {
                number: 2,
                ..base.clone()
            },
            Transition {
                status: Status::of_phase(Phase::Running, 0),
                ..base.clone()
            },
            Transition {
                status: Status::finished(Outcome::Lost, None, 0),
                ..base.clone()
            },
            Transition {
                at: base.at + chrono::Duration::microseconds(1),
                ..base.clone()
            },
            Transition {
                previous: B256::repeat_byte(1),
                ..base.clone()
            },
        ];
        for other in altered {
            assert_ne!(other.hash(), base.hash(), "{other:?}");
        }
    }
}
