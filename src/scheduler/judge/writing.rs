use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use alloy::primitives::B256;
use serde_json::value::to_raw_value;

use super::hearing::{Heard, Hearing};
use super::ruling::{Ruling, soonest, terms};
use super::{Docket, Judge};
use crate::admission::{Decision, Recorded, Verdict};
use crate::ids::{AgreementId, BlockRef, JobId, JobName};
use crate::jobs::Reason;
use crate::keeper::{ContractCalls, KeeperEvent};
use crate::ledger::jobs::{Anchor, NewJob};
use crate::ledger::judge_queue::Due;
use crate::ledger::openings::{self, Opening};
use crate::ledger::standings::Standing;
use crate::ledger::verdicts::{Basis, NewVerdict, Row};
use crate::ledger::{self, Transaction, facts, jobs, judge_queue, standings, verdicts};
use crate::scheduler::Error;
use crate::workflows::Catalog;

/// Name that the judge signs transitions with.
pub(super) const WORKER: &str = "judge";

/// A verdict on a compute condition, with the job that it is about.
pub(super) struct Finding<'a> {
    pub(super) new: NewJob,
    trigger: &'a Recorded,
    pub(super) verdict: &'a Verdict,
    policy: B256,
}

impl Finding<'_> {
    /// On what it was found, as of a block.
    pub(super) const fn basis(&self, judged: BlockRef) -> Basis {
        Basis {
            policy: Some(self.policy),
            judged,
        }
    }

    pub(super) const fn anchor(&self) -> Anchor {
        Anchor {
            log: self.trigger.log,
            block: self.trigger.block,
        }
    }

    pub(super) fn ruling(&self, row: &jobs::Recorded) -> Ruling<'_> {
        if row.collides {
            Ruling::by_one_rule("refused", Reason::NameCollision, "name")
        } else {
            Ruling::of(self.verdict)
        }
    }
}

/// What was known of the jobs before this tick.
pub(super) struct Before {
    pub(super) jobs: BTreeMap<JobId, Standing>,
    pub(super) verdicts: BTreeMap<JobId, Row>,
}

impl<C: ContractCalls> Judge<C> {
    /// Writes what hearings concluded, inside the transaction that moved the cursor: no other judge of this deployment writes now.
    pub(super) async fn rule(
        &self,
        transaction: &mut Transaction,
        docket: &Docket,
        catalog: &Catalog,
        hearings: &[Hearing],
    ) -> Result<(), Error> {
        if hearings.is_empty() {
            return Ok(());
        }
        let basis = Basis {
            policy: Some(catalog.sha256),
            judged: docket.to,
        };
        let learned: Vec<_> = hearings.iter().flat_map(|its| &its.learned).collect();
        facts::record(transaction, self.deployment_id, &learned).await?;

        let agreements: Vec<_> = hearings.iter().map(|hearing| hearing.agreement).collect();
        let jobs = standings::list(transaction, self.deployment_id, &agreements).await?;
        let known: Vec<_> = jobs.iter().map(|standing| standing.job).collect();
        let before = Before {
            verdicts: verdicts::list_last_judged(transaction, &known).await?,
            jobs: jobs
                .into_iter()
                .map(|standing| (standing.job, standing))
                .collect(),
        };
        let findings: Vec<_> = hearings
            .iter()
            .flat_map(|hearing| &hearing.heard)
            .filter_map(|heard| self.finding(heard))
            .collect();
        self.rule_on_findings(transaction, &findings, &before, docket.to)
            .await?;
        let orphans = self
            .rule_on_orphans(transaction, docket, &findings, &before, &basis)
            .await?;
        let again = self.again(hearings, orphans);
        judge_queue::replace(transaction, self.deployment_id, &again).await?;
        Ok(())
    }

