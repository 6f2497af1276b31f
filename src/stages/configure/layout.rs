use std::fs::{self, Permissions};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::error::Error;
use crate::ids::Did;
use crate::stages::guard::CONTROL_FILE;
use crate::stages::network::Control;
use crate::workflows::Code;

/// The volume's directories as OEP-12 names them, and the record, which is ours.
pub(super) struct Layout {
    data: PathBuf,
    did: Did,
}

/// Modes. What the algorithm reads is closed for its user too, since it runs as the same one; in a pod its mounts are
/// read-only besides.
const OPEN: u32 = 0o755;
const CLOSED: u32 = 0o555;
const PRIVATE: u32 = 0o700;
const FILE: u32 = 0o444;

impl Layout {
    pub(super) fn new(data: &Path, did: Did) -> Self {
        Self {
            data: data.to_owned(),
            did,
        }
    }

    /// Where the asset's files lie, each under its number.
    pub(super) fn inputs(&self) -> PathBuf {
        self.data.join("inputs").join(self.did.digits())
    }

    fn read_only(&self) -> [PathBuf; 4] {
        [
            self.data.join("inputs"),
            self.inputs(),
            self.data.join("transformations"),
            self.data.join("ddos"),
        ]
    }

    /// Makes every directory, or opens again for writing those that an earlier run closed.
    pub(super) fn make(&self, filtered: bool) -> Result<(), Error> {
        for path in self.read_only() {
            directory(&path, OPEN)?;
        }
        for name in ["outputs", "logs"] {
            directory(&self.data.join(name), OPEN)?;
        }
        if filtered {
            for name in ["filtered", "filtered/outputs", "filtered/logs"] {
                directory(&self.data.join(name), PRIVATE)?;
            }
        }
        directory(&self.data.join("record"), PRIVATE)
    }

    /// Writes the algorithm's code, executable, if it fits into `left` bytes.
    pub(super) fn put_algorithm(&self, code: &Code, left: u64) -> Result<(), Error> {
        let size = code.as_bytes().len() as u64;
        if size > left {
            return Err(Error::AlgorithmTooLarge { size, left });
        }
        let path = self.data.join("transformations/algorithm");
        replace(&path, code.as_bytes(), CLOSED).map_err(Error::Algorithm)
    }

    /// Writes what is known of the asset: its DID.
    pub(super) fn describe(&self) -> Result<(), Error> {
        let path = self.data.join("ddos").join(self.did.digits());
        let document = serde_json::json!({ "id": self.did });
        replace(&path, document.to_string().as_bytes(), FILE).map_err(failed("write", &path))
    }

    /// Leaves for the guard what of the network answered here.
    pub(super) fn put_control(&self, control: &Control) -> Result<(), Error> {
        let path = self.data.join("record").join(CONTROL_FILE);
        control
            .to_bytes()
            .map_err(io::Error::from)
            .and_then(|bytes| replace(&path, &bytes, FILE))
            .map_err(failed("write", &path))
    }

    /// Takes away the right to write from everything that the algorithm only reads.
    pub(super) fn close(&self) -> Result<(), Error> {
        for path in self.read_only() {
            set_mode(&path, CLOSED)?;
        }
        Ok(())
    }
}

fn directory(path: &Path, mode: u32) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
            Err(failed("make the directory", path)(error))
        }
        _ => set_mode(path, mode),
    }
}

fn set_mode(path: &Path, mode: u32) -> Result<(), Error> {
    fs::set_permissions(path, Permissions::from_mode(mode)).map_err(failed("set the mode of", path))
}

/// Writes a file as a whole, also over one that is read-only.
fn replace(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let part = path.with_extension("part");
    fs::write(&part, bytes)?;
    fs::set_permissions(&part, Permissions::from_mode(mode))?;
    fs::rename(&part, path)
}

fn failed(verb: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Error {
    move |source| Error::Layout {
        verb,
        path: path.to_owned(),
        source,
    }
}
