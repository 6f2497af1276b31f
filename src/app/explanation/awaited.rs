use super::Looking;
use crate::ids::{AgreementId, ConditionId};
use crate::keeper::{self, ContractCalls};
use crate::ledger::{Connection, reader};
use crate::preflight::{Awaited, Progressed, Until, Windows};

/// What an agreement waits for, from the events up to a block. Without a node, windows that no event tells stay unknown.
pub(in crate::app) async fn find_awaited<C: ContractCalls>(
    connection: &mut Connection,
    looking: &Looking<'_, C>,
    agreement: AgreementId,
    judged: u64,
) -> anyhow::Result<Awaited> {
    let on = (looking.deployment, looking.keeper);
    let events = reader::list_about(connection, on, agreement, judged).await?;
    let sale = match Progressed::read(&looking.keeper.contracts, &events, agreement) {
        Progressed::Unknown => return Ok(Awaited::Creation),
        Progressed::NoSale => return Ok(Awaited::Nothing),
        Progressed::Answered => return Ok(Awaited::Answered),
        Progressed::Open(sale) => sale,
    };
    let facts = reader::find_facts(connection, on.0, &[sale.compute, sale.lock]).await?;
    let told = Windows::told(&sale, &events, &facts);
    let windows = Windows {
        payment: asked(looking, sale.lock, told.payment).await,
        answer: asked(looking, sale.compute, told.answer).await,
    };
    Ok(Awaited::by(looking.keeper, &sale, windows))
}

/// A window that is not known yet, asked of a node. One that does not answer leaves it unknown: the rest is told all the same.
async fn asked<C: ContractCalls>(
    looking: &Looking<'_, C>,
    condition: ConditionId,
    told: Until,
) -> Until {
    let (Until::Unknown, Some(calls)) = (told, looking.calls) else {
        return told;
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
