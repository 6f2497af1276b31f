use alloy::primitives::U256;
use axum::Json;
use axum::extract::{RawQuery, State};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::admission::Recorded;
use crate::api::Shared;
use crate::api::job::JobSummary;
use crate::api::notation::address;
use crate::api::parameters::Parameters;
use crate::api::ports::Through;
use crate::api::problem::Problem;
use crate::api::segment::Segment;
use crate::api::told::{ActShown, ToldShown};
use crate::ids::{AgreementId, ConditionId, DeploymentId, Did};
use crate::keeper::{self, Deployment};
use crate::ledger::reader::{self, ActRow, JobFilter, JobRow, ToldEvent};
use crate::ledger::{Error, Transaction};
use crate::preflight::{Awaited, Progressed, Sale, Until, Windows};

/// Most jobs of one agreement that are shown; an honest one has one.
const MOST_JOBS: u32 = 20;

/// What is known of an agreement.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct AgreementShown {
    /// The agreement.
    agreement_id: String,
    /// Its asset.
    did: Option<String>,
    /// For whom its compute condition is.
    consumer: Option<String>,
    /// Its conditions, when they are those of a compute job.
    conditions: Option<ConditionsShown>,
    /// What was paid.
    payment: Option<PaymentShown>,
    /// What it waits for.
    awaited: AwaitedShown,
    /// How the consumer gets the money back when nobody answers.
    refund: Option<RefundShown>,
    /// Its jobs; an honest agreement has one at most.
    jobs: Vec<JobSummary>,
    /// What the publisher's agent did about it.
    agent: Vec<ActShown>,
    /// Everything recorded about it, in the order of the chain.
    events: Vec<ToldShown>,
    /// Everything is recorded up to this block.
    recorded_block: u64,
    /// And judged up to this one.
    judged_block: u64,
}

/// The conditions of a compute agreement.
#[derive(Debug, Serialize, ToSchema)]
struct ConditionsShown {
    /// Fulfilled by the publisher's answer.
    compute: String,
    /// Fulfilled by the payment.
    lock: String,
    /// Fulfilled when the escrow pays.
    escrow: String,
}

/// A payment into the escrow.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct PaymentShown {
    /// In the token's smallest unit.
    #[schema(example = "10")]
    amount: String,
    /// Height of its block.
    block_number: u64,
}

/// What an agreement waits for.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(in crate::api) struct AwaitedShown {
    /// `payment`, `answer`, `judgement` (it was answered, and the judge has not come to it), `job` (its job says the rest), or
    /// `nothing` (its conditions are not those of a compute job).
    what: &'static str,
    /// Who can bring it about: `anybody`, `publisher` or `nobody`.
    from: &'static str,
    /// `block` (see untilBlock), `ever`, `over` or `unknown`.
    until: &'static str,
    /// Last block in which it can come.
    until_block: Option<u64>,
    /// The same as a sentence.
    pub(in crate::api) sentence: String,
}

/// How a consumer is refunded: transactions that anybody may send, in their order.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
struct RefundShown {
    /// First block in which the first of them has an effect.
    from_block: u64,
    /// The same in words.
    sentence: String,
    /// `{to, data, what}`, in their order.
    #[schema(value_type = Vec<Object>)]
    transactions: Value,
}

/// What is known of an agreement, what it waits for, from whom, until which block, and how the consumer is refunded; also when it
/// has no job.
#[utoipa::path(get, path = "/v1/agreements/{id}", tag = "agreements",
    params(("id" = String, Path, description = "The agreement.", pattern = "^0x[0-9a-fA-F]{64}$")),
    responses(
        (status = 200, description = "What is known of it.", body = AgreementShown),
        (status = "default", description = "Anything else.", body = Problem, content_type = "application/problem+json"),
    ))]
pub(in crate::api) async fn show(
    State(shared): State<Shared>,
    id: Segment,
    RawQuery(query): RawQuery,
) -> Result<Json<AgreementShown>, Problem> {
    Parameters::read(query.as_deref())?.finish()?;
    let agreement: AgreementId = id.hash("id")?;
    let mut transaction = shared.reader.snapshot().await?;
    let known = Known::get(&shared, &mut transaction, agreement).await?;
    drop(transaction);
    Ok(Json(known.asked(&shared).await.into()))
}

