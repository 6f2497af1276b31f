//! Whose job is next, and how many anybody has at once.

use std::num::NonZeroU16;

use alloy::primitives::Address;
use tidewatch::jobs::Phase;
use tidewatch::ledger::dispatch::{Caps, Weights};
use tidewatch::scheduler::DispatcherSettings;

use super::bench::{Bench, Job};
use super::dispatching::{caps, dispatcher_with, drain};

/// Queued jobs of payers, named by the byte of their address, in their blocks.
async fn queue_of(bench: &Bench, jobs: &[(u8, i64)]) -> Vec<(u8, i64, Job)> {
    let mut queued = Vec::new();
    for (payer, block) in jobs {
        let job = bench.queue(*block).await;
        let change = format!("payer = decode(repeat('0{payer}', 20), 'hex')");
        bench.alter(&job, &change).await;
        queued.push((*payer, *block, job));
    }
    queued
}

async fn started_of(bench: &Bench, jobs: &[(u8, i64, Job)]) -> Vec<(u8, i64)> {
    let mut started = Vec::new();
    for (payer, block, job) in jobs {
        if bench.status(job).await.phase == Phase::Configuring {
            started.push((*payer, *block));
        }
    }
    started
}

#[tokio::test]
async fn a_payer_of_more_weight_has_as_many_turns_for_each_of_the_others() {
    let bench = Bench::new().await;
    let flood = [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (2, 5),
        (2, 6),
        (2, 7),
        (2, 8),
        (3, 9),
        (3, 10),
    ];
    let jobs = queue_of(&bench, &flood).await;
    let settings = DispatcherSettings {
        caps: caps(5),
        weights: Weights::new([(Address::repeat_byte(2), NonZeroU16::new(3).unwrap())]),
        concurrency: 1,
        ..DispatcherSettings::default()
    };
    drain(&mut dispatcher_with(&bench, settings)).await;
    let first = [(1, 1), (2, 5), (2, 6), (2, 7), (3, 9)];
    assert_eq!(started_of(&bench, &jobs).await, first);
}

#[tokio::test]
async fn payers_take_turns_and_nobody_has_more_than_the_cap() {
    let bench = Bench::new().await;
    // One payer floods, two others come later with two jobs each.
    let flood = [
        (1, 1),
        (1, 2),
        (1, 3),
        (1, 4),
        (1, 5),
        (2, 6),
        (2, 7),
        (3, 8),
        (3, 9),
    ];
    let jobs = queue_of(&bench, &flood).await;
    let started = async || started_of(&bench, &jobs).await;
    let settings = |window, of_payer| DispatcherSettings {
        caps: Caps {
            of_payer,
            ..caps(window)
        },
        concurrency: 1,
        ..DispatcherSettings::default()
    };
    drain(&mut dispatcher_with(&bench, settings(5, 5))).await;
    let first = [(1, 1), (1, 2), (2, 6), (2, 7), (3, 8)];
    assert_eq!(
        started().await,
        first,
        "one of each, then the second of each"
    );
    drain(&mut dispatcher_with(&bench, settings(100, 3))).await;
    let capped = [(1, 1), (1, 2), (1, 3), (2, 6), (2, 7), (3, 8), (3, 9)];
    assert_eq!(
        started().await,
        capped,
        "the flood waits, and holds up nobody"
    );
}
