use std::collections::HashMap;
use std::sync::Arc;

use alloy::primitives::B256;
use tidewatch::ids::BlockRef;
use tidewatch::keeper::{Contract, Deployment};

use super::block::{Block, Era};
use super::contents::Transaction;
use super::dice::Dice;
use super::stand::Stand;

/// The truth: every block that was ever made, and every chain that the network ever agreed on.
#[derive(Debug)]
pub(super) struct World {
    pub(super) deployment: Deployment,
    pub(super) era: Era,
    /// Depth that counts as irreversible, on a chain that is followed by depth.
    pub(super) depth: Option<u64>,
    /// Blocks up to this height never change.
    pub(super) final_number: u64,
    /// How often, in percent of requests, it does not stand still while somebody asks.
    pub(super) restless: u32,
    stands: Vec<Stand>,
    blocks: HashMap<B256, Arc<Block>>,
    highest: u64,
    dice: Dice,
}

impl World {
    /// The world that a seed names, with some history.
    pub(super) fn made_of(seed: u64) -> Self {
        let mut dice = Dice::of(seed, "world");
        let era = dice.one_of(&[Era::Early, Era::Present, Era::Present, Era::Authority]);
        let depth = dice.percent(40).then(|| dice.between(4..=20));
        let deployment = deployment(&mut dice, seed);
        let restless = Dice::of(seed, "restless").one_of(&[0, 0, 3]);
        let genesis = Arc::new(Block::after(None, era, Vec::new(), dice.hash(), &[]));
        let stand = Stand {
            blocks: Arc::new(vec![Arc::clone(&genesis)]),
            safe: 0,
            finalized: 0,
        };
        let mut world = Self {
            deployment,
            era,
            depth,
            final_number: 0,
            restless,
            stands: vec![stand],
            blocks: HashMap::new(),
            highest: 0,
            dice,
        };
        world.remember(genesis);
        let history = world.dice.one_of(&[10, 40, 150]);
        world.grow(0, history);
        world
    }

    /// The chain that the network agrees on now.
    pub(super) fn now(&self) -> &Stand {
        self.stands.last().unwrap()
    }

    /// Whether the chain has the tags `finalized` and `safe`.
    pub(super) fn has_tags(&self) -> bool {
        self.depth.is_none()
    }

    /// A block by its hash, whatever became of it.
    pub(super) fn block(&self, hash: B256) -> Option<&Arc<Block>> {
        self.blocks.get(&hash)
    }

    /// One of the chains that the network agreed on lately, as a node that is stuck may still show it. It has whatever is final
    /// now: a node that denies that much is on another chain.
    pub(super) fn stale(&self, dice: &mut Dice) -> Stand {
        let last = self.now().at(self.final_number).unwrap().at;
        let recent = self.stands.len().min(4);
        let back = dice.place(recent);
        let stand = &self.stands[self.stands.len() - 1 - back];
        if stand.holds(last) { stand } else { self.now() }.clone()
    }

    /// Whether a block can never go away.
    pub(super) fn is_final(&self, block: BlockRef) -> bool {
        block.number <= self.final_number && self.now().holds(block)
    }

    /// Whether the tag `safe` ever named the block or one on top of it.
    pub(super) fn was_safe(&self, block: BlockRef) -> bool {
        self.stands
            .iter()
            .any(|stand| block.number <= stand.safe && stand.holds(block))
    }

    /// How many blocks were ever on top of it; `None` if the network never agreed on it.
    pub(super) fn burial(&self, block: BlockRef) -> Option<u64> {
        let holding = self.stands.iter().filter(|stand| stand.holds(block));
        holding
            .map(|stand| stand.head().at.number - block.number)
            .max()
    }

