//! Making and dropping whole databases with logins of their own, for the demo, which uses nothing that is not its own: the logins
//! [`super::roles`] are the server's, and their passwords may be in use.

use std::str::FromStr;

use sqlx::postgres::PgConnectOptions;
use sqlx::{ConnectOptions, Connection};
use url::Url;

use super::roles::Role;
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
    administer(
        url,
        &format!("DROP DATABASE IF EXISTS \"{name}\" WITH (FORCE)"),
    )
    .await
}

/// Makes a login with the rights of `role`, and answers `url` for it. The name must be made of letters, digits and underscores,
/// the password of letters and digits.
///
/// # Errors
/// Database errors; the login of `url` must be allowed to create roles.
pub async fn create_login(
    url: &str,
    name: &str,
    password: &str,
    role: Role,
) -> Result<String, Error> {
    let statement = format!("CREATE ROLE \"{name}\" LOGIN PASSWORD '{password}' IN ROLE {role}");
    administer(url, &statement).await?;
    let mut own = Url::parse(url)
        .map_err(|source| sqlx::Error::Configuration(source.into()))
        .attempt("read the database's URL")?;
    let named = own
        .set_username(name)
        .and_then(|()| own.set_password(Some(password)));
    named
        .map_err(|()| sqlx::Error::Configuration("a database's URL takes a user".into()))
        .attempt("read the database's URL")?;
    Ok(own.into())
}

/// Drops a login that [`create_login`] made, after the database that it used.
///
/// # Errors
/// Database errors.
pub async fn remove_login(url: &str, name: &str) -> Result<(), Error> {
    administer(url, &format!("DROP ROLE IF EXISTS \"{name}\"")).await
}

async fn administer(url: &str, statement: &str) -> Result<(), Error> {
    let options = PgConnectOptions::from_str(url).attempt("read the database's URL")?;
    let mut connection = options.connect().await.attempt("connect to the database")?;
    // names cannot be bound, and nothing that was checked at compile time can make databases
    let statement = sqlx::AssertSqlSafe(statement);
    sqlx::raw_sql(statement)
        .execute(&mut connection)
        .await
        .attempt("make or drop a database")?;
    connection.close().await.attempt("close a connection")
}
