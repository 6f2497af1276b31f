use tidewatch::keeper::{Call, Contract, Purchase};

use super::market::{Cast, Deal};

/// One thing that happens.
#[derive(Clone, Copy)]
pub(super) enum Step {
    /// Somebody makes the row's agreement.
    Create(Who),
    /// Somebody sends a call, which gets a block of its own.
    Send(Who, Make),
    /// Somebody sends a call that the contracts refuse with these words.
    Refused(Who, Make, &'static str),
    /// Calls share a block, in this order.
    OneBlock(&'static [(Who, Make)]),
    /// Calls share a transaction, sent by anybody to a contract that makes them.
    OneTransaction(&'static [Make]),
    /// The next call is mined that many blocks after the agreement was made.
    At(u64),
    /// Blocks pass.
    Mine(u64),
    /// The admin of the proxies makes a contract run other code.
    Replace(Contract, Code),
    /// And what it ran before.
    Restore(Contract),
    /// The first followed block comes after this.
    HistoryBegins,
    /// The first block from which jobs are started comes after this.
    ActingBegins,
}

/// A call out of what the row is about.
pub(super) type Make = fn(&Deal, &Cast) -> Call;

/// Who does it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    /// Buys.
    Consumer,
    /// Owns the asset.
    Provider,
    /// Has no part in it.
    Stranger,
    /// Owns the keeper contracts.
    Owner,
}

/// Code that is no keeper contract's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Code {
    /// Emits whatever it is told.
    Announcer,
    /// The condition store of the deployment, without a sense of time.
    Timeless,
}

/// The consumer makes the agreement.
pub(super) const CREATE: Step = Step::Create(Who::Consumer);
/// The consumer pays.
pub(super) const PAY: Step = Step::Send(Who::Consumer, pay);
/// The provider says that the job may run.
pub(super) const ANSWER: Step = Step::Send(Who::Provider, answer);
/// Anybody releases the escrow.
pub(super) const RELEASE: Step = Step::Send(Who::Stranger, release);
/// The consumer makes the row's other agreement.
pub(super) const CREATE_OTHER: Step = Step::Send(Who::Consumer, |deal, _| deal.other.create());

pub(super) fn create(deal: &Deal, _: &Cast) -> Call {
    deal.purchase.create()
}

pub(super) fn pay(deal: &Deal, _: &Cast) -> Call {
    deal.purchase.lock()
}

pub(super) fn answer(deal: &Deal, _: &Cast) -> Call {
    deal.purchase.fulfil()
}

pub(super) fn release(deal: &Deal, _: &Cast) -> Call {
    deal.purchase.release()
}

/// The provider answers the same agreement in favour of the stranger.
pub(super) fn answer_for_stranger(deal: &Deal, cast: &Cast) -> Call {
    for_stranger(deal, cast).fulfil()
}

/// The same agreement, for the stranger.
pub(super) fn for_stranger(deal: &Deal, cast: &Cast) -> Purchase {
    Purchase {
        consumer: cast.stranger,
        ..deal.purchase.clone()
    }
}
