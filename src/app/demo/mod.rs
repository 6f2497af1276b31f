//! The whole story on real parts, told step by step. It shows only what happened, checks what it shows, and touches nothing that
//! is not its own: database, namespace and bucket are made for it and removed.
//!
//! Layout:
//! - `story.rs`: the story; `answering.rs`: the agent's part of it; `telling.rs`: how it is told;
//! - `equipment.rs`: cluster, S3 server and Postgres;
//! - `site.rs`: where jobs run and bytes lie; in a cluster, `place.rs`: the namespace, `store.rs`: the bucket; on this machine,
//!   `machine.rs`: directories;
//! - `ledger.rs`: the database and its logins;
//! - `people.rs`: the chain and who sends transactions; `publisher.rs`: what is sold, and for what;
//! - `service.rs`: the service, as a child process.

mod answering;
mod equipment;
mod ledger;
mod machine;
mod people;
mod place;
mod publisher;
mod service;
mod site;
mod store;
mod story;
mod telling;

use anyhow::{bail, ensure};

use super::cli::DemoOptions;
use super::config::Environment;
use site::Kind;
use story::Story;
use telling::Telling;

/// Tells the story; then serves the API until Ctrl-C unless told to end.
pub(super) async fn run(options: &DemoOptions, environment: &Environment) -> anyhow::Result<()> {
    let kind = Kind::choose(options, environment)?;
    let mut telling = Telling::begin();
    // whatever is dropped half-way ends what it started
    let mut story = tokio::select! {
        prepared = Story::prepare(kind, (options, environment), &mut telling) => prepared?,
        _ = tokio::signal::ctrl_c() => bail!("interrupted"),
    };
    let told = tokio::select! {
        told = story.tell(&mut telling) => told,
        _ = tokio::signal::ctrl_c() => Err(anyhow::anyhow!("interrupted")),
    };
    if told.is_ok() && !options.once {
        story.invite(&telling);
        tokio::signal::ctrl_c().await?;
    }
    let removed = story.remove().await;
    told?;
    removed?;
    ensure!(
        telling.failed() == 0,
        "{} checks did not hold",
        telling.failed()
    );
    Ok(())
}
