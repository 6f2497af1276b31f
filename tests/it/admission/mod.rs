//! Admission on the real contracts. `table/` is its documentation: every row says what somebody does, in which deployments it can
//! be done, and what becomes of it. Each deployment is a test; all rows of it are really done, on one chain, and judged from what
//! the chain said.

mod market;
mod place;
mod step;
mod table;

use std::collections::BTreeSet;

use market::Market;
use place::Place;
use table::{ROWS, Row};

/// Does every row that this place can hold, and judges the whole history at once, twice.
async fn holds_in(place: Place) {
    let rows: Vec<&Row> = rows().filter(|row| row.places.contains(&place)).collect();
    let mut market = Market::open(place).await;
    let deals = market.trade(&rows).await;
    let mut court = market.close(&deals).await;
    court.judge().await;
    let mut wrong = Vec::new();
    for (row, deal) in rows.iter().zip(&deals) {
        let found = court.verdicts(deal).await;
        if found != row.verdicts {
            wrong.push(format!(
                "{}: {found:?} instead of {:?}\n{}",
                row.name,
                row.verdicts,
                court.explanation(deal).await
            ));
        }
    }
    assert!(wrong.is_empty(), "in {place:?}:\n{}", wrong.join("\n"));
    let once = court.rows().await;
    court.judge_everything_again().await;
    assert_eq!(court.rows().await, once, "judging twice is judging once");
}

#[tokio::test]
async fn the_table_holds_on_keeper_0_12_7() {
    holds_in(Place::Old).await;
}

#[tokio::test]
async fn the_table_holds_on_keeper_0_12_7_behind_proxies() {
    holds_in(Place::OldProxied).await;
}

#[tokio::test]
async fn the_table_holds_on_keeper_0_13_2() {
    holds_in(Place::New).await;
}

#[tokio::test]
async fn the_table_holds_for_what_was_done_before_an_upgrade() {
    holds_in(Place::BeforeUpgrade).await;
}

#[tokio::test]
async fn the_table_holds_for_agreements_that_run_through_an_upgrade() {
    holds_in(Place::AcrossUpgrade).await;
}

#[tokio::test]
async fn the_table_holds_for_the_template_contract_after_an_upgrade() {
    holds_in(Place::AfterUpgrade).await;
}

#[tokio::test]
async fn the_table_holds_for_direct_agreements_after_an_upgrade() {
    holds_in(Place::AfterUpgradeDirect).await;
}

fn rows() -> impl Iterator<Item = &'static Row> {
    ROWS.iter().copied().flatten()
}

/// The rows reach every reason that admission can give, and no other; what they say is what the tests above find.
#[test]
fn the_table_reaches_every_reason_of_admission() {
    let reached: BTreeSet<&str> = rows()
        .flat_map(|row| row.verdicts)
        .filter_map(|verdict| verdict.split_once(' ').map(|(_, reason)| reason))
        .collect();
    let known: BTreeSet<&str> = tidewatch::admission::REASONS
        .iter()
        .map(|reason| reason.as_str())
        .collect();
    assert_eq!(reached, known);
}

#[test]
fn the_table_has_fifty_rows_with_names_of_their_own_and_leaves_no_place_out() {
    let names: BTreeSet<&str> = rows().map(|row| row.name).collect();
    assert_eq!(names.len(), rows().count());
    assert!(names.len() >= 50, "{}", names.len());
    for place in Place::ALL {
        let held = rows().filter(|row| row.places.contains(&place)).count();
        assert!(held >= 30, "{place:?} holds {held}");
    }
}
