//! How values look to people: times, durations, hashes, statuses, and text that somebody else chose.

use std::borrow::Cow;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use maud::{Markup, html};

use crate::jobs::{Outcome, Phase};

/// A moment: how long ago for those who look, exactly for those who look twice. The script keeps the first part true.
pub(super) fn when(at: DateTime<Utc>, now: DateTime<Utc>) -> Markup {
    let exact = at.format("%Y-%m-%d %H:%M:%S UTC");
    html! {
        time datetime=(at.to_rfc3339_opts(SecondsFormat::Secs, true)) {
            span.ago { (ago(at, now)) } " " span.at { (exact) }
        }
    }
}

/// How long ago it was, or how long it is until then.
pub(super) fn ago(at: DateTime<Utc>, now: DateTime<Utc>) -> String {
    match (now - at).to_std() {
        Ok(past) if past.as_secs() < 5 => "just now".to_owned(),
        Ok(past) => format!("{} ago", duration(past)),
        Err(_) => format!("in {}", duration((at - now).to_std().unwrap_or_default())),
    }
}

/// A length of time in its two largest units.
pub(super) fn duration(length: Duration) -> String {
    let seconds = length.as_secs();
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3600 % 24, seconds / 60 % 60);
    match (days, hours, minutes, seconds % 60) {
        (0, 0, 0, s) => format!("{s} s"),
        (0, 0, m, 0) => format!("{m} min"),
        (0, 0, m, s) if m < 10 => format!("{m} min {s} s"),
        (0, 0, m, _) => format!("{m} min"),
        (0, h, 0, _) => format!("{h} h"),
        (0, h, m, _) => format!("{h} h {m} min"),
        (1, 0, ..) => "1 day".to_owned(),
        (d, ..) if d > 1 => format!("{d} days"),
        (d, h, ..) => format!("{d} day {h} h"),
    }
}

/// The length between two moments, if it is one.
pub(super) fn between(from: DateTime<Utc>, to: DateTime<Utc>) -> Option<Duration> {
    (to - from).to_std().ok()
}

/// Text that somebody else chose: characters that would move, hide or turn round what stands beside them are written out.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    let is_hidden = |letter: char| {
        (letter.is_control() && letter != '\n')
            || matches!(letter, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}')
    };
    if !text.contains(is_hidden) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 16);
    for letter in text.chars() {
        if is_hidden(letter) {
            shown.extend(letter.escape_unicode());
        } else {
            shown.push(letter);
        }
    }
    Cow::Owned(shown)
}

/// An identifier, shortened for the eye; whole on hovering and for copying. Prefixes stay (`0x`, `did:op:`, `job-`).
pub(super) fn id(text: &str) -> Markup {
    html! { code.id.copy title=(text) { (short(text)) } }
}

/// The same as a link.
pub(super) fn linked(text: &str, to: &str) -> Markup {
    html! { a.id href=(to) title=(text) { (short(text)) } }
}

/// The same with a way to copy it.
pub(super) fn linked_id(text: &str, to: &str) -> Markup {
    html! { span.id.copy title=(text) { a href=(to) { (short(text)) } } }
}

/// The beginning and the end of a long identifier.
pub(super) fn short(text: &str) -> String {
    let begin = ["0x", "did:op:", "job-", "sha256:"]
        .iter()
        .find_map(|prefix| text.starts_with(prefix).then_some(prefix.len()))
        .unwrap_or(0);
    let letters: Vec<char> = text.chars().collect();
    if letters.len() < begin + 16 {
        return text.to_owned();
    }
    let first: String = letters.iter().take(begin + 6).collect();
    let last: String = letters.iter().skip(letters.len() - 4).collect();
    format!("{first}…{last}")
}

/// A number with its thousands apart.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            shown.push('\u{202f}');
        }
        shown.push(digit);
    }
    shown
}

/// A word of the interface as people read it.
pub(super) fn words(word: &str) -> String {
    word.replace('_', " ")
}

/// How a status is told at a glance.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tone {
    /// It waits.
    Waiting,
    /// Something is being done.
    Working,
    /// It went well.
    Good,
    /// It went wrong.
    Bad,
    /// It is over, and nobody was to blame.
    Quiet,
}

impl Tone {
    /// The tone of a job.
    pub(super) const fn of(phase: Phase, outcome: Option<Outcome>) -> Self {
        match (phase, outcome) {
            (Phase::Finished, Some(Outcome::Succeeded)) => Self::Good,
            (Phase::Finished, Some(Outcome::Skipped | Outcome::Withdrawn | Outcome::Stopped)) => {
                Self::Quiet
            }
            (Phase::Finished, _) => Self::Bad,
            (Phase::Configuring | Phase::Running | Phase::Filtering | Phase::Publishing, _) => {
                Self::Working
            }
            _ => Self::Waiting,
        }
    }

    /// Its class, and a sign that tells it without colour.
    pub(super) const fn shown(self) -> (&'static str, &'static str) {
        match self {
            Self::Waiting => ("waiting", "◌"),
            Self::Working => ("working", "◐"),
            Self::Good => ("good", "✓"),
            Self::Bad => ("bad", "✕"),
            Self::Quiet => ("quiet", "–"),
        }
    }
}

/// A status in a word.
pub(super) fn badge(phase: Phase, outcome: Option<Outcome>) -> Markup {
    let (class, sign) = Tone::of(phase, outcome).shown();
    let word = outcome.map_or(phase.as_str(), Outcome::as_str);
    html! {
        span class={ "badge " (class) } { span aria-hidden="true" { (sign) } " " (words(word)) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_are_told_in_two_units() {
        let told = |seconds| duration(Duration::from_secs(seconds));
        assert_eq!(told(0), "0 s");
        assert_eq!(told(61), "1 min 1 s");
        assert_eq!(told(120), "2 min");
        assert_eq!(told(3725), "1 h 2 min");
        assert_eq!(told(86_400), "1 day");
        assert_eq!(told(90_000), "1 day 1 h");
        assert_eq!(told(300_000), "3 days");
    }

    #[test]
    fn what_would_change_other_text_is_written_out() {
        assert_eq!(
            plain("a\u{202e}b\u{0}c\u{1b}[31m"),
            "a\\u{202e}b\\u{0}c\\u{1b}[31m"
        );
        assert_eq!(plain("naïve\n日本"), "naïve\n日本");
    }

    #[test]
    fn identifiers_keep_their_prefix_and_both_ends() {
        let hash = format!("0x{}", "ab".repeat(32));
        assert_eq!(short(&hash), "0xababab…abab");
        assert_eq!(short("did:op:12"), "did:op:12");
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
    }
}
