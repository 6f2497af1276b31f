use serde_json::{Value, json};

use crate::keeper::Call;

/// Calls as a file for Safe's Transaction Builder, which sends them in one transaction of a Safe.
///
/// The form is that of its exports, version 1.0 (safe-global/safe-react-apps, `tx-builder/src/typings/models.ts`). `created_at` is
/// in milliseconds since 1970. Calls that create contracts have no place in it and are left out.
pub fn safe_batch(chain_id: u64, created_at: i64, name: &str, calls: &[Call]) -> Value {
    let transactions = calls.iter().filter_map(|call| {
        let to = call.to?;
        Some(json!({
            "to": to.to_string(),
            "value": "0",
            "data": call.data.to_string(),
            "contractMethod": null,
            "contractInputsValues": null,
        }))
    });
    json!({
        "version": "1.0",
        "chainId": chain_id.to_string(),
        "createdAt": created_at,
        "meta": {"name": name, "description": "", "txBuilderVersion": "1.16.5"},
        "transactions": transactions.collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use alloy::primitives::Address;

    use super::*;

    #[test]
    fn a_batch_holds_the_calls_in_their_order() {
        let calls = [
            Call::to(Address::repeat_byte(1), vec![0xab], "one"),
            Call::create(vec![1], "a contract"),
            Call::to(Address::repeat_byte(2), vec![0xcd], "two"),
        ];
        let batch = safe_batch(8996, 1_700_000_000_000, "a purchase", &calls);
        assert_eq!(batch["chainId"], "8996");
        let data: Vec<_> = batch["transactions"]
            .as_array()
            .unwrap()
            .iter()
            .map(|call| call["data"].as_str().unwrap())
            .collect();
        assert_eq!(data, ["0xab", "0xcd"]);
    }
}
