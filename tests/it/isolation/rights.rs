use std::collections::BTreeSet;

use k8s_openapi::api::authorization::v1::{
    SelfSubjectRulesReview, SelfSubjectRulesReviewSpec, SubjectRulesReviewStatus,
};
use kube::Api;
use kube::api::PostParams;

use crate::support::cluster::Namespace;

/// Who may do what in the jobs' namespace, as `group/resource verb`: the table of deploy/README.md.
const TABLE: [(&str, &str); 6] = [
    (
        "dispatcher",
        "compute.tidewatch.dev/computeworkflows: create get patch; /secrets: create",
    ),
    (
        "operator",
        "compute.tidewatch.dev/computeworkflows: get list watch; compute.tidewatch.dev/computeworkflows/status: patch;
         compute.tidewatch.dev/computeworkflows/finalizers: patch update; batch/jobs: create get list watch delete;
         /persistentvolumeclaims: create get list watch delete; /pods: create get list watch patch delete;
         /events: create list watch; events.k8s.io/events: create list watch; /secrets: delete",
    ),
    (
        "observer",
        "compute.tidewatch.dev/computeworkflows: get list watch",
    ),
    (
        "collector",
        "/pods: get list watch; /pods/log: get; compute.tidewatch.dev/computeworkflows: get patch",
    ),
    (
        "reaper",
        "compute.tidewatch.dev/computeworkflows: get patch delete",
    ),
    ("api", ""),
];

#[tokio::test]
async fn every_account_has_the_rights_of_the_table_and_no_other() {
    let namespace = Namespace::create().await;
    // What every account of a cluster may ask: about itself.
    let anybody = rights(&namespace, "nobody-has-bound-this").await;
    for (role, expected) in TABLE {
        let mut found = rights(&namespace, role).await;
        found.retain(|right| !anybody.contains(right));
        let mut expected: BTreeSet<_> = parsed(expected).collect();
        if role != "api" {
            let definition = "apiextensions.k8s.io/customresourcedefinitions get computeworkflows.compute.tidewatch.dev";
            expected.insert(definition.to_owned());
        }
        assert_eq!(found, expected, "{role}");
    }
}

fn parsed(rights: &str) -> impl Iterator<Item = String> {
    let parts = rights
        .split(';')
        .map(str::trim)
        .filter(|part| !part.is_empty());
    parts.flat_map(|part| {
        let (resource, verbs) = part.split_once(':').unwrap();
        verbs
            .split_whitespace()
            .map(move |verb| format!("{resource} {verb}"))
    })
}

/// What the API server itself says that the account may do, right by right.
async fn rights(namespace: &Namespace, account: &str) -> BTreeSet<String> {
    let reviews: Api<SelfSubjectRulesReview> = Api::all(namespace.client_as(account).await);
    let review = SelfSubjectRulesReview {
        spec: SelfSubjectRulesReviewSpec {
            namespace: Some(namespace.name.clone()),
        },
        ..SelfSubjectRulesReview::default()
    };
    let answered = reviews.create(&PostParams::default(), &review).await;
    let status = answered.unwrap().status.expect("an answer");
    assert!(!status.incomplete, "{status:?}");
    listed(status)
}

fn listed(status: SubjectRulesReviewStatus) -> BTreeSet<String> {
    let mut rights = BTreeSet::new();
    for rule in status.resource_rules {
        for group in rule.api_groups.iter().flatten() {
            for resource in rule.resources.iter().flatten() {
                for verb in &rule.verbs {
                    let names = rule.resource_names.clone().unwrap_or_default();
                    let right = format!("{group}/{resource} {verb} {}", names.join(","));
                    rights.insert(right.trim_end().to_owned());
                }
            }
        }
    }
    rights
}