/// What the ledger holds of an agreement.
#[derive(Debug)]
pub(in crate::api) struct Known<'a> {
    keeper: &'a Deployment,
    agreement: AgreementId,
    events: Vec<Recorded>,
    /// Everything recorded about it, in the order of the chain.
    pub(in crate::api) told: Vec<ToldEvent>,
    /// Its jobs.
    pub(in crate::api) jobs: Vec<JobRow>,
    /// What the publisher's agent did about it.
    pub(in crate::api) agent: Vec<ActRow>,
    progressed: Progressed,
    windows: Windows,
    /// Everything is recorded up to this block.
    pub(in crate::api) recorded: u64,
    /// And judged up to this one.
    pub(in crate::api) judged: u64,
}

impl<'a> Known<'a> {
    /// What is known of it; that there is nothing is a refusal.
    pub(in crate::api) async fn get(
        shared: &'a Shared,
        transaction: &mut Transaction,
        agreement: AgreementId,
    ) -> Result<Self, Problem> {
        let on = shared.contracts(transaction).await?;
        let known = Self::find(transaction, on, agreement).await?;
        if known.told.is_empty() && known.jobs.is_empty() {
            return Err(Problem::agreement_not_found(known.judged));
        }
        Ok(known)
    }

    /// The same with the windows that no event tells, asked of a node where there is one: without a database connection.
    pub(in crate::api) async fn asked(mut self, shared: &Shared) -> Self {
        if let Progressed::Open(sale) = &self.progressed {
            self.windows = shared.asked(self.keeper, sale, self.windows).await;
        }
        self
    }

    async fn find(
        transaction: &mut Transaction,
        (deployment, keeper): (DeploymentId, &'a Deployment),
        agreement: AgreementId,
    ) -> Result<Self, Error> {
        let progress = reader::progress(transaction, deployment).await?;
        let (recorded, judged) =
            progress.map_or((0, 0), |progress| (progress.recorded, progress.judged));
        let events =
            reader::list_about(transaction, (deployment, keeper), agreement, judged).await?;
        let told = reader::list_told(transaction, deployment, agreement).await?;
        let filter = JobFilter {
            agreement: Some(agreement),
            ..JobFilter::default()
        };
        let jobs = reader::list_jobs(transaction, deployment, &filter, MOST_JOBS).await?;
        let acts = reader::list_acts(transaction, deployment, agreement).await?;
        let progressed = Progressed::read(&keeper.contracts, &events, agreement);
        let windows = match &progressed {
            Progressed::Open(sale) => {
                let of = [sale.compute, sale.lock];
                let facts = reader::find_facts(transaction, deployment, &of).await?;
                Windows::told(sale, &events, &facts)
            }
            _ => Windows::default(),
        };
        Ok(Self {
            keeper,
            agreement,
            events,
            told,
            jobs,
            agent: acts,
            progressed,
            windows,
            recorded,
            judged,
        })
    }

    /// The purchase, when its conditions are those of a compute job.
    pub(in crate::api) fn sale(&self) -> Option<Sale> {
        Sale::read(&self.keeper.contracts, &self.events, self.agreement).ok()
    }

    /// Its asset.
    pub(in crate::api) fn asset(&self) -> Option<Did> {
        Sale::asset(&self.events, self.agreement)
    }

    /// What it waits for.
    pub(in crate::api) fn awaited(&self) -> Awaited {
        match &self.progressed {
            Progressed::Unknown => Awaited::Creation,
            Progressed::NoSale => Awaited::Nothing,
            Progressed::Answered => Awaited::Answered,
            Progressed::Open(sale) => Awaited::by(self.keeper, sale, self.windows),
        }
    }
}

impl From<Known<'_>> for AgreementShown {
    fn from(known: Known<'_>) -> Self {
        let sale = known.sale();
        let awaited = known.awaited();
        let refund = match &awaited {
            Awaited::Answer {
                refund: Some(refund),
                ..
            } => Some(RefundShown {
                from_block: refund.from_block,
                sentence: refund.sentence(),
                transactions: refund.to_json()["transactions"].clone(),
            }),
            _ => None,
        };
        let paid = sale.as_ref().and_then(|sale| sale.paid);
        Self {
            agreement_id: known.agreement.to_string(),
            did: known.asset().map(|did| did.to_string()),
            consumer: sale.as_ref().map(|sale| address(sale.consumer)),
            conditions: sale.as_ref().map(|sale| ConditionsShown {
                compute: sale.compute.to_string(),
                lock: sale.lock.to_string(),
                escrow: sale.escrow.to_string(),
            }),
            payment: paid.map(|paid| PaymentShown {
                amount: U256::to_string(&paid.amount),
                block_number: paid.block.number,
            }),
            awaited: AwaitedShown::new(&awaited, !known.jobs.is_empty()),
            refund,
            jobs: known.jobs.into_iter().map(JobSummary::from).collect(),
            agent: known.agent.into_iter().map(ActShown::from).collect(),
            events: known.told.into_iter().map(ToldShown::from).collect(),
            recorded_block: known.recorded,
            judged_block: known.judged,
        }
    }
}

