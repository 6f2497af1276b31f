use serde::Serialize;

use super::{Subject, algorithm, claim, configure, plan, publish};
use crate::cluster::{fixture, golden};

fn golden(name: &str, object: &impl Serialize) -> String {
    let yaml = serde_saphyr::to_string(object).unwrap();
    golden::compare(&format!("src/cluster/manifests/golden/{name}.yaml"), &yaml);
    yaml
}

#[test]
fn the_objects_of_a_workflow_are_as_they_were() {
    let workflow = fixture::workflow(1);
    let subject = Subject::new(&workflow, 1).unwrap();
    golden("workflow", &workflow);
    golden("claim", &claim(&subject));
    golden("configure", &configure(&subject));
    golden("algorithm", &algorithm(&subject));
    golden("publish", &publish(&subject, true));
    golden("plan", &plan(&subject, &fixture::plan().spec).unwrap());
}

#[test]
fn only_the_plan_holds_what_only_configure_may_read() {
    let workflow = fixture::workflow(1);
    let subject = Subject::new(&workflow, 1).unwrap();
    let texts = [
        serde_json::to_string(&workflow),
        serde_json::to_string(&claim(&subject)),
        serde_json::to_string(&configure(&subject)),
        serde_json::to_string(&algorithm(&subject)),
        serde_json::to_string(&publish(&subject, true)),
    ];
    for text in texts.map(Result::unwrap) {
        assert!(!text.contains("publisher.test"), "{text}");
        assert!(!text.contains("print(1)"), "{text}");
    }
    let algorithm = serde_json::to_string(&algorithm(&subject)).unwrap();
    assert!(!algorithm.contains("secret"), "{algorithm}");
}

#[test]
fn results_of_an_algorithm_that_did_not_end_well_stay_in() {
    let workflow = fixture::workflow(1);
    let subject = Subject::new(&workflow, 1).unwrap();
    let text = serde_json::to_string(&publish(&subject, false)).unwrap();
    assert!(text.contains(r#"\"results\":\"none\""#), "{text}");
}
