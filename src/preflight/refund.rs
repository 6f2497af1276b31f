use alloy::primitives::Address;
use serde_json::{Value, json};

use super::sale::Sale;
use crate::keeper::{Call, Deployment, Order, Purchase};

/// How a consumer whose compute condition is not fulfilled gets the money back: two transactions that anybody may send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refund {
    /// First block in which the condition can be aborted.
    pub from_block: u64,
    /// The transactions, in their order.
    pub calls: Vec<Call>,
}

impl Refund {
    /// As the ledger and the API tell it.
    pub fn to_json(&self) -> Value {
        let calls = self.calls.iter().map(|call| {
            json!({
                "to": call.to.map(|to| to.to_string()),
                "data": call.data.to_string(),
                "what": call.what,
            })
        });
        json!({"fromBlock": self.from_block, "transactions": calls.collect::<Vec<_>>()})
    }

    /// The same in words.
    pub fn sentence(&self) -> String {
        format!(
            "From block {} on anybody can abort the compute condition (abortByTimeOut) and then release the escrow \
             (EscrowReward.fulfill), which pays the money back to the consumer.",
            self.from_block
        )
    }
}

/// The refund of a paid sale whose compute condition can be fulfilled up to block `last` and is not. The escrow condition of an
/// agreement whose escrow pays none of `candidates` cannot be recomputed, and so not released by us: then there is no answer.
pub fn refund(
    deployment: &Deployment,
    sale: &Sale,
    candidates: &[Address],
    last: u64,
) -> Option<Refund> {
    let paid = sale.paid?;
    let payee = sale.payee(&deployment.contracts, candidates)?;
    let order = Order {
        agreement: sale.agreement,
        did: sale.did,
        consumer: sale.consumer,
        provider: payee,
        amount: paid.amount,
    };
    let purchase = Purchase::new(deployment, order);
    Some(Refund {
        from_block: last.checked_add(1)?,
        calls: vec![purchase.abort_compute(), purchase.release()],
    })
}
