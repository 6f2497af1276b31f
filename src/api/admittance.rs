//! Who is let in to what of a job. Operators to all of it; the parties of its agreement to what the release rule lets out; nobody
//! else, and whether the job exists is nobody else's business either.
//!
//! So for somebody who has signed in the same questions are asked of the ledger whether there is such a job or not, and whoever
//! is refused gets the same words at the same beats of a clock: what a question of a row that is there takes longer than one of a
//! row that is not cannot be told from outside.

use std::time::Duration;

use alloy::primitives::{Address, B256};
use tokio::time::Instant;

use super::Shared;
use super::caller::{Caller, Known};
use super::parties::Parties;
use super::problem::Problem;
use super::release::Standing;
use super::sign_in::Account;
use crate::admission::Position;
use crate::ids::{AgreementId, DeploymentId, Did, JobName};
use crate::keeper::Deployment;
use crate::ledger::reader::{self, JobRow};
use crate::ledger::{Error, Transaction};

/// Refusals are answered at whole multiples of this since the request came: many times what the questions take.
const BEAT: Duration = Duration::from_millis(100);

/// Somebody who was let in, and to what.
#[derive(Debug)]
pub(super) struct Admitted {
    /// The job's deployment.
    pub(super) deployment: DeploymentId,
    /// The job.
    pub(super) job: JobRow,
    /// As whom.
    pub(super) view: View,
}

/// As whom somebody looks at a job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// As anybody.
    Public,
    /// As a party of its agreement, who may have what is let out, until the sign-in is over.
    Party(Standing, Account),
    /// As an operator.
    Operator,
}

impl View {
    /// Whether exit codes are shown: an algorithm can say a letter by them, so they go where its log goes as it is.
    pub(super) fn shows_exit_codes(&self) -> bool {
        match self {
            Self::Public => false,
            Self::Party(standing, _) => standing.shows_exit_code(),
            Self::Operator => true,
        }
    }

    /// Whether it is shown what ran a stage.
    pub(super) const fn shows_runners(&self) -> bool {
        matches!(self, Self::Operator)
    }
}

impl Shared {
    /// Lets operators and parties in to a job. What was erased is gone for both.
    pub(super) async fn admit(&self, known: Known, id: &str) -> Result<Admitted, Problem> {
        let began = Instant::now();
        let mut transaction = self.reader.snapshot().await?;
        match known {
            Known::Operator => {
                let (deployment, job) = self.job(&mut transaction, id).await?;
                let is_erased = reader::is_erased(&mut transaction, job.id).await?;
                let view = View::Operator;
                admitted(deployment, job, view, is_erased)
            }
            Known::Account(account) => {
                let found = self.as_party(&mut transaction, account, id).await?;
                drop(transaction);
                let Some((deployment, job, standing, is_erased)) = found else {
                    tokio::time::sleep_until(next_beat(began)).await;
                    return Err(Problem::not_a_party());
                };
                admitted(deployment, job, View::Party(standing, account), is_erased)
            }
        }
    }

    /// As whom somebody looks at a job that everybody may look at.
    pub(super) async fn view(
        &self,
        transaction: &mut Transaction,
        caller: Caller,
        id: &str,
    ) -> Result<View, Problem> {
        Ok(match caller {
            Caller::Anybody => View::Public,
            Caller::Operator => View::Operator,
            Caller::Account(account) => {
                let found = self.as_party(transaction, account, id).await?;
                found.map_or(View::Public, |(_, _, standing, _)| {
                    View::Party(standing, account)
                })
            }
        })
    }

    /// The job, if there is one and the account is a party of its agreement; with how it stands, and whether it was erased. Asks
    /// the same number of questions in any case.
    async fn as_party(
        &self,
        transaction: &mut Transaction,
        account: Account,
        id: &str,
    ) -> Result<Option<(DeploymentId, JobRow, Standing, bool)>, Problem> {
        let (deployment, keeper) = self.contracts(transaction).await?;
        let name = id
            .parse()
            .unwrap_or_else(|_| JobName::derive(0, Address::ZERO, B256::ZERO));
        let job = reader::find_job(transaction, deployment, &name).await?;
        let parties = parties(transaction, (deployment, keeper), job.as_ref()).await?;
        let release = reader::find_release(
            transaction,
            deployment,
            &name,
            job.as_ref().map(|job| job.id),
        )
        .await?;
        let Some(job) = job.filter(|_| parties.includes(account.address)) else {
            return Ok(None);
        };
        // A rule that this version cannot read lets nothing out.
        let rule = release.rule.map(serde_json::from_value).transpose();
        let rule = rule.map_err(|error| {
            tracing::error!(%error, job = %job.name, "the release rule of {} cannot be read", job.name);
            Problem::internal()
        })?;
        let standing = Standing {
            rule,
            phase: job.phase,
            outcome: job.outcome,
            is_canonical: job.block_canonical,
            is_reviewed: release.is_reviewed,
        };
        Ok(Some((deployment, job, standing, release.is_erased)))
    }
}

/// The parties of a job's agreement; nobody of none.
async fn parties(
    transaction: &mut Transaction,
    on: (DeploymentId, &Deployment),
    job: Option<&JobRow>,
) -> Result<Parties, Error> {
    let (asset, agreement, at) = job.map_or_else(
        || {
            (
                Did(B256::ZERO),
                AgreementId(B256::ZERO),
                Position::default(),
            )
        },
        |job| {
            let at = Position {
                block: job.block.number,
                log_index: job.log_index,
            };
            (job.did, job.agreement, at)
        },
    );
    let as_did = Did(agreement.0);
    let about_asset = reader::list_assets_events(transaction, on, asset, at.block).await?;
    let up_to = i64::MAX.unsigned_abs();
    let about_agreement = reader::list_assets_events(transaction, on, as_did, up_to).await?;
    Ok(job.map_or_else(Parties::default, |job| {
        Parties::of(
            (job.consumer, job.provider),
            (asset, at, &about_asset),
            (as_did, &about_agreement),
        )
    }))
}

fn admitted(
    deployment: DeploymentId,
    job: JobRow,
    view: View,
    is_erased: bool,
) -> Result<Admitted, Problem> {
    if is_erased {
        return Err(Problem::erased());
    }
    Ok(Admitted {
        deployment,
        job,
        view,
    })
}

fn next_beat(began: Instant) -> Instant {
    let beats = began.elapsed().as_millis() / BEAT.as_millis() + 1;
    began + BEAT * u32::try_from(beats).unwrap_or(u32::MAX)
}
