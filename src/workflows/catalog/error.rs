use crate::ids::Did;
use crate::workflows::document::BadDocument;
use crate::workflows::image::BadImage;

/// Why a catalog cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum BadCatalog {
    /// It is too large.
    #[error("the catalog is larger than 16 MiB")]
    TooLarge,
    /// It is not text.
    #[error("the catalog is not UTF-8")]
    NotText,
    /// A key that nobody knows.
    #[error("line {line}: unknown key `{key}`{}", hint(.nearest.as_deref()))]
    UnknownKey {
        /// From 1; 0 when unknown.
        line: u64,
        /// The key.
        key: String,
        /// The known key that resembles it most, if any does.
        nearest: Option<String>,
    },
    /// The form is wrong.
    #[error("line {line}: {message}")]
    Malformed {
        /// From 1; 0 when unknown.
        line: u64,
        /// What is wrong there.
        message: String,
    },
    /// A value makes no sense.
    #[error("{subject}: {problem}")]
    Invalid {
        /// The key or asset.
        subject: String,
        /// What is wrong with it.
        problem: String,
    },
    /// An allowed image is malformed.
    #[error("images: names stand without tag and digest, prefixes end in a slash")]
    Image {
        /// What is wrong.
        source: BadImage,
    },
    /// An asset's own workflow is malformed.
    #[error("the workflow of {did} cannot be read")]
    Workflow {
        /// The asset.
        did: Did,
        /// What is wrong.
        source: BadDocument,
    },
}

fn hint(nearest: Option<&str>) -> String {
    nearest.map_or_else(String::new, |key| format!(", did you mean `{key}`?"))
}

impl BadCatalog {
    pub(super) fn invalid(subject: &(impl std::fmt::Display + ?Sized), problem: &str) -> Self {
        Self::Invalid {
            subject: subject.to_string(),
            problem: problem.to_owned(),
        }
    }

    pub(super) fn malformed(error: &serde_saphyr::Error) -> Self {
        let error = error.without_snippet();
        let line = error.location().map_or(0, |location| location.line());
        if let serde_saphyr::Error::SerdeUnknownField {
            field, expected, ..
        } = error
        {
            return Self::UnknownKey {
                line,
                key: field.clone(),
                nearest: nearest(field, expected),
            };
        }
        Self::Malformed {
            line,
            message: error.to_string(),
        }
    }
}

/// The known key that resembles `key` most, when it does so at all (Jaro-Winkler above 0.7).
fn nearest(key: &str, known: &[&str]) -> Option<String> {
    known
        .iter()
        .map(|candidate| (strsim::jaro_winkler(key, candidate), candidate))
        .filter(|(likeness, _)| *likeness > 0.7)
        .max_by(|left, right| left.0.total_cmp(&right.0))
        .map(|(_, candidate)| (*candidate).to_owned())
}