    fn finding<'a>(&self, heard: &'a Heard) -> Option<Finding<'a>> {
        let Heard {
            trigger,
            verdict,
            policy,
        } = heard;
        let KeeperEvent::ComputeFulfilled {
            agreement,
            did,
            consumer,
            condition,
        } = trigger.event
        else {
            return None;
        };
        let contract = self.deployment.contracts.compute_execution_condition;
        Some(Finding {
            new: NewJob {
                contract,
                key: condition.0,
                name: JobName::derive(self.deployment.chain_id, contract, condition.0),
                agreement,
                did,
                consumer,
            },
            trigger,
            verdict,
            policy: *policy,
        })
    }

    /// The first finding on a job that is new opens it; all others are held against what is there.
    async fn rule_on_findings(
        &self,
        transaction: &mut Transaction,
        findings: &[Finding<'_>],
        before: &Before,
        judged: BlockRef,
    ) -> Result<(), Error> {
        let mut keys = HashSet::new();
        let new: Vec<_> = findings
            .iter()
            .filter(|finding| keys.insert(finding.new.key))
            .map(|finding| finding.new.clone())
            .collect();
        let recorded = jobs::record(transaction, self.deployment_id, &new).await?;
        let recorded: HashMap<B256, jobs::Recorded> =
            recorded.into_iter().map(|row| (row.key, row)).collect();

        let mut unopened: HashSet<B256> = recorded
            .values()
            .filter(|row| row.is_new)
            .map(|row| row.key)
            .collect();
        let (mut first, mut further) = (Vec::new(), Vec::new());
        let (mut new_evidence, mut evidence) = (BTreeSet::new(), Vec::new());
        for finding in findings {
            let Some(row) = recorded.get(&finding.new.key) else {
                continue;
            };
            let found = finding.verdict.evidence.iter();
            let found = found.map(|(role, log)| (row.job, role.as_str(), *log));
            if unopened.remove(&row.key) {
                new_evidence.extend(found);
                first.push((row, finding));
            } else {
                evidence.extend(found);
                further.push((row, finding));
            }
        }
        self.open(transaction, &first, judged).await?;
        verdicts::record_first_evidence(transaction, &new_evidence).await?;
        for (row, finding) in further {
            self.rule_again(transaction, row, finding, before, judged)
                .await?;
        }
        Ok(verdicts::record_evidence(transaction, &evidence).await?)
    }

    async fn open(
        &self,
        transaction: &mut Transaction,
        first: &[(&jobs::Recorded, &Finding<'_>)],
        judged: BlockRef,
    ) -> Result<(), Error> {
        let (mut opened, mut said) = (Vec::new(), Vec::new());
        for (row, finding) in first {
            let ruling = finding.ruling(row);
            opened.push(Opening {
                job: row.job,
                name: finding.new.name.clone(),
                status: ruling.status(0),
                anchor: finding.anchor(),
                terms: terms(finding.verdict),
            });
            said.push(NewVerdict {
                job: row.job,
                verdict: ruling.word,
                reason: ruling.reason,
                rules: to_raw_value(&ruling.rules)
                    .map_err(ledger::Error::unreadable("verdicts"))?,
                basis: finding.basis(judged),
            });
        }
        openings::record(transaction, self.deployment_id, &opened, WORKER).await?;
        Ok(verdicts::append_first(transaction, &said).await?)
    }

    /// Every agreement that was heard, with when it has to be looked at again though no event may come.
    fn again(
        &self,
        hearings: &[Hearing],
        orphans: Vec<(AgreementId, Due)>,
    ) -> Vec<(AgreementId, Option<(Due, &'static str)>)> {
        let mut due: HashMap<_, Vec<_>> = HashMap::new();
        for (agreement, until) in orphans {
            due.entry(agreement)
                .or_default()
                .push((until, "event orphaned"));
        }
        for hearing in hearings {
            let heard = hearing.heard.iter();
            let again = heard.filter_map(|its| self.again_after(&its.verdict));
            due.entry(hearing.agreement).or_default().extend(again);
        }
        due.into_iter()
            .map(|(agreement, due)| (agreement, soonest(due)))
            .collect()
    }

    fn again_after(&self, verdict: &Verdict) -> Option<(Due, &'static str)> {
        match verdict.decision {
            Decision::AwaitingPayment {
                until_block: Some(block),
            } => Some((Due::Block(block), "payment awaited")),
            Decision::Undecided { .. } => Some((Due::After(self.retry), "fact missing")),
            _ => None,
        }
    }
}
