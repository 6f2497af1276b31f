//! `check` on a real cluster: what an account may do, what is there, and what is said where something is not.

use k8s_openapi::api::authentication::v1::{TokenRequest, TokenRequestSpec};
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Role, RoleBinding};

use kube::api::{Api, DeleteParams, Patch, PatchParams, PostParams};
use kube::config::Kubeconfig;
use serde_json::{Value, json};

use crate::support::required;
use crate::support::service::TIDEWATCH;
use crate::support::world::World;

const ROLES: &str = "dispatcher,observer,collector,reaper,operator,agent,api";

/// What `check` printed, and whether it found everything well.
struct Checked {
    text: String,
    is_well: bool,
}

impl Checked {
    /// The line about a part.
    fn line(&self, part: &str) -> &str {
        let mut lines = self.text.lines();
        lines
            .find(|line| line.get(7..).is_some_and(|rest| rest.starts_with(part)))
            .unwrap_or_else(|| panic!("nothing about {part} in {}", self.text))
    }

    fn assert(&self, part: &str, word: &str, said: &str) {
        let line = self.line(part);
        assert!(line.starts_with(word) && line.contains(said), "{line}");
    }
}

async fn check(world: &World, roles: &str, changed: &[(&str, &str)]) -> Checked {
    let variables = world.variables().iter();
    let output = tokio::process::Command::new(TIDEWATCH)
        .args(["check", "--role", roles])
        .env_clear()
        .envs(variables.map(|(name, value)| (name.as_str(), value.as_str())))
        .envs(changed.iter().copied())
        .current_dir(world.directory())
        .output()
        .await
        .unwrap();
    Checked {
        text: String::from_utf8(output.stdout).unwrap(),
        is_well: output.status.success(),
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_that_jobs_need_is_looked_at_and_what_lacks_is_said_with_its_remedy() {
    let mut world = World::start().await;
    world.employ_agent().await;
    let service = world.service("service").await;
    drop(service);
    let file = include_str!("../../deploy/network-policies.yaml");
    let first = file.split("\n---").next().unwrap();
    let mut policy: Value = serde_saphyr::from_str(first).unwrap();
    let name = policy["metadata"]["name"].as_str().unwrap().to_owned();
    policy["metadata"]["namespace"] = json!(world.namespace.name);

    let without_policy = check(&world, ROLES, &[]).await;
    assert!(!without_policy.is_well);
    without_policy.assert("isolation", "wrong", "apply deploy/network-policies.yaml");
    let policies = world
        .namespace
        .api::<k8s_openapi::api::networking::v1::NetworkPolicy>();
    let apply = PatchParams::apply("tidewatch-test");
    policies
        .patch(&name, &apply, &Patch::Apply(&policy))
        .await
        .unwrap();
    let well = check(&world, ROLES, &[]).await;
    assert!(well.is_well, "{}", well.text);
    for (part, said) in [
        ("cluster", "it answers"),
        ("rights of the dispatcher", "has all of them"),
        ("rights of the operator", "has all of them"),
        ("storage", "claims get ReadWriteOnce volumes of class"),
        ("isolation", "denies all traffic"),
        ("agent's balance", "ether"),
        (
            "the API's login",
            "it can read the ledger, and write nothing of it",
        ),
    ] {
        well.assert(part, "ok", said);
    }

    let writer = world.variables().iter();
    let writer = writer
        .clone()
        .find(|(name, _)| name == "DATABASE_URL")
        .unwrap();
    let wrong = check(
        &world,
        ROLES,
        &[
            ("TIDEWATCH_STORAGE_CLASS", "nonesuch"),
            ("TIDEWATCH_RUNTIME_CLASS", "nonesuch"),
            ("TIDEWATCH_API_DATABASE_URL", &writer.1),
            ("TIDEWATCH_AGENT_MAX_FEE_GWEI", "1000000000"),
        ],
    )
    .await;
    assert!(!wrong.is_well);
    wrong.assert("storage", "wrong", "set TIDEWATCH_STORAGE_CLASS");
    wrong.assert("sandbox", "wrong", "change TIDEWATCH_RUNTIME_CLASS");
    wrong.assert("the API's login", "wrong", "");
    wrong.assert("agent's balance", "wrong", "send it some");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_lacks_one_right_is_told_which_and_how_to_get_it() {
    let world = World::start().await;
    let namespace = &world.namespace;
    let (name, account) = (namespace.name.clone(), "lacking");
    let made = |kind: &str, metadata: Value, rest: Value| {
        let mut object = json!({"kind": kind, "metadata": metadata});
        object
            .as_object_mut()
            .unwrap()
            .extend(rest.as_object().unwrap().clone());
        object
    };
    let create = PostParams::default();
    let accounts = namespace.api::<ServiceAccount>();
    let object = made("ServiceAccount", json!({"name": account}), json!({}));
    accounts
        .create(&create, &serde_json::from_value(object).unwrap())
        .await
        .unwrap();
    // The role of deploy/, but for one verb.
    let roles = namespace.api::<Role>();
    let mut role = roles.get("tidewatch-collector").await.unwrap();
    role.metadata = kube::api::ObjectMeta {
        name: Some(account.to_owned()),
        ..Default::default()
    };
    let ours = role.rules.as_mut().unwrap();
    let rule = ours
        .iter_mut()
        .find(|rule| rule.verbs.contains(&"patch".to_owned()));
    rule.unwrap().verbs.retain(|verb| verb != "patch");
    roles.create(&create, &role).await.unwrap();
    let subjects = json!([{"kind": "ServiceAccount", "name": account, "namespace": name}]);
    let to = |kind: &str, role: &str| json!({"apiGroup": "rbac.authorization.k8s.io", "kind": kind, "name": role});
    let binding = made(
        "RoleBinding",
        json!({"name": account}),
        json!({"roleRef": to("Role", account), "subjects": subjects}),
    );
    let bindings = namespace.api::<RoleBinding>();
    let binding: RoleBinding = serde_json::from_value(binding).unwrap();
    bindings.create(&create, &binding).await.unwrap();
    let reading = made(
        "ClusterRoleBinding",
        json!({"name": name}),
        json!({"roleRef": to("ClusterRole", "tidewatch-definition-reader"), "subjects": subjects}),
    );
    let everywhere: Api<ClusterRoleBinding> = Api::all(namespace.client.clone());
    let reading: ClusterRoleBinding = serde_json::from_value(reading).unwrap();
    everywhere.create(&create, &reading).await.unwrap();

    let kubeconfig = kubeconfig_of(&world, account).await;
    let path = world.directory().join("kubeconfig");
    std::fs::write(&path, kubeconfig).unwrap();
    let variables = [("KUBECONFIG", path.to_str().unwrap())];
    let checked = check(&world, "observer,collector", &variables).await;
    everywhere
        .delete(&name, &DeleteParams::default())
        .await
        .unwrap();
    assert!(!checked.is_well);
    checked.assert("cluster", "ok", "it answers");
    checked.assert(
        "rights of the collector",
        "wrong",
        "may not patch computeworkflows",
    );
    checked.assert("rights of the collector", "wrong", "tidewatch-collector");
    checked.assert("rights of the observer", "wrong", "may not list");
    // What it may not look at is neither well nor wrong.
    checked.assert("storage", "unseen", "run check with one that may");
    checked.assert("isolation", "unseen", "run check with one that may");
}

/// The tests' kubeconfig with the account's token in the place of the administrator's certificate.
async fn kubeconfig_of(world: &World, account: &str) -> String {
    let accounts = world.namespace.api::<ServiceAccount>();
    let request = TokenRequest {
        spec: TokenRequestSpec {
            audiences: Vec::new(),
            expiration_seconds: Some(600),
            ..TokenRequestSpec::default()
        },
        ..TokenRequest::default()
    };
    let token = accounts
        .create_token_request(account, &PostParams::default(), &request)
        .await
        .unwrap();
    let mut file = Kubeconfig::read_from(required("KUBECONFIG")).unwrap();
    let user = file.auth_infos[0].name.clone();
    let token = token.status.unwrap().token;
    file.auth_infos =
        serde_json::from_value(json!([{"name": user, "user": {"token": token}}])).unwrap();
    serde_saphyr::to_string(&file).unwrap()
}
