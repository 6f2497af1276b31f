//! What everybody who looks should know before believing the rest: that nobody follows, that following or starting stands still, and why.

use std::time::Duration;

use chrono::{DateTime, Utc};
use maud::{Markup, html};

use super::words::{between, duration, number, plain};
use crate::api::routes::sync::Standing;
use crate::engine::Isolation;
use crate::ledger::reader::Progress;

/// Silence after which the follower counts as away. It looks at every node each 15 seconds, and whenever a block comes.
const SILENCE: Duration = Duration::from_secs(90);
/// Age of the newest recorded block from which what is shown is called old.
const OLD: i64 = 120;

/// Something that everybody should know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Warning {
    /// Whether somebody has to do something about it.
    pub(super) grave: bool,
    /// In a word or two.
    pub(super) title: &'static str,
    /// In a sentence.
    pub(super) detail: String,
}

/// What there is to warn of, gravest first.
pub(super) fn of(standing: &Standing, now: DateTime<Utc>) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut warn = |grave, title, detail| {
        warnings.push(Warning {
            grave,
            title,
            detail,
        });
    };
    let Some(progress) = &standing.progress else {
        let detail = "No chain was followed yet, so there is nothing to show.";
        warn(true, "Nothing yet", detail.to_owned());
        return warnings;
    };
    if let Some(warning) = standing.warning {
        warn(false, "Development", warning.to_owned());
    }
    if let Some(halt) = &progress.halt {
        let detail = format!(
            "A block that could never go away did. Nothing is recorded or started until an operator releases it: {halt}"
        );
        warn(true, "Halted", detail);
    }
    match heard(standing, progress).and_then(|heard| between(heard, now)) {
        Some(silent) if silent > SILENCE => {
            let detail = format!(
                "Nobody has followed the chain for {}. What is shown ends at block {}.",
                duration(silent),
                number(progress.recorded)
            );
            warn(true, "Stale", detail);
        }
        _ if progress.lag_seconds.is_some_and(|lag| lag > OLD) => {
            let lag = progress.lag_seconds.unwrap_or_default().unsigned_abs();
            let detail = format!(
                "The newest recorded block is {} old: block {} of {}.",
                duration(Duration::from_secs(lag)),
                number(progress.recorded),
                progress.head.map_or_else(|| "?".to_owned(), number)
            );
            warn(false, "Behind", detail);
        }
        _ => {}
    }
    if let Some(pause) = &standing.pause {
        warn(
            false,
            "Paused",
            format!("An operator lets no job start now; those that run go on: {pause}"),
        );
    }
    if let Some(unverified) = &progress.unverified {
        let detail = format!(
            "Blocks from {} on are not proven complete, and nothing of them starts: {unverified}",
            number(progress.verified.saturating_add(1))
        );
        warn(false, "Unverified", detail);
    }
    if standing
        .isolation
        .is_some_and(|last| last.isolation == Isolation::Unproven)
    {
        let detail = "The newest algorithm ran without the cluster having been seen to deny it the network: the guard in its pod alone denied it.";
        warn(false, "Isolation", detail.to_owned());
    }
    warnings
}

/// When somebody last followed: moved a cursor, or asked a node and was answered.
pub(super) fn heard(standing: &Standing, progress: &Progress) -> Option<DateTime<Utc>> {
    let answered = standing.providers.iter();
    let answered = answered.filter_map(|provider| provider.answered_at).max();
    answered.max(Some(progress.updated_at))
}

/// The banner.
pub(super) fn show(warnings: &[Warning]) -> Markup {
    html! {
        section #warnings data-part aria-label="Warnings" {
            @for warning in warnings {
                p.warning.grave[warning.grave] {
                    strong { (warning.title) } " " (plain(&warning.detail))
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + seconds, 0).unwrap()
    }

    fn standing() -> Standing {
        let progress = Progress {
            chain_id: 8996,
            head: Some(110),
            irreversible: Some(90),
            recorded: 110,
            judged: 110,
            verified: 110,
            halt: None,
            unverified: None,
            updated_at: at(0),
            lag_seconds: Some(0),
        };
        Standing {
            progress: Some(progress),
            providers: Vec::new(),
            isolation: None,
            pause: None,
            schema: None,
            warning: None,
        }
    }

    fn titles(standing: &Standing, now: DateTime<Utc>) -> Vec<&'static str> {
        let warnings = of(standing, now);
        warnings.iter().map(|warning| warning.title).collect()
    }

    #[test]
    fn who_follows_is_trusted_and_who_is_silent_is_not() {
        let mut standing = standing();
        assert!(titles(&standing, at(60)).is_empty());
        assert_eq!(titles(&standing, at(91)), ["Stale"]);
        if let Some(progress) = &mut standing.progress {
            progress.lag_seconds = Some(600);
        }
        assert_eq!(titles(&standing, at(60)), ["Behind"]);
        // That nobody follows says more than how old the newest block is.
        assert_eq!(titles(&standing, at(91)), ["Stale"]);
    }

    #[test]
    fn what_an_operator_must_mend_comes_first() {
        let mut standing = standing();
        standing.pause = Some("maintenance".to_owned());
        if let Some(progress) = &mut standing.progress {
            progress.halt = Some("block 90 is another one now".to_owned());
        }
        assert_eq!(titles(&standing, at(1)), ["Halted", "Paused"]);
        standing.warning = Some("It is no wall.");
        assert!(titles(&standing, at(1)).contains(&"Development"));
        standing.progress = None;
        assert_eq!(titles(&standing, at(1)), ["Nothing yet"]);
    }
}
