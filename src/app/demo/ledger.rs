//! The demo's own database and logins: on a server of the user's, nothing else is touched, no password either.

use crate::ids::AgreementId;
use crate::ledger::reader::{self, ActRow};
use crate::ledger::roles::Role;
use crate::ledger::{Error, Ledger, database};

/// A database of the demo's own.
#[derive(Debug)]
pub(super) struct OwnDatabase {
    server: String,
    name: String,
    /// Its URL, as its owner.
    pub(super) owner: String,
}

/// The URLs of the two logins of an [`OwnDatabase`].
#[derive(Debug)]
pub(super) struct Logins {
    /// For the workers.
    pub(super) writer: String,
    /// For the API.
    pub(super) reader: String,
}

impl OwnDatabase {
    /// Makes the database `name` on the server of that URL.
    pub(super) async fn make(server: &str, name: &str) -> Result<Self, Error> {
        let owner = database::create(server, name).await?;
        Ok(Self {
            server: server.to_owned(),
            name: name.to_owned(),
            owner,
        })
    }

    /// Makes the logins, once the schema and its roles are there.
    pub(super) async fn make_logins(&self, password: &str) -> Result<Logins, Error> {
        let make = async |role, name: String| {
            database::create_login(&self.owner, &name, password, role).await
        };
        Ok(Logins {
            writer: make(Role::Writer, self.login("writer")).await?,
            reader: make(Role::Reader, self.login("reader")).await?,
        })
    }

    /// What the agent does about an agreement, as `kind` of act.
    pub(super) async fn act(
        &self,
        kind: &str,
        agreement: AgreementId,
    ) -> Result<Option<ActRow>, Error> {
        let ledger = Ledger::connect(&self.owner, 1).await?;
        let mut connection = ledger.acquire().await?;
        let Some(deployment) = reader::find_deployment(&mut connection, None).await? else {
            return Ok(None);
        };
        let acts = reader::list_acts(&mut connection, deployment, agreement).await?;
        Ok(acts.into_iter().find(|act| act.act == kind))
    }

    /// Drops database and logins.
    pub(super) async fn remove(&self) -> Result<(), Error> {
        database::remove(&self.server, &self.name).await?;
        for login in ["writer", "reader"] {
            database::remove_login(&self.server, &self.login(login)).await?;
        }
        Ok(())
    }

    fn login(&self, of: &str) -> String {
        format!("{}_{of}", self.name)
    }
}
