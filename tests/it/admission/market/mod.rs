//! A chain on which rows are done, one after the other, and what the judge then makes of it.

mod cast;
mod court;

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy::primitives::{Address, U256};
use alloy::providers::Provider;
use alloy::rpc::types::TransactionRequest;
use alloy::sol_types::SolValue;
use tidewatch::app::anvil::Options;
use tidewatch::ids::Did;
use tidewatch::keeper::{AccountError, Call, Contract, Mined, Purchase, purchase, switch};

use super::place::Place;
use super::step::{Code, Step, Who};
use super::table::Row;
use crate::judging::bench::Rules;
use crate::support::bytecode::batch;
use crate::support::keeper::Chain;
pub(super) use cast::Cast;
pub(super) use court::Court;

/// Depth of what is final: less than the blocks that are mined at the end.
const FINAL_SOON: u64 = 5;
/// Rows that are done, and taken back, together.
const HANDFUL: usize = 6;
/// Depth of what is final: more than a handful of rows has blocks.
const FINAL_LATE: u64 = 100;

/// Gas for several calls at once: less than a block of the chain has.
const BATCH_GAS: u64 = 12_000_000;

/// What a row is about.
pub(super) struct Deal {
    /// The row's agreement, honest but for what the row bends.
    pub(super) purchase: Purchase,
    /// Another one of the same asset.
    pub(super) other: Purchase,
    /// Whether the publisher's catalog has the asset, for 10.
    pub(super) listed: bool,
    /// Whether the asset is registered before everything else.
    pub(super) register_first: bool,
}

impl Deal {
    /// The provider registers the asset anew, with nobody else as its provider.
    pub(super) fn register(&self, _: &Cast) -> Call {
        let value = b"https://aquarius.example/ddo/2";
        let (contracts, did) = (&self.purchase.contracts, self.purchase.did);
        purchase::register_did(
            contracts,
            did,
            alloy::primitives::keccak256(value),
            &[],
            value,
        )
    }
}

/// The chain and its people.
pub(super) struct Market {
    place: Place,
    chain: Arc<Chain>,
    cast: Cast,
    replaced: BTreeMap<Contract, Address>,
    start_block: u64,
    act_from: u64,
    payee: Option<Address>,
}

/// A row on its way.
struct Course<'a> {
    row: &'a Row,
    deal: Deal,
    state: State,
}

/// How far it is.
#[derive(Clone, Copy, Default)]
struct State {
    next: usize,
    registered: bool,
    created: Option<u64>,
}

fn deals(courses: Vec<Course<'_>>) -> Vec<Deal> {
    courses.into_iter().map(|course| course.deal).collect()
}

impl Market {
    /// Deploys what the place has, and gives everybody tokens.
    pub(super) async fn open(place: Place) -> Self {
        let options = Options::default();
        let mut chain = Chain::deployed(options, place.version(), place.is_proxied()).await;
        let mut cast = Cast::gather(&chain, place).await;
        if matches!(place, Place::AfterUpgrade | Place::AfterUpgradeDirect) {
            chain.upgrade().await;
        }
        if place.is_direct() {
            cast.register_templates(&mut chain).await;
        }
        cast.give_tokens(&chain).await;
        Self {
            place,
            chain: Arc::new(chain),
            cast,
            replaced: BTreeMap::new(),
            start_block: 0,
            act_from: 0,
            payee: None,
        }
    }

    /// Makes a catalog that names the stranger as the only one who may be paid.
    pub(super) fn name_payee(&mut self) {
        self.payee = Some(self.cast.stranger);
    }

    /// Does all rows, and lets the judge look at them once all of it is final.
    pub(super) async fn trade(mut self, rows: &[&Row]) -> (Vec<Deal>, Court) {
        let mut courses = self.prepare(rows).await;
        if self.place == Place::AcrossUpgrade {
            let is_creation = |step: &Step| matches!(step, Step::Create(_));
            self.advance_to(&mut courses, is_creation).await;
            self.upgrade().await;
        }
        for course in &mut courses {
            self.finish(course).await;
        }
        if self.place == Place::BeforeUpgrade {
            self.upgrade().await;
        }
        self.chain.node.mine(10).await;
        let mut court = self.court(&courses, FINAL_SOON).await;
        court.judge().await;
        (deals(courses), court)
    }