    /// Something happens.
    pub(super) fn live(&mut self) {
        let head = self.now().head().at.number;
        let loose = head - self.final_number;
        match self.dice.place(20) {
            0..=9 => {
                let length = self.dice.between(1..=3);
                self.grow(head, length);
            }
            10..=11 => {
                let length = self.dice.between(5..=25);
                self.grow(head, length);
            }
            12..=15 if loose > 0 => {
                let deepest = if self.dice.percent(70) {
                    loose.min(3)
                } else {
                    loose
                };
                let depth = self.dice.between(1..=deepest);
                let length = (depth + self.dice.between(0..=2)).max(2) - 1;
                self.grow(head - depth, length);
            }
            16 if loose > 0 => {
                let depth = self.dice.between(1..=loose.min(4));
                self.grow(head - depth, 0);
            }
            17..=18 => self.come_back(),
            _ => {}
        }
    }

    /// Makes the chain longer than any that was seen before: what a network comes to in the end.
    pub(super) fn settle(&mut self) {
        let head = self.now().head().at.number;
        self.grow(head, self.highest + 2 - head);
    }

    /// Goes on from `fork` with so many new blocks.
    fn grow(&mut self, fork: u64, length: u64) {
        let kept = usize::try_from(fork + 1).unwrap();
        let now = Arc::clone(&self.now().blocks);
        let mut blocks = now[..kept].to_vec();
        let mut loose: Vec<Arc<Transaction>> = now[kept..]
            .iter()
            .flat_map(|block| block.transactions.iter().cloned())
            .collect();
        for _ in 0..length {
            let transactions = self.fill(&mut loose);
            let addresses = self.deployment.addresses();
            let salt = self.dice.hash();
            let parent = blocks.last().map(Arc::as_ref);
            let block = Block::after(parent, self.era, transactions, salt, &addresses);
            let block = Arc::new(block);
            self.remember(Arc::clone(&block));
            blocks.push(block);
        }
        self.stand_by(Arc::new(blocks));
    }

    /// The transactions of a block: new ones, and some that a reorganisation set free.
    fn fill(&mut self, loose: &mut Vec<Arc<Transaction>>) -> Vec<Arc<Transaction>> {
        let modern = self.era != Era::Early;
        let mut transactions = Vec::new();
        for _ in 0..self.dice.one_of(&[0, 0, 0, 1, 1, 2, 4]) {
            let new = Transaction::thrown(&mut self.dice, &self.deployment, modern);
            transactions.push(Arc::new(new));
        }
        while !loose.is_empty() && self.dice.percent(50) {
            let place = self.dice.place(loose.len());
            transactions.push(loose.swap_remove(place));
        }
        transactions
    }

    /// Returns to a chain of before, and perhaps goes on from there.
    fn come_back(&mut self) {
        let last = self.now().at(self.final_number).unwrap().at;
        let possible: Vec<_> = self
            .stands
            .iter()
            .filter(|stand| stand.holds(last))
            .map(|stand| Arc::clone(&stand.blocks))
            .collect();
        let place = self.dice.place(possible.len());
        self.stand_by(Arc::clone(&possible[place]));
        if self.dice.percent(50) {
            let head = self.now().head().at.number;
            self.grow(head, 1);
        }
    }

    fn stand_by(&mut self, blocks: Arc<Vec<Arc<Block>>>) {
        let head = blocks.last().unwrap().at.number;
        self.highest = self.highest.max(head);
        let sure = match self.depth {
            Some(depth) => self.highest.saturating_sub(depth),
            None if self.dice.percent(60) => head.saturating_sub(self.dice.between(2..=8)),
            None => 0,
        };
        // Only what stands on the chain of now can be final.
        self.final_number = self.final_number.max(sure.min(head));
        let safe = self.dice.between(self.final_number..=head);
        self.stands.push(Stand {
            blocks,
            safe,
            finalized: self.final_number,
        });
    }

    fn remember(&mut self, block: Arc<Block>) {
        self.blocks.insert(block.at.hash, block);
    }
}

fn deployment(dice: &mut Dice, seed: u64) -> Deployment {
    let contracts: Vec<_> = Contract::ALL
        .iter()
        .map(|contract| format!("{contract}: \"{}\"", dice.address()))
        .collect();
    let text = format!(
        "{{chainId: {}, keeperVersion: 0.13.2, startBlock: {}, contracts: {{{}}}}}",
        seed + 1,
        dice.between(0..=8),
        contracts.join(", ")
    );
    Deployment::parse(&text).unwrap()
}
