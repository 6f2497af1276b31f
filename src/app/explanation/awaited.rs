use crate::admission::Recorded;
use crate::ids::AgreementId;
use crate::keeper::{self, ContractCalls, Deployment, KeeperEvent};
use crate::ledger::{Connection, judging, subjects};
use crate::preflight::{Refund, Sale, refund};

use super::Looking;

/// What an agreement waits for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::app) enum Awaited {
    /// Nobody knows such an agreement.
    Creation,
    /// Its conditions are not those of a compute job, so nothing will come of it.
    Nothing,
    /// Somebody has to pay.
    Payment {
        /// The conditions' windows, as far as they could be asked.
        windows: Windows,
    },
    /// The publisher has to answer.
    Answer {
        /// Block of the payment.
        paid_in: u64,
        /// The conditions' windows, as far as they could be asked.
        windows: Windows,
        /// How to be refunded when nobody answers.
        refund: Option<Refund>,
    },
    /// It was answered.
    Answered,
}

/// Last block in which the payment and the answer can come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::app) struct Windows {
    pub(super) payment: Until,
    pub(super) answer: Until,
}

/// Until when something can come.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::app) enum Until {
    /// Nobody asked a node.
    #[default]
    Unknown,
    /// The window never ends.
    Ever,
    /// Up to this block.
    Block(u64),
    /// Somebody ended it.
    Over,
}

/// What an agreement waits for, from the events up to a block. Without a node the windows stay unknown.
pub(in crate::app) async fn find_awaited<C: ContractCalls>(
    connection: &mut Connection,
    looking: &Looking<'_, C>,
    agreement: AgreementId,
    judged: u64,
) -> anyhow::Result<Awaited> {
    let events = events(connection, looking, agreement, judged).await?;
    let answered = events.iter().any(|recorded| {
        matches!(recorded.event, KeeperEvent::ComputeFulfilled { agreement: named, .. } if named == agreement)
    });
    if answered {
        return Ok(Awaited::Answered);
    }
    let contracts = &looking.keeper.contracts;
    let sale = match Sale::read(contracts, &events, agreement) {
        Ok(sale) => sale,
        Err(_) if Sale::asset(&events, agreement).is_some() => return Ok(Awaited::Nothing),
        Err(_) => return Ok(Awaited::Creation),
    };
    let windows = Windows {
        payment: until(looking, sale.lock).await,
        answer: until(looking, sale.compute).await,
    };
    Ok(match sale.paid {
        None => Awaited::Payment { windows },
        Some(paid) => Awaited::Answer {
            paid_in: paid.block.number,
            windows,
            refund: match windows.answer {
                Until::Block(last) => refund(looking.keeper, &sale, &[], last),
                _ => None,
            },
        },
    })
}

async fn events<C>(
    connection: &mut Connection,
    looking: &Looking<'_, C>,
    agreement: AgreementId,
    judged: u64,
) -> anyhow::Result<Vec<Recorded>> {
    let (id, keeper): (_, &Deployment) = (looking.deployment, looking.keeper);
    let about = [agreement.0];
    let logs = judging::list_about(connection, id, subjects::AGREEMENT, &about, judged).await?;
    let events = logs.iter().filter_map(|(_, logged)| {
        let event = keeper::decode(keeper, &logged.log).ok()??;
        Some(Recorded {
            log: logged.id,
            block: logged.log.block,
            transaction: logged.log.transaction_hash,
            transaction_index: logged.log.transaction_index,
            log_index: logged.log.log_index,
            event,
        })
    });
    Ok(events.collect())
}

/// A node that does not answer leaves the window unknown: the rest is told all the same.
async fn until<C: ContractCalls>(
    looking: &Looking<'_, C>,
    condition: crate::ids::ConditionId,
) -> Until {
    let Some(calls) = looking.calls else {
        return Until::Unknown;
    };
    let facts = keeper::Facts::new(calls, &looking.keeper.contracts);
    let Ok(Some(its)) = facts.condition(condition, None).await else {
        return Until::Unknown;
    };
    if its.state != 1 {
        return Until::Over;
    }
    if its.time_out.is_zero() {
        return Until::Ever;
    }
    let last = its.block_number.checked_add(its.time_out);
    let last = last.and_then(|last| u64::try_from(last).ok());
    last.map_or(Until::Ever, Until::Block)
}
