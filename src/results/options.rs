use std::fmt;
use std::path::Path;

use super::Error;

/// What the names of options begin with, by the store that they are for.
const PREFIXES: [&str; 3] = ["aws_", "google_", "azure_"];

/// Options of an object store, each by the name of its usual environment variable in lower case (`aws_access_key_id`,
/// `google_service_account_key`, `azure_storage_account_key`, …). Values are never shown.
#[derive(Clone, Default)]
pub struct Options(Vec<(String, String)>);

impl Options {
    /// Those among some variables that are options of a store.
    pub fn among<'a>(variables: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let named = variables.into_iter().filter_map(|(name, value)| {
            let name = name.to_ascii_lowercase();
            let is_option = PREFIXES.iter().any(|prefix| name.starts_with(prefix));
            is_option.then(|| (name, value.trim().to_owned()))
        });
        Self(named.collect())
    }

    /// Those of a mounted Secret: one file each, named like the variable. Names that begin with a dot are Kubernetes' own (the
    /// links by which it swaps a Secret's versions); what else is there is somebody else's.
    ///
    /// # Errors
    /// [`Error::Read`]: the directory or a file cannot be read.
    pub fn of_directory(directory: &Path) -> Result<Self, Error> {
        let failed = |source| Error::Read {
            path: directory.to_owned(),
            source,
        };
        let mut read = Vec::new();
        for entry in std::fs::read_dir(directory).map_err(failed)? {
            let path = entry.map_err(failed)?.path();
            let name = path.file_name().and_then(|name| name.to_str());
            let Some(name) = name.map(str::to_ascii_lowercase) else {
                continue;
            };
            if PREFIXES.iter().any(|prefix| name.starts_with(prefix)) {
                let value = std::fs::read_to_string(&path)
                    .map_err(|source| Error::Read { path, source })?;
                read.push((name, value.trim().to_owned()));
            }
        }
        Ok(Self(read))
    }

    /// Whether one kind of store may be asked without TLS.
    pub(super) fn allows_http(&self, prefix: &str) -> bool {
        let allowing = format!("{prefix}allow_http");
        let mut options = self.0.iter();
        options.any(|(name, value)| *name == allowing && !value.eq_ignore_ascii_case("false"))
    }

    /// The options of one kind of store, with names as that store reads them.
    ///
    /// # Errors
    /// [`Error::Option`]: a name that the store does not know; the name is shown, its value is not.
    pub(super) fn read<K: std::str::FromStr>(
        &self,
        prefix: &str,
    ) -> Result<Vec<(K, String)>, Error> {
        let ours = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        ours.map(|(name, value)| {
            let key = name
                .parse()
                .map_err(|_| Error::Option(name.to_ascii_uppercase()))?;
            Ok((key, value.clone()))
        })
        .collect()
    }

    /// The same, without those that the store does not know: an environment holds variables of other programs, too.
    pub(super) fn read_known<K: std::str::FromStr>(&self, prefix: &str) -> Vec<(K, String)> {
        let ours = self.0.iter().filter(|(name, _)| name.starts_with(prefix));
        ours.filter_map(|(name, value)| Some((name.parse().ok()?, value.clone())))
            .collect()
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.0.iter().map(|(name, _)| name);
        f.debug_set().entries(names).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_store_s_own_variables_are_taken_and_no_value_is_shown() {
        let given = [
            ("AWS_ACCESS_KEY_ID", "a key\n"),
            ("PATH", "/bin"),
            ("DATABASE_URL", "x"),
        ];
        let options = Options::among(given);
        assert_eq!(
            options.0,
            [("aws_access_key_id".to_owned(), "a key".to_owned())]
        );
        assert_eq!(format!("{options:?}"), "{\"aws_access_key_id\"}");
    }
}
