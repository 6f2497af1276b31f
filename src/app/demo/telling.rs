//! How the story is told: numbered steps on standard output, each with the time since the last one.

use std::fmt::Display;
use std::io::{IsTerminal, Write};
use std::time::Instant;

/// Tells the story, and counts the checks that did not hold.
#[derive(Debug)]
pub(super) struct Telling {
    step: u32,
    since: Instant,
    failed: u32,
    colours: bool,
}

impl Telling {
    /// Begins to tell.
    pub(super) fn begin() -> Self {
        let colours = std::io::stdout().is_terminal();
        Self {
            step: 0,
            since: Instant::now(),
            failed: 0,
            colours,
        }
    }

    /// A new part of the story.
    pub(super) fn step(&mut self, title: impl Display) {
        self.step += 1;
        let number = self.step;
        self.line(format_args!(
            "\n{}",
            self.paint("1", format_args!("{number}. {title}"))
        ));
        self.since = Instant::now();
    }

    /// Something that happened, with the time it took.
    pub(super) fn done(&mut self, what: impl Display) {
        let took = self.since.elapsed().as_millis();
        let took = self.paint("2", format_args!("{took} ms"));
        self.line(format_args!("   {what}  {took}"));
        self.since = Instant::now();
    }

    /// Something to know.
    pub(super) fn say(&self, what: impl Display) {
        self.line(format_args!("   {what}"));
    }

    /// Something that must hold. What did not is told and makes the demo fail.
    pub(super) fn check(&mut self, holds: bool, what: impl Display) {
        if holds {
            self.line(format_args!("   {} {what}", self.paint("32", "ok")));
        } else {
            self.failed += 1;
            self.line(format_args!("   {} {what}", self.paint("31", "NOT SO:")));
        }
    }

    /// How many checks did not hold.
    pub(super) const fn failed(&self) -> u32 {
        self.failed
    }

    fn paint(&self, colour: &str, what: impl Display) -> String {
        if self.colours {
            format!("\u{1b}[{colour}m{what}\u{1b}[0m")
        } else {
            what.to_string()
        }
    }

    fn line(&self, line: impl Display) {
        // a reader who has gone away does not end the story
        _ = writeln!(std::io::stdout(), "{line}");
    }
}
