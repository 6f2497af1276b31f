use std::str::FromStr;

use chrono::{DateTime, Utc};
use url::form_urlencoded;

use super::cursor::Cursor;
use super::problem::Problem;

/// What every reader of JSON can tell from its neighbour (RFC 8259 section 6); no chain has as many blocks.
const HIGHEST_BLOCK: u64 = (1 << 53) - 1;

/// The parameters of a query string. Each is taken at most once; [`Parameters::finish`] refuses those that nobody took.
#[derive(Debug)]
pub(super) struct Parameters(Vec<(String, String)>);

impl Parameters {
    /// Reads a query string. A name that stands twice is refused: no one value of it would be the right one.
    pub(super) fn read(query: Option<&str>) -> Result<Self, Problem> {
        let mut pairs: Vec<(String, String)> = Vec::new();
        for (name, value) in form_urlencoded::parse(query.unwrap_or_default().as_bytes()) {
            if pairs.iter().any(|(known, _)| *known == name) {
                return Err(Problem::invalid_parameter(&name, "given only once"));
            }
            pairs.push((name.into_owned(), value.into_owned()));
        }
        Ok(Self(pairs))
    }

    /// Takes a parameter's text.
    pub(super) fn text(&mut self, name: &str) -> Option<String> {
        let place = self.0.iter().position(|(known, _)| known == name)?;
        Some(self.0.swap_remove(place).1)
    }

    /// Takes a parameter; `wanted` completes the sentence "must be …" for a value that cannot be read.
    pub(super) fn value<T: FromStr>(
        &mut self,
        name: &str,
        wanted: &str,
    ) -> Result<Option<T>, Problem> {
        self.text(name)
            .map(|text| {
                text.parse()
                    .map_err(|_| Problem::invalid_parameter(name, wanted))
            })
            .transpose()
    }

    /// Takes a moment.
    pub(super) fn time(&mut self, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        let wanted = "a time after RFC 3339, such as 2026-01-31T12:00:00Z";
        let time = self.value::<DateTime<chrono::FixedOffset>>(name, wanted)?;
        Ok(time.map(|time| time.to_utc()))
    }

    /// Takes a block number.
    pub(super) fn block(&mut self, name: &str) -> Result<Option<u64>, Problem> {
        let wanted = "a block number, at most 9007199254740991";
        let number: Option<u64> = self.value(name, wanted)?;
        match number {
            Some(number) if number > HIGHEST_BLOCK => Err(Problem::invalid_parameter(name, wanted)),
            _ => Ok(number),
        }
    }

    /// Takes a switch, off if it is absent.
    pub(super) fn switch(&mut self, name: &str) -> Result<bool, Problem> {
        Ok(self.value(name, "true or false")?.unwrap_or(false))
    }

    /// Takes the cursor.
    pub(super) fn cursor<const N: usize>(&mut self) -> Result<Option<Cursor<N>>, Problem> {
        self.value("cursor", "the nextCursor of the page before")
    }

    /// Takes a number from 1 to `most`, `usual` if it is absent.
    pub(super) fn limit(&mut self, usual: u32, most: u32) -> Result<u32, Problem> {
        let wanted = format!("a number from 1 to {most}");
        let limit = self.value("limit", &wanted)?.unwrap_or(usual);
        if (1..=most).contains(&limit) {
            Ok(limit)
        } else {
            Err(Problem::invalid_parameter("limit", &wanted))
        }
    }

    /// Refuses whatever is left.
    pub(super) fn finish(self) -> Result<(), Problem> {
        match self.0.first() {
            Some((name, _)) => Err(Problem::unknown_parameter(name)),
            None => Ok(()),
        }
    }
}

/// The first `limit` of rows of which one more was asked for, and the last of those if there are more.
pub(super) fn page<T: Clone>(mut rows: Vec<T>, limit: u32) -> (Vec<T>, Option<T>) {
    let most = usize::try_from(limit).unwrap_or(usize::MAX);
    let has_more = rows.len() > most;
    rows.truncate(most);
    let last = rows.last().filter(|_| has_more).cloned();
    (rows, last)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_are_taken_once_and_none_is_left_over() {
        let mut parameters = Parameters::read(Some("limit=7&phase=running&x=%20")).unwrap();
        assert_eq!(parameters.limit(50, 200).unwrap(), 7);
        assert_eq!(parameters.text("phase").as_deref(), Some("running"));
        assert!(parameters.finish().is_err());
        assert!(Parameters::read(Some("did=1&did=2")).is_err());
        let mut parameters = Parameters::read(Some("limit=201")).unwrap();
        assert!(parameters.limit(50, 200).is_err());
    }
}