impl Shared {
    /// The windows that no event tells, asked of a node where there is one. They are fixed when the agreement is made.
    async fn asked(&self, keeper: &Deployment, sale: &Sale, told: Windows) -> Windows {
        Windows {
            answer: self.asked_one(keeper, sale.compute, told.answer).await,
            payment: self.asked_one(keeper, sale.lock, told.payment).await,
        }
    }

    async fn asked_one(&self, keeper: &Deployment, condition: ConditionId, told: Until) -> Until {
        let (Until::Unknown, Some(calls)) = (told, &self.calls) else {
            return told;
        };
        let through = Through(calls.as_ref());
        let facts = keeper::Facts::new(&through, &keeper.contracts);
        match facts.condition(condition, None).await {
            Ok(Some(its)) if its.state != 1 => Until::Over,
            Ok(Some(its)) if its.time_out.is_zero() => Until::Ever,
            Ok(Some(its)) => {
                let last = its.block_number.checked_add(its.time_out);
                let last = last.and_then(|last| u64::try_from(last).ok());
                last.map_or(Until::Ever, Until::Block)
            }
            Ok(None) | Err(_) => Until::Unknown,
        }
    }
}

impl AwaitedShown {
    /// Puts it into words.
    pub(in crate::api) fn new(awaited: &Awaited, has_job: bool) -> Self {
        let (what, from, until, sentence) = match awaited {
            _ if has_job => (
                "job",
                "nobody",
                Until::Over,
                "It has a job, which says the rest.".to_owned(),
            ),
            Awaited::Creation | Awaited::Nothing => {
                let said = "Its conditions are not those of a compute job for an account that it names, so none can come of it.";
                ("nothing", "nobody", Until::Over, said.to_owned())
            }
            Awaited::Answered => {
                let said = "It was answered; the judge has not come to it yet.";
                ("judgement", "nobody", Until::Ever, said.to_owned())
            }
            Awaited::Payment { windows } => {
                let said = format!(
                    "It waits for the payment (LockRewardCondition.fulfill), which anybody can make {}.",
                    words(windows.payment)
                );
                ("payment", "anybody", windows.payment, said)
            }
            Awaited::Answer { windows, .. } => {
                let said = format!(
                    "It was paid and waits for the publisher (ComputeExecutionCondition.fulfill), who can answer {}.{}",
                    words(windows.answer),
                    afterwards(windows.answer)
                );
                ("answer", "publisher", windows.answer, said)
            }
        };
        let (until, until_block) = match until {
            Until::Unknown => ("unknown", None),
            Until::Ever => ("ever", None),
            Until::Over => ("over", None),
            Until::Block(last) => ("block", Some(last)),
        };
        Self {
            what,
            from,
            until,
            until_block,
            sentence,
        }
    }
}

fn words(until: Until) -> String {
    match until {
        Until::Unknown => {
            "for as long as the condition's window lasts, which is not known here".to_owned()
        }
        Until::Ever => "at any time".to_owned(),
        Until::Block(last) => format!("up to block {last}"),
        Until::Over => "no more".to_owned(),
    }
}

fn afterwards(answer: Until) -> &'static str {
    match answer {
        Until::Ever => {
            " Its condition never times out, so the contracts give no refund: only the publisher can pay back."
        }
        Until::Over => {
            " Its condition was ended already: releasing the escrow (EscrowReward.fulfill) pays it out or back."
        }
        Until::Unknown | Until::Block(_) => "",
    }
}
