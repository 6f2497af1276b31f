use anyhow::Context;

use super::Report;
use crate::app::config::{ApiConfig, ResultsConfig};
use crate::ledger::Reader;
use crate::results::{Access, Existing, Store};

/// A key that no job has: what is asked for to see whether the store answers.
const NOTHING: &str = "tidewatch-check";

/// The API's login, and where it reads results.
pub(super) async fn check(config: &ApiConfig, report: &mut Report) -> anyhow::Result<()> {
    let reader = Reader::connect(config.database_url.expose()).await;
    let well = reader.map(|_| "it can read the ledger, and write nothing of it".to_owned());
    report.add("the API's login", well.map_err(anyhow::Error::from))?;
    let Some(results) = &config.results else {
        return report.add_unseen(
            "the API's results",
            "TIDEWATCH_RESULTS_URL is not set: results are not handed out",
        );
    };
    match look(results).await {
        Ok(true) => report.add(
            "the API's results",
            Ok("the store answers this process's credential".to_owned()),
        ),
        // A store may answer so for whatever is not there, too, to those who may not list it (Amazon S3, GetObject).
        Ok(false) => report.add_unseen(
            "the API's results",
            "the store answers, and does not say whether this process's credential may read",
        ),
        Err(error) => report.add("the API's results", Err(error)),
    }
}

async fn look(results: &ResultsConfig) -> anyhow::Result<bool> {
    let access = Access {
        options: results.options.clone(),
        lenient: true,
        ..Access::default()
    };
    let access = access.trusting(results.ca_file.as_deref())?;
    let store = Store::open(&results.url, &access).context("TIDEWATCH_RESULTS_URL")?;
    match store.read(NOTHING).await? {
        Existing::Found(_) | Existing::None => Ok(true),
        Existing::Unreadable => Ok(false),
    }
}
