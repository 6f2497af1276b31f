//! What the node answers to each JSON-RPC method.

use std::io;

use alloy::primitives::{Address, B256};
use alloy::rpc::types::Filter;
use serde_json::Value;

use super::body::Body;
use super::chain::{self, Chain};
use super::events::Event;
use super::{Shared, WIDEST};

/// A call that is not answered with a result.
struct Refusal {
    code: i64,
    message: String,
}

/// Answers a request, single or a batch.
pub(super) fn answer(
    body: &mut Body<'_>,
    chain: &Chain,
    shared: &Shared,
    request: &Value,
) -> io::Result<()> {
    let Value::Array(calls) = request else {
        return one(body, chain, shared, request);
    };
    let mut separator = "[";
    for call in calls {
        body.text(separator);
        separator = ",";
        one(body, chain, shared, call)?;
    }
    body.text("]");
    Ok(())
}

fn one(body: &mut Body<'_>, chain: &Chain, shared: &Shared, call: &Value) -> io::Result<()> {
    let method = call["method"].as_str().unwrap_or_default();
    *shared.counts().calls.entry(method.to_owned()).or_default() += 1;
    body.text(r#"{"jsonrpc":"2.0","id":"#);
    body.text(&call["id"].to_string());
    body.text(",");
    match result(body, chain, method, &call["params"])? {
        Ok(()) => {}
        Err(Refusal { code, message }) => {
            let error = serde_json::json!({"code": code, "message": message});
            body.text(r#""error":"#);
            body.text(&error.to_string());
        }
    }
    body.text("}");
    body.spill()
}

fn result(
    body: &mut Body<'_>,
    chain: &Chain,
    method: &str,
    parameters: &Value,
) -> io::Result<Result<(), Refusal>> {
    const RESULT: &str = r#""result":"#;
    match method {
        "eth_getLogs" => return logs(body, chain, &parameters[0]),
        "eth_getBlockByNumber" | "eth_getBlockByHash" => {
            body.text(RESULT);
            block(body, chain, place(chain, &parameters[0]))?;
        }
        "eth_getBlockReceipts" => {
            body.text(RESULT);
            receipts(body, chain, place(chain, &parameters[0]))?;
        }
        "eth_blockNumber" => {
            body.text(RESULT);
            body.quantity(chain.head())?;
        }
        "eth_chainId" => {
            body.text(RESULT);
            body.quantity(chain.deployment.chain_id)?;
        }
        // Something is there.
        "eth_getCode" => body.text(r#""result":"0xfe""#),
        _ => {
            return Ok(Err(Refusal {
                code: -32601,
                message: format!("the method {method} does not exist"),
            }));
        }
    }
    Ok(Ok(()))
}

/// The block that a number, a tag or a hash means; `None` if there is none.
fn place(chain: &Chain, at: &Value) -> Option<u64> {
    let at = at["blockHash"].as_str().or_else(|| at.as_str())?;
    match at {
        "latest" | "finalized" | "safe" | "pending" => Some(chain.head()),
        "earliest" => Some(0),
        hash if hash.len() == 66 => chain.number(hash.parse().ok()?),
        number => u64::from_str_radix(number.trim_start_matches("0x"), 16)
            .ok()
            .filter(|number| *number <= chain.head()),
    }
}

fn logs(body: &mut Body<'_>, chain: &Chain, filter: &Value) -> io::Result<Result<(), Refusal>> {
    let refused = |code, message: String| Ok(Err(Refusal { code, message }));
    let Ok(wanted) = serde_json::from_value::<Filter>(filter.clone()) else {
        return refused(-32602, format!("{filter} is no filter"));
    };
    let (from, to) = if let Some(hash) = wanted.get_block_hash() {
        let Some(number) = chain.number(hash) else {
            return refused(-32000, format!("block {hash} is not there"));
        };
        (number, number)
    } else {
        let from = place(chain, &filter["fromBlock"]).unwrap_or(0);
        (
            from,
            place(chain, &filter["toBlock"]).unwrap_or_else(|| chain.head()),
        )
    };
    if to.saturating_sub(from) >= WIDEST {
        return refused(
            -32602,
            format!("block range too wide, at most {WIDEST} blocks"),
        );
    }
    body.text(r#""result":"#);
    let addresses: Vec<Address> = wanted.address.iter().copied().collect();
    let mut separator = "[";
    for number in from..=to {
        let place = Place::new(chain, number);
        for (event, index) in chain.events(number).iter().zip(0..) {
            if addresses.is_empty() || addresses.contains(&event.address) {
                body.text(separator);
                separator = ",";
                place.log(body, event, index)?;
            }
        }
        body.spill()?;
    }
    body.text(if separator == "[" { "[]" } else { "]" });
    Ok(Ok(()))
}

fn block(body: &mut Body<'_>, chain: &Chain, number: Option<u64>) -> io::Result<()> {
    let Some(number) = number else {
        body.text("null");
        return Ok(());
    };
    let header = chain.header(number);
    let mut fields = serde_json::to_value(&header)?;
    fields["hash"] = serde_json::to_value(chain.hash(number))?;
    fields["uncles"] = serde_json::json!([]);
    let count = chain
        .events(number)
        .last()
        .map_or(0, |last| last.transaction + 1);
    let transactions: Vec<B256> = (0..count)
        .map(|index| Chain::transaction(number, index))
        .collect();
    fields["transactions"] = serde_json::to_value(transactions)?;
    body.text(&fields.to_string());
    Ok(())
}

fn receipts(body: &mut Body<'_>, chain: &Chain, number: Option<u64>) -> io::Result<()> {
    let Some(number) = number else {
        body.text("null");
        return Ok(());
    };
    let (place, events) = (Place::new(chain, number), chain.events(number));
    let mut index = 0;
    let mut separator = "";
    body.text("[");
    for (receipt, transaction) in chain::receipts(&events).iter().zip(0..) {
        body.text(separator);
        separator = ",";
        body.text(r#"{"type":"0x2","status":"0x1","cumulativeGasUsed":"#);
        body.quantity(receipt.inner.receipt.cumulative_gas_used)?;
        body.text(r#","transactionHash":"#);
        body.hex(Chain::transaction(number, transaction).as_slice());
        body.text(r#","logsBloom":"#);
        body.hex(receipt.inner.logs_bloom.as_slice());
        body.text(r#","logs":["#);
        let mut separator = "";
        for event in events
            .iter()
            .filter(|event| event.transaction == transaction)
        {
            body.text(separator);
            separator = ",";
            place.log(body, event, index)?;
            index += 1;
        }
        body.text("]}");
    }
    body.text("]");
    Ok(())
}

/// Where logs stand.
struct Place {
    number: u64,
    hash: B256,
}

impl Place {
    fn new(chain: &Chain, number: u64) -> Self {
        Self {
            number,
            hash: chain.hash(number).unwrap_or_default(),
        }
    }

    fn log(&self, body: &mut Body<'_>, event: &Event, index: u64) -> io::Result<()> {
        body.text(r#"{"address":"#);
        body.hex(event.address.as_slice());
        body.text(r#","topics":"#);
        let mut separator = "[";
        for topic in &event.topics {
            body.text(separator);
            separator = ",";
            body.hex(topic.as_slice());
        }
        body.text(r#"],"data":"#);
        body.hex(&event.data);
        body.text(r#","blockNumber":"#);
        body.quantity(self.number)?;
        body.text(r#","transactionHash":"#);
        body.hex(Chain::transaction(self.number, event.transaction).as_slice());
        body.text(r#","transactionIndex":"#);
        body.quantity(event.transaction)?;
        body.text(r#","blockHash":"#);
        body.hex(self.hash.as_slice());
        body.text(r#","blockTimestamp":"#);
        body.quantity(Chain::timestamp(self.number))?;
        body.text(r#","logIndex":"#);
        body.quantity(index)?;
        body.text(r#","removed":false}"#);
        Ok(())
    }
}
