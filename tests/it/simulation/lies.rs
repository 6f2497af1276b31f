//! How answers are bent: what looks like success.

use std::collections::{HashMap, HashSet};
use std::sync::Mutex;

use alloy::consensus::constants::EMPTY_ROOT_HASH;
use alloy::primitives::{B256, Bloom};
use serde_json::{Value, json};

use super::block::Era;
use super::character::{Blooms, Character};
use super::dice::Dice;
use super::honest::{Answer, Refusal, number};
use super::stand::Stand;
use super::world::World;

/// Who lies, when, to what.
pub(super) struct Liar<'a> {
    pub(super) world: &'a World,
    pub(super) character: &'a Character,
    pub(super) stand: &'a Stand,
    /// Which of how many providers it is.
    pub(super) place: (usize, usize),
    /// The seed of the world.
    pub(super) seed: u64,
    /// What it has left out already.
    pub(super) forgotten: &'a Mutex<HashSet<B256>>,
}

impl Liar<'_> {
    /// An error where there is an answer.
    pub(super) fn refuse(dice: &mut Dice) -> Refusal {
        let (code, words) = dice.one_of(&[
            (-32005, "daily request count exceeded, request rate limited"),
            (-32000, "header not found"),
            (-32603, "Internal error"),
            (-32000, "request timed out"),
            (-32001, "resource not found"),
            (-32010, "no healthy upstream"),
        ]);
        Refusal::new(code, words)
    }

    /// Something else than the truth, in a form that passes for it at first sight.
    pub(super) fn bend(
        &self,
        dice: &mut Dice,
        method: &str,
        params: &Value,
        answer: Answer,
    ) -> Answer {
        let answer = answer?;
        match method {
            "eth_getBlockByNumber" => match params[0].as_str() {
                Some("finalized" | "safe") => self.bend_tag(dice, answer),
                _ => Ok(self.bend_block(dice, answer)),
            },
            "eth_getBlockByHash" => Ok(self.bend_block(dice, answer)),
            "eth_getLogs" => Ok(self.bend_logs(dice, answer)),
            "eth_getBlockReceipts" => Ok(self.bend_receipts(dice, answer)),
            _ => Ok(answer),
        }
    }

    /// What a provider with bad habits says each time, without any dice.
    pub(super) fn distort(&self, method: &str, answer: Answer) -> Answer {
        let mut answer = answer?;
        match method {
            "eth_getLogs" => {
                if let Some(logs) = answer.as_array_mut() {
                    self.leave_out(logs);
                }
            }
            "eth_getBlockByNumber" | "eth_getBlockByHash" if answer.is_object() => {
                if let Some(bloom) = self.bloom(&answer) {
                    answer["logsBloom"] = json!(bloom);
                }
                if self.denies(&answer["hash"]) {
                    answer["receiptsRoot"] = json!(EMPTY_ROOT_HASH);
                    answer["logsBloom"] = json!(Bloom::ZERO);
                }
            }
            "eth_getBlockReceipts" if self.denies(&answer[0]["blockHash"]) => {
                answer = json!([]);
            }
            _ => {}
        }
        Ok(answer)
    }

    /// Leaves out all logs of some blocks, as nodes do that have pruned them or not indexed them yet. No two providers leave out
    /// those of the same block, and one that is alone does so once: what nobody ever says, nobody can know.
    fn leave_out(&self, logs: &mut Vec<Value>) {
        let hash = |log: &Value| serde_json::from_value::<B256>(log["blockHash"].clone()).unwrap();
        let blocks: HashMap<_, _> = logs
            .iter()
            .map(|log| (hash(log), number(&log["blockNumber"])))
            .collect();
        let left_out: HashSet<_> = blocks
            .into_iter()
            .filter(|(block, number)| self.omits(*block, *number))
            .map(|(block, _)| block)
            .collect();
        logs.retain(|log| !left_out.contains(&hash(log)));
    }

    fn omits(&self, block: B256, number: u64) -> bool {
        let mut dice = Dice::of(self.seed, format!("who leaves out {block}"));
        let (own, all) = self.place;
        let is_own = dice.place(all) == own;
        let is_chosen = dice.percent(15);
        if all == 1 {
            return is_chosen && self.forgotten.lock().unwrap().insert(block);
        }
        is_own && (is_chosen || number < self.character.logs_from || self.character.denies)
    }

    /// Whether it denies that the block of a hash holds anything: of those that nobody else leaves out.
    fn denies(&self, hash: &Value) -> bool {
        let Ok(block) = serde_json::from_value::<B256>(hash.clone()) else {
            return false;
        };
        let (own, all) = self.place;
        let mut dice = Dice::of(self.seed, format!("who leaves out {block}"));
        self.character.denies && dice.place(all) == own
    }

    fn bloom(&self, block: &Value) -> Option<Bloom> {
        match self.character.blooms {
            Blooms::True => None,
            Blooms::Zero => Some(Bloom::ZERO),
            Blooms::Ones => Some(Bloom::repeat_byte(0xff)),
            Blooms::Wrong => {
                let mut dice = Dice::of(self.seed, format!("bloom of {}", block["hash"]));
                let other = self.stand.blocks.len();
                let other = dice.place(other);
                dice.percent(30)
                    .then(|| self.stand.blocks[other].header.logs_bloom)
            }
        }
    }

    fn bend_tag(&self, dice: &mut Dice, answer: Value) -> Answer {
        match dice.place(4) {
            0 => Ok(Value::Null),
            1 => Err(Refusal::new(-32000, "finalized block not found")),
            2 => Err(Refusal::new(-39001, "Unknown block")),
            _ => {
                // One that was final before, or block 0.
                let named = number(&answer["number"]);
                let earlier = dice.between(0..=named);
                Ok(self.stand.at(earlier).map_or(answer, |block| block.shown()))
            }
        }
    }

    fn bend_block(&self, dice: &mut Dice, mut answer: Value) -> Value {
        if answer.is_null() {
            return answer;
        }
        match dice.place(5) {
            0 => Value::Null,
            // Where hashes cannot be recomputed, whoever names another one is believed: it is another chain then.
            1 if self.world.era != Era::Authority => {
                let field = dice.one_of(&["hash", "parentHash"]);
                answer[field] = json!(dice.hash());
                answer
            }
            1 | 2 => {
                let other = dice.place(self.stand.blocks.len());
                self.stand.blocks[other].shown()
            }
            3 => {
                let field = dice.one_of(&["hash", "parentHash", "receiptsRoot", "timestamp"]);
                answer.as_object_mut().unwrap().remove(field);
                answer
            }
            _ => {
                answer["number"] = json!("0xffffffffffffffffff");
                answer
            }
        }
    }

    fn bend_logs(&self, dice: &mut Dice, mut answer: Value) -> Value {
        let logs = answer.as_array_mut().unwrap();
        if logs.is_empty() {
            return answer;
        }
        let place = dice.place(logs.len());
        match dice.place(6) {
            0 => logs.insert(place, logs[place].clone()),
            1 => logs.swap(place, 0),
            2 => logs[place]["removed"] = json!(true),
            3 => logs[place]["blockHash"] = json!(dice.hash()),
            4 => logs[place]["address"] = json!(dice.address()),
            _ => logs[place]["blockNumber"] = json!("0x7fffffffffffffff"),
        }
        answer
    }

    fn bend_receipts(&self, dice: &mut Dice, mut answer: Value) -> Value {
        let Some(receipts) = answer.as_array_mut() else {
            return answer;
        };
        match dice.place(5) {
            0 => return Value::Null,
            1 => receipts.clear(),
            2 => {
                receipts.pop();
            }
            3 => {
                let full = receipts.iter_mut().find(|one| one["logs"][0].is_object());
                if let Some(receipt) = full {
                    receipt["logs"].as_array_mut().unwrap().pop();
                }
            }
            _ => {
                if let Some(receipt) = receipts.first_mut() {
                    receipt["cumulativeGasUsed"] = json!("0x1");
                }
            }
        }
        answer
    }
}
