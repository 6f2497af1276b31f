use alloy::primitives::B256;

use crate::agent::Whereabouts;
use crate::keeper::Deployment;
use crate::ledger::reader::Progress;

/// Says why a transaction has no agreement in the ledger. `seen` is what a node says of it, if one was asked.
pub(in crate::app) fn tell_transaction(
    hash: B256,
    keeper: &Deployment,
    logs: &[(u64, bool)],
    progress: Option<&Progress>,
    seen: Option<&Whereabouts>,
) -> String {
    let judged = progress.map_or(0, |progress| progress.judged);
    if let Some((block, canonical)) = logs.first() {
        let why = if !canonical {
            "a reorganisation took its block from the chain; if it is mined again, it is seen again"
                .to_owned()
        } else if *block > judged {
            format!("everything up to block {judged} is judged, which is not there yet")
        } else {
            "none of its events is about an agreement".to_owned()
        };
        return format!("transaction {hash} in block {block} has no job: {why}.\n");
    }
    let recorded = progress.map_or(0, |progress| progress.recorded);
    let why = match seen {
        None => {
            "no log of it is recorded; name a node by TIDEWATCH_RPC_URLS to learn more".to_owned()
        }
        Some(Whereabouts::Unknown) => {
            "the node knows no such transaction: it was never sent to this chain, or was dropped"
                .to_owned()
        }
        Some(Whereabouts::Pool) => "it is not mined yet: the node has it in its pool".to_owned(),
        Some(Whereabouts::Mined {
            succeeded: false,
            block,
            ..
        }) => {
            format!("it was mined in block {block} without effect: it was reverted")
        }
        Some(Whereabouts::Mined { block, .. }) if *block > recorded => format!(
            "it is too new: it was mined in block {block}, and everything is recorded up to block {recorded}"
        ),
        Some(Whereabouts::Mined { block, .. }) if *block < keeper.start_block => format!(
            "it is too old: it was mined in block {block}, and the first followed block is {}",
            keeper.start_block
        ),
        Some(Whereabouts::Mined { to, .. }) => {
            match to.filter(|to| keeper.contracts.at(*to).is_none()) {
                Some(to) => format!(
                    "it went to {to}, which is no contract of this deployment, and none of those said anything in it"
                ),
                None => "no followed contract said anything in it".to_owned(),
            }
        }
    };
    format!("transaction {hash} has no job: {why}.\n")
}
