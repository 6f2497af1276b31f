use std::io;
use std::path::Path;

use super::Ending;

/// Where the kubelet reads a container's last words unless the pod says otherwise
/// (`terminationMessagePath` in the Kubernetes API reference).
pub const TERMINATION_MESSAGE: &str = "/dev/termination-log";

/// The kubelet cuts a termination message here, which would leave broken JSON.
pub(super) const MESSAGE_BYTES: usize = 4096;

/// Most bytes of a detail. With every quote and control character escaped (six bytes each) the message still fits.
const DETAIL_BYTES: usize = 600;

impl Ending {
    /// The message as JSON; with details made by [`detail`] it is never longer than 4096 bytes.
    ///
    /// # Errors
    /// None in practice: every field has a JSON form. The error is serde's.
    pub fn to_bytes(&self) -> serde_json::Result<Vec<u8>> {
        serde_json::to_vec(self)
    }

    /// Writes the message over whatever is in the file `path`.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(super) fn write(&self, path: &Path) -> io::Result<()> {
        let bytes = self.to_bytes().map_err(io::Error::other)?;
        debug_assert!(bytes.len() <= MESSAGE_BYTES, "{} bytes", bytes.len());
        std::fs::write(path, bytes)
    }
}

/// An error and its causes as one line for [`Ending`], cut so that the message fits.
pub(super) fn detail(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    let end = text.floor_char_boundary(DETAIL_BYTES);
    text.truncate(end);
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::jobs::Reason;

    #[test]
    fn the_longest_detail_fits_into_a_termination_message() {
        let long = io::Error::other("\u{1}\"".repeat(4000));
        let ending = Ending::Configure {
            reason: Some(Reason::AlgorithmProvisioningFailed),
            detail: Some(detail(&long)),
        };
        let bytes = ending.to_bytes().unwrap();
        assert!(bytes.len() <= MESSAGE_BYTES);
        assert_eq!(serde_json::from_slice::<Ending>(&bytes).unwrap(), ending);
    }
}
