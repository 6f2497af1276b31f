//! Files of object stores, with the publisher's keys or without any.

use std::path::Path;

use alloy::primitives::B256;
use futures::StreamExt;

use super::fetch::Error;
use super::transfer::Transfer;
use super::web::{PAUSE, TRIES};
use crate::results::{self, Access, Options, Store};

/// What is said of a store that may answer later.
pub(super) const AWAY: &str = "does not answer, or broke off";

/// What a store is told where there are no keys: to be asked without a signature.
const UNSIGNED: [(&str, &str); 3] = [
    ("aws_skip_signature", "true"),
    ("google_skip_signature", "true"),
    ("azure_skip_signature", "true"),
];

/// An object of a store.
#[derive(Debug)]
pub(super) struct Object(Store);

impl Object {
    /// The object at an address, with the options of the Secret that is mounted at `secret`.
    ///
    /// # Errors
    /// The Secret cannot be read, or the store cannot be used with it.
    pub(super) fn open(
        address: &str,
        secret: Option<&Path>,
        authorities: Option<&Path>,
    ) -> Result<Self, Error> {
        let options = match secret {
            Some(secret) => Options::of_directory(secret).map_err(|error| problem(&error))?,
            None => Options::among(UNSIGNED),
        };
        let access = Access {
            options,
            ..Access::default()
        };
        let store = access
            .trusting(authorities)
            .and_then(|access| Store::open(address, &access));
        store.map(Self).map_err(|error| problem(&error))
    }

    /// Downloads it, going on where a try broke off where a checksum will tell whether the halves are of one object.
    ///
    /// # Errors
    /// What was wrong with the last try.
    pub(super) async fn download(
        &self,
        expected: Option<B256>,
        transfer: &mut Transfer,
    ) -> Result<(), Error> {
        let mut pause = PAUSE;
        for _ in 1..TRIES {
            match self.ask(transfer).await {
                Err(error) if error.may_pass() => tokio::time::sleep(pause).await,
                result => return result,
            }
            if expected.is_none() {
                transfer.restart().await?;
            }
            pause *= 2;
        }
        self.ask(transfer).await
    }

    async fn ask(&self, transfer: &mut Transfer) -> Result<(), Error> {
        let found = self.0.stream("", transfer.written()).await;
        let found = found.map_err(|error| problem(&error))?;
        let (size, mut pieces) = found.ok_or(Error::Bucket("has no such object"))?;
        transfer.expect(size.saturating_sub(transfer.written()))?;
        while let Some(piece) = pieces.next().await {
            let piece = piece.map_err(|error| problem(&error))?;
            transfer.write(&piece).await?;
        }
        if transfer.written() == size {
            return Ok(());
        }
        Err(Error::Short {
            written: transfer.written(),
            announced: size,
        })
    }
}

/// What may be said of a store's error: its own words hold the address, which is secret.
fn problem(error: &results::Error) -> Error {
    Error::Bucket(match error {
        results::Error::Read { .. } => "needs a Secret that cannot be read",
        results::Error::Option(_) => "does not know an option of the Secret",
        results::Error::Object {
            source:
                object_store::Error::PermissionDenied { .. }
                | object_store::Error::Unauthenticated { .. },
            ..
        } => "refuses it with these keys",
        results::Error::Object { .. } => AWAY,
        results::Error::Address(_)
        | results::Error::Directory { .. }
        | results::Error::Client(_) => "cannot be used with this address and these options",
    })
}