    /// Does row after row while a judge looks on, who is replaced by a new one each time. A handful of rows at a time is done, judged,
    /// taken back by a reorganisation, judged, done again in other blocks, and judged.
    pub(super) async fn trade_twice(mut self, rows: &[&Row]) -> (Vec<Deal>, Court) {
        let mut courses = self.prepare(rows).await;
        let mut court = self.court(&courses, FINAL_LATE).await;
        court.judge().await;
        for handful in courses.chunks_mut(HANDFUL) {
            let before: Vec<_> = handful.iter().map(|course| course.state).collect();
            let snapshot = self.chain.node.snapshot().await;
            for course in &mut *handful {
                self.finish(course).await;
            }
            court.judge().await;
            self.chain.node.revert(snapshot).await;
            self.chain.node.mine(1).await;
            court.judge().await;
            for (course, before) in handful.iter_mut().zip(before) {
                course.state = before;
                self.finish(course).await;
            }
            court.judge().await;
        }
        self.chain.node.mine(2 * FINAL_LATE).await;
        court.judge().await;
        (deals(courses), court)
    }

    /// What comes before the block from which jobs are started.
    async fn prepare<'a>(&mut self, rows: &[&'a Row]) -> Vec<Course<'a>> {
        let mut courses = Vec::new();
        for row in rows {
            courses.push(self.course(row).await);
        }
        let is_history = |step: &Step| matches!(step, Step::HistoryBegins);
        self.advance_to(&mut courses, is_history).await;
        self.start_block = self.chain.node.head().await + 1;
        let is_acting = |step: &Step| matches!(step, Step::ActingBegins);
        self.advance_to(&mut courses, is_acting).await;
        self.act_from = self.chain.node.head().await + 1;
        courses
    }

    async fn court(&self, courses: &[Course<'_>], irreversible: u64) -> Court {
        let deals = courses.iter().map(|course| &course.deal);
        let listed: Vec<_> = deals
            .filter(|deal| deal.listed)
            .map(|deal| deal.purchase.did)
            .collect();
        let rules = Rules {
            start_block: Some(self.start_block),
            act_from: self.act_from,
            irreversible,
            ..Rules::default()
        };
        Court::open(Arc::clone(&self.chain), &listed, self.payee, rules).await
    }

    /// Only while nobody else looks at the chain.
    async fn upgrade(&mut self) {
        Arc::get_mut(&mut self.chain).unwrap().upgrade().await;
    }

    async fn finish(&mut self, course: &mut Course<'_>) {
        self.advance(course, course.row.steps.len()).await;
    }

    async fn course<'a>(&self, row: &'a Row) -> Course<'a> {
        let did = Did(self.chain.fresh());
        let order = || Purchase {
            template_contract: self.template_contract(),
            ..self.chain.order(did)
        };
        let mut deal = Deal {
            purchase: order(),
            other: order(),
            listed: true,
            register_first: false,
        };
        (row.bend)(&mut deal, &self.cast);
        let mut course = Course {
            row,
            deal,
            state: State::default(),
        };
        if course.deal.register_first {
            self.register(&mut course).await;
        }
        course
    }

    fn template_contract(&self) -> Option<Address> {
        let contract = self
            .chain
            .deployment
            .contracts
            .escrow_compute_execution_template;
        contract.filter(|_| !self.place.is_direct())
    }

    async fn register(&self, course: &mut Course<'_>) {
        let value = b"https://aquarius.example/ddo";
        let (contracts, did) = (&self.chain.deployment.contracts, course.deal.purchase.did);
        let (checksum, providers) = (alloy::primitives::keccak256(value), [self.cast.batcher]);
        let call = purchase::register_did(contracts, did, checksum, &providers, value);
        self.chain.provider.send(call).await.unwrap();
        course.state.registered = true;
    }

    /// Takes every row that has such a step up to the first of them, and through it.
    async fn advance_to(&mut self, courses: &mut [Course<'_>], is_it: fn(&Step) -> bool) {
        for course in courses {
            let found = course.row.steps.iter().position(is_it);
            if let Some(index) = found {
                self.advance(course, index + 1).await;
            }
        }
    }

    async fn advance(&mut self, course: &mut Course<'_>, end: usize) {
        while course.state.next < end {
            let step = course.row.steps[course.state.next];
            let is_mark = matches!(step, Step::HistoryBegins | Step::ActingBegins);
            if !is_mark && !course.state.registered {
                self.register(course).await;
            }
            self.take(course, step).await;
            course.state.next += 1;
        }
    }

    async fn take(&mut self, course: &mut Course<'_>, step: Step) {
        let name = course.row.name;
        let (chain, cast, deal) = (&self.chain, &self.cast, &course.deal);
        match step {
            Step::HistoryBegins | Step::ActingBegins => {}
            Step::Create(who) => {
                let mined = self.send(name, who, deal.purchase.create()).await;
                course.state.created = Some(mined.block.number);
            }
            Step::Send(who, make) => {
                self.send(name, who, make(deal, cast)).await;
            }
            Step::Refused(who, make, words) => {
                let refused = self.account(who).send(make(deal, cast)).await;
                let Err(AccountError::Reverted { reason, .. }) = refused else {
                    panic!("{name}: {refused:?}");
                };
                assert!(reason.contains(words), "{name}: {reason}");
            }
            Step::OneBlock(calls) => {
                let calls = calls
                    .iter()
                    .map(|(who, make)| (self.account(*who), make(deal, cast)));
                chain.in_one_block(calls.collect()).await;
            }
            Step::OneTransaction(makes) => {
                let calls: Vec<_> = makes.iter().map(|make| make(deal, cast)).collect();
                let call = Call::to(cast.batcher, batch(&calls), "make several calls");
                let call = call.with_gas_limit(BATCH_GAS);
                self.send(name, Who::Stranger, call).await;
            }
            Step::Mine(blocks) => chain.node.mine(blocks).await,
            Step::At(offset) => {
                let (head, created) = (chain.node.head().await, course.state.created.unwrap());
                let before = created + offset - 1;
                assert!(head <= before, "{name}: block {head} is past {before}");
                chain.node.mine(before - head).await;
            }
            Step::Replace(contract, code) => self.replace(contract, code).await,
            Step::Restore(contract) => {
                let genuine = self.replaced.remove(&contract).unwrap();
                self.switch(contract, genuine).await;
            }
        }
    }

    async fn send(&self, name: &str, who: Who, call: Call) -> Mined {
        let sent = self.account(who).send(call).await;
        sent.unwrap_or_else(|error| panic!("in {:?}, {name}: {error}", self.place))
    }

    fn account(&self, who: Who) -> &tidewatch::keeper::Account {
        match who {
            Who::Consumer => &self.chain.consumer,
            Who::Provider => &self.chain.provider,
            Who::Stranger => &self.chain.stranger,
            Who::Owner => &self.chain.owner,
        }
    }

    async fn replace(&mut self, contract: Contract, code: Code) {
        let proxy = self.chain.deployment.contracts.address(contract).unwrap();
        // `implementation()`, which only the admin may ask.
        let request = TransactionRequest::default()
            .from(self.chain.admin.address())
            .to(proxy)
            .input(alloy::primitives::bytes!("5c60da1b").into());
        let answer = self.chain.node.provider().call(request).await.unwrap();
        self.replaced
            .insert(contract, Address::abi_decode(&answer).unwrap());
        let implementation = match code {
            Code::Announcer => self.cast.announcer,
            Code::Timeless => self.cast.timeless_store(&self.chain).await,
        };
        // An operator who knows of other code names it; what is not named would hold admission.
        let chain = Arc::get_mut(&mut self.chain).unwrap();
        chain.deployment.implementations.push(implementation);
        self.switch(contract, implementation).await;
    }

    async fn switch(&self, contract: Contract, implementation: Address) {
        let proxy = self.chain.deployment.contracts.address(contract).unwrap();
        let call = switch(contract, proxy, implementation);
        self.chain.admin.send(call).await.unwrap();
    }
}

/// Enough for every row.
const PLENTY: U256 = U256::from_limbs([1_000_000, 0, 0, 0]);
