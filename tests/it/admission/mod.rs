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
    let rows: Vec<&Row> = rows_of(place).collect();
    let (deals, court) = Market::open(place).await.trade(&rows).await;
    court.expect(&rows, &deals).await;
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

#[tokio::test]
async fn a_catalog_that_names_payees_pays_them_and_nobody_else() {
    for place in [Place::New, Place::Old] {
        let rows: Vec<&Row> = table::payees::ROWS.iter().collect();
        let mut market = Market::open(place).await;
        market.name_payee();
        let (deals, court) = market.trade(&rows).await;
        court.expect(&rows, &deals).await;
    }
}

/// Whatever a judge saw meanwhile, and however often he began anew, he ends where the one ends who sees it all at once.
#[tokio::test]
async fn the_table_holds_when_it_is_judged_row_by_row_and_taken_back_and_done_again() {
    let rows: Vec<&Row> = rows_of(Place::New).collect();
    let (deals, court) = Market::open(Place::New).await.trade_twice(&rows).await;
    court.expect(&rows, &deals).await;
}

fn rows_of(place: Place) -> impl Iterator<Item = &'static Row> {
    rows().filter(move |row| row.places.contains(&place))
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
