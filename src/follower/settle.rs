//! What a block of history really holds, when readings differ, and mending the ledger by it.

use alloy::primitives::Address;

use super::compare::{self, Difference};
use super::error::Error;
use crate::chain::{Header, Provider, RawLog};
use crate::ids::DeploymentId;
use crate::ledger::blocks::{NewBlock, Proof};
use crate::ledger::judging::Logged;
use crate::ledger::late_blocks::{self, Cause};
use crate::ledger::logs::NewLog;
use crate::ledger::repairs::{self, FoundBy, Repair};
use crate::ledger::verification::{self, Standing};
use crate::ledger::{self, Ledger, blocks, logs};

/// The logs of a block, and how they were proven.
#[derive(Clone, Debug)]
pub(super) struct Settled {
    pub(super) header: Header,
    pub(super) logs: Vec<RawLog>,
    pub(super) proof: Proof,
    pub(super) provider: String,
}

/// Finds out what a block of history holds. Its receipts decide where they add up to the root in the header, and the header to the
/// block's hash: one that names another root would prove anything. Where no provider can prove it so, two readings that
/// agree do, by different operators where there are several. A single operator leaves out rather than makes up, so its two
/// readings count only if they hold every recorded row.
pub(super) async fn settle(
    providers: &[Provider],
    addresses: &[Address],
    number: u64,
    recorded: &[Logged],
) -> Result<Settled, Error> {
    let mut readings: Vec<(Header, Vec<RawLog>, &Provider)> = Vec::new();
    let mut failure = None;
    for provider in providers {
        match look(provider, addresses, number).await {
            Ok(Look::Proven(header, logs)) => {
                return Ok(settled(header, logs, Proof::Root, provider));
            }
            Ok(Look::Read(header, logs)) => readings.push((header, logs, provider)),
            Ok(Look::Nothing) => {}
            Err(error) => failure = Some(error),
        }
    }
    let mut operators = providers.iter().map(Provider::operator);
    let first = operators.next();
    if let [(header, logs, provider), ..] = readings.as_slice()
        && operators.all(|operator| Some(operator) == first)
    {
        let again = provider.logs_of_block(addresses, header).await?;
        let is_whole = compare::difference(recorded, logs).disproved.is_empty();
        if again == *logs && is_whole {
            return Ok(settled(header.clone(), again, Proof::TwoReads, provider));
        }
    }
    for (place, (header, logs, provider)) in readings.iter().enumerate() {
        let agrees = |(other, theirs, by): &(Header, Vec<RawLog>, &Provider)| {
            other.at == header.at && theirs == logs && by.operator() != provider.operator()
        };
        if readings.iter().skip(place + 1).any(agrees) {
            return Ok(settled(
                header.clone(),
                logs.clone(),
                Proof::TwoReads,
                provider,
            ));
        }
    }
    match failure {
        Some(error) if readings.is_empty() => Err(error),
        _ => Err(Error::Disputed { number }),
    }
}

fn settled(header: Header, logs: Vec<RawLog>, proof: Proof, provider: &Provider) -> Settled {
    Settled {
        header,
        logs,
        proof,
        provider: provider.name().to_owned(),
    }
}

enum Look {
    Nothing,
    Read(Header, Vec<RawLog>),
    Proven(Header, Vec<RawLog>),
}

async fn look(provider: &Provider, addresses: &[Address], number: u64) -> Result<Look, Error> {
    let Some(header) = provider.header_at(number).await? else {
        return Ok(Look::Nothing);
    };
    match provider.logs_by_receipts(addresses, header.at).await? {
        Some(read) if read.is_sealed => return Ok(Look::Proven(header, read.logs)),
        Some(read) => return Ok(Look::Read(header, read.logs)),
        None => {}
    }
    let logs = provider.logs_of_block(addresses, &header).await?;
    Ok(Look::Read(header, logs))
}

/// What came of settling some blocks.
#[derive(Clone, Debug)]
pub(super) struct Found {
    /// Those whose rows are wrong.
    pub(super) wrong: Vec<Wrong>,
    /// How the weakest of all was proven, right or wrong.
    pub(super) proof: Proof,
}

/// A block whose rows are wrong.
#[derive(Clone, Debug)]
pub(super) struct Wrong {
    pub(super) settled: Settled,
    pub(super) difference: Difference,
}

impl Wrong {
    /// The repair as people are told of it.
    pub(super) fn repair(&self, found_by: FoundBy) -> Repair {
        Repair {
            block: self.settled.header.at,
            missing: self.difference.missing.len(),
            disproved: self.difference.disproved.len(),
            found_by,
            proof: self.settled.proof,
            provider: self.settled.provider.clone(),
        }
    }
}

/// Mends blocks in one transaction, in a new epoch, and has the judge take them in again. Rows are added or become tombstones;
/// nothing is deleted. Of the cursors only `verified` can go back, before what is `doubted` from now on. `false` when a rollback or another repair came first: look again.
pub(super) async fn mend(
    ledger: &Ledger,
    deployment: DeploymentId,
    seen: &Standing,
    wrong: &[Wrong],
    (found_by, doubted): (FoundBy, Option<(u64, u64)>),
) -> Result<bool, Error> {
    let mut transaction = ledger.begin().await?;
    if !verification::begin_repair(&mut transaction, deployment, seen, doubted).await? {
        return Ok(false);
    }
    for Wrong {
        settled,
        difference,
    } in wrong
    {
        let at = settled.header.at;
        logs::disprove(&mut transaction, deployment, &difference.disproved).await?;
        let block = NewBlock {
            at,
            parent: None,
            made_at: settled.header.timestamp,
            proof: settled.proof,
        };
        let revived = blocks::record(&mut transaction, deployment, &[block]).await?;
        if !revived.is_empty() {
            // The chain returned to it while its logs were left out: they are there, and jobs may be anchored in them.
            logs::revive(&mut transaction, deployment, &revived).await?;
        }
        let range = (at.number, at.number);
        blocks::prove(&mut transaction, deployment, range, settled.proof).await?;
        let missing: Vec<NewLog> = difference.missing.iter().cloned().map(new_log).collect();
        logs::record_over(&mut transaction, deployment, &missing).await?;
        late_blocks::queue(&mut transaction, deployment, at.number, Cause::Repaired).await?;
    }
    for wrong in wrong {
        repairs::record(&mut transaction, deployment, &wrong.repair(found_by)).await?;
    }
    ledger::cursors::tell_recorded(&mut transaction, deployment).await?;
    ledger::commit(transaction).await?;
    for repair in wrong.iter().map(|wrong| wrong.repair(found_by)) {
        tracing::error!(
            deployment = deployment.0,
            block = repair.block.number,
            missing = repair.missing,
            disproved = repair.disproved,
            found_by = found_by.as_str(),
            provider = repair.provider,
            "history was wrong and is mended: block {} lacked {} logs and had {} that it does not hold",
            repair.block,
            repair.missing,
            repair.disproved
        );
    }
    Ok(true)
}

fn new_log(log: RawLog) -> NewLog {
    NewLog {
        block: log.block,
        transaction_hash: log.transaction_hash,
        transaction_index: log.transaction_index,
        log_index: log.log_index,
        address: log.address,
        topics: log.topics,
        data: log.data,
    }
}
