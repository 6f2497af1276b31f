//! Making and dropping whole databases, for the demo, which uses none that is not its own.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use url::Url;

use super::{Attempt, Error};

/// Makes the database `name` on the server of `url` and answers the URL of the new one. The name must be made of letters, digits
/// and underscores.
///
/// # Errors
/// Database errors; the login must be allowed to create databases.
pub async fn create(url: &str, name: &str) -> Result<String, Error> {
    administer(url, &format!("CREATE DATABASE \"{name}\"")).await?;
    let mut own = Url::parse(url)
        .map_err(|source| sqlx::Error::Configuration(source.into()))
        .attempt("read the database's URL")?;
    own.set_path(name);
    Ok(own.into())
}

/// Drops that database, with whatever is still connected to it.
///
/// # Errors
/// Database errors.
pub async fn remove(url: &str, name: &str) -> Result<(), Error> {
    administer(url, &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)")).await
}

async fn administer(url: &str, statement: &str) -> Result<(), Error> {
    let options = PgConnectOptions::from_str(url).attempt("read the database's URL")?;
    let mut connection = options.connect().await.attempt("connect to the database")?;
    // names cannot be bound, and nothing that was checked at compile time can make databases
    let statement = sqlx::AssertSqlSafe(statement);
    sqlx::raw_sql(statement).execute(&mut connection).await.attempt("make or drop a database")?;
    connection.close().await.attempt("close a connection")
}
