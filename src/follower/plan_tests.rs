use proptest::prelude::*;

use super::*;

fn block(number: u64, fork: u8) -> BlockRef {
    BlockRef {
        number,
        hash: B256::left_padding_from(&[&[fork], number.to_be_bytes().as_slice()].concat()),
    }
}

/// Our chain from 10 to `recorded`, all of fork 0.
fn known(recorded: u64, irreversible: Option<u64>) -> Known {
    Known {
        recorded: block(recorded, 0),
        irreversible: irreversible.map(|number| block(number, 0)),
        window: (10..=recorded)
            .map(|number| (number, block(number, 0).hash))
            .collect(),
    }
}

fn seen(head: u64, at_recorded: Option<BlockRef>, irreversible: Option<u64>) -> Seen {
    Seen {
        head: block(head, 0),
        at_recorded,
        irreversible: irreversible.map(|number| block(number, 0)),
        act: None,
    }
}

#[test]
fn history_is_read_by_ranges_up_to_the_irreversible_block_and_the_rest_by_hash() {
    let here = |number| Some(block(number, 0));
    let step = next(&known(20, None), &seen(100, here(20), Some(90)));
    assert_eq!(step, Step::ReadHistory { to: block(90, 0) });
    let step = next(&known(80, Some(90)), &seen(100, here(80), Some(90)));
    assert_eq!(step, Step::ReadHistory { to: block(90, 0) });
    let step = next(&known(90, Some(90)), &seen(100, here(90), Some(90)));
    assert_eq!(step, Step::ReadWindow { to: 100 });
    let step = next(&known(90, None), &seen(1_000, here(90), None));
    assert_eq!(step, Step::ReadWindow { to: 90 + WINDOW });
    let step = next(&known(100, Some(90)), &seen(100, here(100), Some(90)));
    assert_eq!(step, Step::Rest);
}

#[test]
fn a_provider_that_lags_on_our_chain_is_waited_for() {
    assert_eq!(
        next(&known(20, Some(15)), &seen(18, None, Some(13))),
        Step::Rest
    );
    assert_eq!(
        next(&known(20, Some(15)), &seen(14, None, Some(13))),
        Step::Behind {
            irreversible: block(15, 0)
        }
    );
    assert_eq!(
        next(&known(20, Some(15)), &seen(30, None, Some(28))),
        Step::Torn { number: 20 }
    );
}

#[test]
fn another_block_at_our_height_is_a_fork_above_and_a_halt_below_the_irreversible_block() {
    let other = |number| Some(block(number, 1));
    let step = next(&known(20, Some(15)), &seen(30, other(20), None));
    assert_eq!(step, Step::FindFork);
    for (recorded, irreversible) in [(15, 15), (12, 15)] {
        let step = next(
            &known(recorded, Some(irreversible)),
            &seen(30, other(recorded), None),
        );
        assert_eq!(
            step,
            Step::Halt {
                replaced: block(recorded, 0),
                by: block(recorded, 1)
            }
        );
    }
    let mut shorter = seen(18, None, None);
    shorter.head = block(18, 1);
    assert_eq!(next(&known(20, Some(15)), &shorter), Step::FindFork);
}

#[test]
fn a_finalized_block_that_is_not_ours_is_not_believed() {
    let mut torn = seen(30, Some(block(20, 0)), None);
    torn.irreversible = Some(block(18, 1));
    assert_eq!(next(&known(20, Some(15)), &torn), Step::Torn { number: 18 });
}

#[test]
fn acting_is_bounded_by_the_rule_and_by_what_is_recorded() {
    let look = seen(30, Some(block(20, 0)), Some(16));
    let act = |known: &Known, look: &Seen, rule| horizons(known, look, rule).act;
    let at = known(20, Some(15));
    assert_eq!(act(&at, &look, ActAt::Latest), Some(20));
    assert_eq!(act(&at, &look, ActAt::Depth(3)), Some(17));
    // The head is 30, but only 16 is settled: 12 blocks on top of ours are not there yet.
    assert_eq!(act(&at, &look, ActAt::Depth(12)), Some(16));
    assert_eq!(act(&at, &look, ActAt::Depth(18)), Some(12));
    assert_eq!(act(&at, &look, ActAt::Finalized), Some(16));
    let safe = |block| Seen {
        act: Some(block),
        ..look
    };
    assert_eq!(act(&at, &safe(block(18, 0)), ActAt::Safe), Some(18));
    assert_eq!(act(&at, &safe(block(18, 1)), ActAt::Safe), Some(16));
    assert_eq!(act(&at, &safe(block(28, 0)), ActAt::Safe), Some(16));
    let young = known(20, None);
    let look = seen(20, Some(block(20, 0)), None);
    assert_eq!(act(&young, &look, ActAt::Finalized), None);
}

/// A chain that changes its mind above its final block, and a ledger that follows it by the plan alone.
struct Model {
    chain: Vec<BlockRef>,
    is_final: usize,
    ledger: Vec<BlockRef>,
    irreversible: Option<BlockRef>,
    forks: u8,
    halted: bool,
}

