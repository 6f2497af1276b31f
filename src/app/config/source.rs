use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// Variables that this version knows, without the prefix `TIDEWATCH_`.
const KNOWN: [&str; 41] = [
    "ACCESS_MODE",
    "ACT_AT",
    "ACT_FROM_BLOCK",
    "AGENT",
    "AGENT_DAILY_GAS",
    "AGENT_KEY_FILE",
    "AGENT_MAX_FEE_GWEI",
    "API_DATABASE_URL",
    "API_DATABASE_URL_FILE",
    "API_LISTEN",
    "API_ORIGIN",
    "API_RATE",
    "API_SESSION_KEY_FILE",
    "CA_FILE",
    "CACHE",
    "CATALOG",
    "ENGINE",
    "IMAGE",
    "IMAGE_PULL_POLICY",
    "IPFS_GATEWAY",
    "IRREVERSIBLE_AT",
    "KEEPER",
    "KEEP_CLUSTER",
    "KUEUE_QUEUE",
    "LIVE_JOBS",
    "LIVE_JOBS_PER_ASSET",
    "LIVE_JOBS_PER_PAYER",
    "LOG_FORMAT",
    "METRICS_LISTEN",
    "NAMESPACE",
    "NETWORK_POLICY",
    "OPERATOR_TOKEN_FILE",
    "PAYER_WEIGHTS",
    "QUORUM",
    "RESULTS_SECRET",
    "RESULTS_URL",
    "RPC_URLS",
    "RPC_URLS_FILE",
    "RUNTIME_CLASS",
    "STORAGE_CLASS",
    "USER_NAMESPACES",
];

/// Variables that the interface names and a later version brings: set, they would be silently without effect.
const LATER: [&str; 4] = [
    "LOGS_RETENTION",
    "RESULTS_RETENTION",
    "RESULTS_SECRET_FILE",
    "OPERATOR_TOKEN",
];

/// The environment, taken once. Tests make their own.
#[derive(Clone, Default)]
pub struct Environment(BTreeMap<String, String>);

impl Environment {
    /// The process's environment, after `.env` was read into it. Variables that are not UTF-8 are not ours and left out.
    pub fn of_process() -> Self {
        Self(
            std::env::vars_os()
                .filter_map(|(name, value)| {
                    Some((name.into_string().ok()?, value.into_string().ok()?))
                })
                .collect(),
        )
    }

    /// The value of a variable; an empty one counts as unset.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Every variable with its value.
    pub fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let all = self.0.iter();
        all.map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// Faults for every `TIDEWATCH_…` variable that would have no effect.
    pub fn check_names(&self, faults: &mut Faults) {
        for name in self.0.keys() {
            let Some(rest) = name.strip_prefix("TIDEWATCH_") else {
                continue;
            };
            if LATER.contains(&rest) {
                faults.add(name, "is not supported by this version; unset it");
            } else if !KNOWN.contains(&rest) && !rest.starts_with("TEST_") {
                faults.add(
                    name,
                    format!(
                        "is not a setting of Tidewatch; did you mean TIDEWATCH_{}?",
                        nearest(rest)
                    ),
                );
            }
        }
    }

    /// The value of a variable that can hold a secret, or the content of the file that its `…_FILE` twin names.
    pub fn secret(&self, name: &str, faults: &mut Faults) -> Option<Secret> {
        let twin = format!("{name}_FILE");
        match (self.get(name), self.get(&twin)) {
            (Some(_), Some(_)) => {
                faults.add(name, format!("and {twin} are both set; set one"));
                None
            }
            (Some(value), None) => Some(Secret(value.to_owned())),
            (None, Some(path)) => match std::fs::read_to_string(path) {
                Ok(text) => Some(Secret(text.trim_end().to_owned())),
                Err(error) => {
                    faults.add(
                        &twin,
                        format!("names {path}, which cannot be read: {error}"),
                    );
                    None
                }
            },
            (None, None) => None,
        }
    }

    /// Where downloaded packages and built equipment are kept.
    pub fn cache_directory(&self) -> PathBuf {
        let home = || Path::new(self.get("HOME").unwrap_or("/tmp")).join(".cache");
        self.get("TIDEWATCH_CACHE").map_or_else(
            || {
                self.get("XDG_CACHE_HOME")
                    .map_or_else(home, PathBuf::from)
                    .join("tidewatch")
            },
            PathBuf::from,
        )
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.0.keys()).finish()
    }
}

impl FromIterator<(String, String)> for Environment {
    fn from_iter<I: IntoIterator<Item = (String, String)>>(variables: I) -> Self {
        Self(variables.into_iter().collect())
    }
}

fn nearest(name: &str) -> &'static str {
    KNOWN
        .into_iter()
        .min_by_key(|known| strsim::levenshtein(known, name))
        .unwrap_or(KNOWN[0])
}

/// A value that is never shown.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Wraps a value.
    pub fn new(value: impl Into<String>) -> Self {
        Self(value.into())
    }

    /// The value, for the one call that needs it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

/// Everything that is wrong with a configuration, each with the name of the variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Faults(Vec<String>);

impl Faults {
    /// Adds a fault: `variable` and what is wrong with it, as the rest of a sentence.
    pub fn add(&mut self, variable: &str, what: impl fmt::Display) {
        self.0.push(format!("{variable} {what}"));
    }

    /// Takes the value out of a result, or notes the error against the variable.
    pub fn check<T, E: fmt::Display>(&mut self, variable: &str, result: Result<T, E>) -> Option<T> {
        result.map_err(|error| self.add(variable, error)).ok()
    }

    /// Whether nothing is wrong.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the configuration cannot be used:")?;
        for fault in &self.0 {
            writeln!(f, "  - {fault}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Faults {}

#[cfg(test)]
mod tests {
    use super::*;

    fn environment(variables: &[(&str, &str)]) -> Environment {
        variables
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    #[test]
    fn a_misspelt_variable_is_a_fault_that_names_the_right_one() {
        let mut faults = Faults::default();
        environment(&[
            ("TIDEWATCH_CATALOGUE", "x"),
            ("TIDEWATCH_TEST_S3", "x"),
            ("HOME", "/"),
        ])
        .check_names(&mut faults);
        let told = faults.to_string();
        assert!(
            told.contains("TIDEWATCH_CATALOGUE is not a setting"),
            "{told}"
        );
        assert!(told.contains("did you mean TIDEWATCH_CATALOG?"), "{told}");
        assert!(!told.contains("TIDEWATCH_TEST_S3"), "{told}");
    }

    #[test]
    fn a_secret_comes_from_its_variable_or_from_a_file_but_not_from_both() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), "postgres://from-file\n").unwrap();
        let path = file.path().to_str().unwrap();
        let mut faults = Faults::default();
        let from_file =
            environment(&[("DATABASE_URL_FILE", path)]).secret("DATABASE_URL", &mut faults);
        assert_eq!(from_file.unwrap().expose(), "postgres://from-file");
        assert!(faults.is_empty());

        let both = environment(&[
            ("DATABASE_URL_FILE", path),
            ("DATABASE_URL", "postgres://x"),
        ]);
        assert_eq!(both.secret("DATABASE_URL", &mut faults), None);
        assert!(
            faults
                .to_string()
                .contains("DATABASE_URL and DATABASE_URL_FILE are both set")
        );
    }
}
