//! Puts the guard where the algorithm's container can execute it, and beside it what the guard has to ask of the network.

use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::network::{self, Surroundings, Targets};

/// Name of the guard's program, which lies beside the main one in our image.
const GUARD: &str = "tidewatch-guard";

/// Why the guard could not be put in place.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The own executable's path is unknown, so the guard's is too.
    #[error("cannot find the own executable")]
    OwnPath(#[source] io::Error),
    /// The copy failed.
    #[error("cannot copy {} to {}", .from.display(), .to.display())]
    Copy {
        /// The guard beside the own executable.
        from: PathBuf,
        /// Where it should go.
        to: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The addresses to ask could not be written down.
    #[error("cannot tell the guard which addresses to ask")]
    Targets(#[from] network::Error),
}

/// Writes down which addresses the guard has to ask, as this pod knows them.
///
/// It can be done again: the file is replaced as a whole.
///
/// # Errors
/// The file cannot be written.
pub fn write_targets(around: &Surroundings, to: &Path) -> Result<(), Error> {
    Ok(Targets::discover(around).write(to)?)
}

/// Copies the guard that lies beside the own executable to `to`, executable for everybody and writable for nobody.
///
/// It can be done again: the file is replaced as a whole.
///
/// # Errors
/// There is no guard, or it cannot be written there.
pub fn install_guard(to: &Path) -> Result<(), Error> {
    let own = std::env::current_exe().map_err(Error::OwnPath)?;
    install(&own.with_file_name(GUARD), to)
}

fn install(from: &Path, to: &Path) -> Result<(), Error> {
    let part = to.with_extension("part");
    let copy = || {
        std::fs::copy(from, &part)?;
        std::fs::set_permissions(&part, std::fs::Permissions::from_mode(0o555))?;
        std::fs::rename(&part, to)
    };
    copy().map_err(|source| Error::Copy {
        from: from.to_owned(),
        to: to.to_owned(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_copy_is_executable_and_can_be_repeated() {
        let directory = tempfile::tempdir().unwrap();
        let (from, to) = (
            directory.path().join("from"),
            directory.path().join("guard"),
        );
        std::fs::write(&from, "program").unwrap();
        install(&from, &to).unwrap();
        install(&from, &to).unwrap();
        assert_eq!(std::fs::read(&to).unwrap(), b"program");
        let mode = std::fs::metadata(&to).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o555);
        let said = install(&directory.path().join("none"), &to).unwrap_err();
        assert!(said.to_string().starts_with("cannot copy"), "{said}");
    }
}