const DEPTH: usize = 5;

impl Model {
    fn new() -> Self {
        Self {
            chain: vec![block(0, 0), block(1, 0)],
            is_final: 0,
            ledger: vec![block(0, 0)],
            irreversible: None,
            forks: 0,
            halted: false,
        }
    }

    fn mine(&mut self, blocks: usize) {
        for _ in 0..blocks {
            let number = u64::try_from(self.chain.len()).unwrap();
            self.chain.push(block(number, self.forks));
        }
        self.is_final = self.is_final.max(self.chain.len() - 1 - self.depth());
    }

    fn depth(&self) -> usize {
        DEPTH.min(self.chain.len() - 1)
    }

    /// Drops up to so many blocks above the final one and makes others: silently shorter chains included.
    fn reorganise(&mut self, depth: usize, new: usize) {
        let keep = (self.chain.len() - depth.min(self.chain.len() - 1)).max(self.is_final + 1);
        self.chain.truncate(keep);
        self.forks = self.forks.wrapping_add(1);
        self.mine(new);
    }

    fn step(&mut self, width: u64) -> Step {
        let recorded = *self.ledger.last().unwrap();
        let known = Known {
            recorded,
            irreversible: self.irreversible,
            window: self
                .ledger
                .iter()
                .filter(|block| {
                    self.irreversible
                        .is_none_or(|lowest| block.number >= lowest.number)
                })
                .map(|block| (block.number, block.hash))
                .collect(),
        };
        let seen = Seen {
            head: *self.chain.last().unwrap(),
            at_recorded: self
                .chain
                .get(usize::try_from(recorded.number).unwrap())
                .copied(),
            irreversible: Some(self.chain[self.is_final]),
            act: None,
        };
        let step = next(&known, &seen);
        match step {
            Step::ReadHistory {
                to: BlockRef { number: to, .. },
            }
            | Step::ReadWindow { to } => {
                // A commit may bring any number of the blocks that are meant.
                let to = to.min(recorded.number + width);
                let to = usize::try_from(to).unwrap();
                self.ledger.extend(&self.chain[self.ledger.len()..=to]);
                self.irreversible = horizons(&known, &seen, ActAt::Finalized).irreversible;
            }
            Step::FindFork => {
                let Some(fork) = fork(&known.window, &self.chain) else {
                    self.halted = true;
                    return step;
                };
                self.ledger
                    .truncate(usize::try_from(fork.number).unwrap() + 1);
            }
            Step::Rest => {
                self.irreversible = horizons(&known, &seen, ActAt::Finalized).irreversible;
            }
            Step::Halt { .. } | Step::Behind { .. } | Step::Torn { .. } => {}
        }
        step
    }
}

#[derive(Clone, Debug)]
enum Event {
    Mine(usize),
    Reorganise(usize, usize),
    Steps(usize, u64),
}

fn events() -> impl Strategy<Value = Vec<Event>> {
    let event = prop_oneof![
        (1..20_usize).prop_map(Event::Mine),
        (1..8_usize, 0..10_usize).prop_map(|(depth, new)| Event::Reorganise(depth, new)),
        (1..10_usize, 1..8_u64).prop_map(|(steps, width)| Event::Steps(steps, width)),
    ];
    prop::collection::vec(event, 1..40)
}

proptest! {
    // A failure is told with its smallest case; a file beside the sources would tell it twice.
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn whatever_the_chain_does_above_its_final_block_the_ledger_ends_as_the_chain(events in events()) {
        let mut model = Model::new();
        for event in events {
            match event {
                Event::Mine(blocks) => model.mine(blocks),
                Event::Reorganise(depth, new) => model.reorganise(depth, new),
                Event::Steps(steps, width) => for _ in 0..steps {
                    let step = model.step(width);
                    let bad = model.halted || matches!(step, Step::Halt { .. } | Step::Torn { .. } | Step::Behind { .. });
                    prop_assert!(!bad, "{step:?}");
                    let linked = model.ledger.windows(2).all(|pair| pair[0].number + 1 == pair[1].number);
                    prop_assert!(linked);
                },
            }
        }
        // One block more than ever before, so that a chain that became shorter is told from one that lags.
        model.mine(DEPTH + 8);
        for _ in 0..200 {
            if model.step(7) == Step::Rest {
                break;
            }
        }
        prop_assert_eq!(&model.ledger, &model.chain);
    }

    #[test]
    fn a_change_below_the_irreversible_block_is_never_followed(depth in 6..30_usize, extra in 1..10_usize) {
        let mut model = Model::new();
        model.mine(40);
        while model.step(7) != Step::Rest {}
        let before = model.ledger.clone();
        model.is_final = 0;
        model.reorganise(depth, depth + extra);
        // The tip differs, so the fork is looked for first; in the window there is none.
        prop_assert_eq!(model.step(7), Step::FindFork);
        prop_assert!(model.halted);
        prop_assert_eq!(&model.ledger, &before);
    }
}
