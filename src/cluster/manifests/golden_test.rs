use serde::Serialize;

use super::{Leaving, Subject, algorithm, claim, configure, filter, plan, publish};
use crate::cluster::{FilterFacts, fixture, golden};
use crate::workflows::Release;

const ALL: Leaving = Leaving {
    results: Release::Raw,
    logs: Release::Raw,
};

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
    golden("configure", &configure(&subject, 0));
    golden("algorithm", &algorithm(&subject));
    golden("publish", &publish(&subject, ALL, 0));
    golden(
        "plan",
        &plan(&subject, &fixture::plan().spec, None).unwrap(),
    );
}

#[test]
fn only_the_plan_holds_what_only_configure_may_read() {
    let workflow = fixture::workflow(1);
    let subject = Subject::new(&workflow, 1).unwrap();
    let texts = [
        serde_json::to_string(&workflow),
        serde_json::to_string(&claim(&subject)),
        serde_json::to_string(&configure(&subject, 0)),
        serde_json::to_string(&algorithm(&subject)),
        serde_json::to_string(&publish(&subject, ALL, 0)),
    ];
    for text in texts.map(Result::unwrap) {
        assert!(!text.contains("publisher.test"), "{text}");
        assert!(!text.contains("print(1)"), "{text}");
    }
    let algorithm = serde_json::to_string(&algorithm(&subject)).unwrap();
    assert!(!algorithm.contains("secret"), "{algorithm}");
}

#[test]
fn the_filter_sees_no_secret_and_repetitions_have_names_of_their_own() {
    let mut workflow = fixture::workflow(1);
    workflow.spec.job.filter = Some(FilterFacts {
        image: format!("registry.test/filter@sha256:{}", "f".repeat(64)),
        entrypoint: Some("/bin/filter $INPUTS".to_owned()),
    });
    workflow.spec.job.input_secrets = vec!["keys".to_owned()];
    let subject = Subject::new(&workflow, 1).unwrap();
    let text = golden("filter", &filter(&subject, 0).unwrap());
    assert!(!text.contains("secret"), "{text}");
    golden("configure-with-secret", &configure(&subject, 2));
    let none = Leaving {
        results: Release::None,
        logs: Release::Filtered,
    };
    let text = serde_json::to_string(&publish(&subject, none, 1)).unwrap();
    assert!(
        text.contains(r#"\"results\":\"none\",\"logs\":\"filtered\""#),
        "{text}"
    );
    assert!(text.contains("-1-publish-1"), "{text}");
    assert!(text.contains("/data/filtered"), "{text}");
}
