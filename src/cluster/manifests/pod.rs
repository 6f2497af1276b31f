use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::{
    Capabilities, Container, EmptyDirVolumeSource, EnvVar, EnvVarSource, ObjectFieldSelector,
    PersistentVolumeClaimVolumeSource, PodSecurityContext, PodSpec, ResourceRequirements,
    SeccompProfile, SecretVolumeSource, SecurityContext, Toleration, Volume, VolumeMount,
};
use k8s_openapi::apimachinery::pkg::api::resource::Quantity;

use super::Subject;
use crate::cluster::workflow::JobFacts;
use crate::engine::Stage;

/// Seconds after which Kubernetes itself gives up: a week. Everything of ours ends long before.
pub(super) const DISTANT_SECONDS: i64 = 7 * 24 * 3600;

/// Name of the volume that holds the claim.
const DATA: &str = "data";
/// Our own program in the stage image.
const PROGRAM: &str = "/usr/local/bin/tidewatch";

/// Name of the container that a stage's pod is about.
pub const fn container_of(stage: Stage) -> &'static str {
    stage.as_str()
}

/// What every stage's pod has: the Pod Security Standard *restricted* and more, field by field.
pub(super) fn restricted(job: &JobFacts, volumes: Vec<Volume>) -> PodSpec {
    let user = i64::from(job.run_as);
    PodSpec {
        automount_service_account_token: Some(false),
        dns_policy: Some("ClusterFirst".to_owned()),
        enable_service_links: Some(false),
        host_users: job.user_namespaces.then_some(false),
        restart_policy: Some("Never".to_owned()),
        scheduler_name: Some("default-scheduler".to_owned()),
        security_context: Some(PodSecurityContext {
            fs_group: Some(user),
            fs_group_change_policy: Some("OnRootMismatch".to_owned()),
            run_as_group: Some(user),
            run_as_non_root: Some(true),
            run_as_user: Some(user),
            seccomp_profile: Some(runtime_default()),
            ..PodSecurityContext::default()
        }),
        termination_grace_period_seconds: Some(30),
        tolerations: Some(["not-ready", "unreachable"].map(patient).into()),
        volumes: Some(volumes),
        ..PodSpec::default()
    }
}

/// A container without any right.
pub(super) fn container(job: &JobFacts, name: &str, image: &str, size: Size<'_>) -> Container {
    Container {
        name: name.to_owned(),
        image: Some(image.to_owned()),
        image_pull_policy: Some(job.pull_policy.as_str().to_owned()),
        resources: Some(size.as_requests_and_limits()),
        security_context: Some(SecurityContext {
            allow_privilege_escalation: Some(false),
            capabilities: Some(Capabilities {
                add: None,
                drop: Some(vec!["ALL".to_owned()]),
            }),
            privileged: Some(false),
            read_only_root_filesystem: Some(true),
            run_as_non_root: Some(true),
            seccomp_profile: Some(runtime_default()),
            ..SecurityContext::default()
        }),
        termination_message_path: Some("/dev/termination-log".to_owned()),
        termination_message_policy: Some("File".to_owned()),
        ..Container::default()
    }
}

/// A container of one of our own stages.
pub(super) fn own_container(job: &JobFacts, name: &str, arguments: &[&str]) -> Container {
    let command = [PROGRAM, "stage"].iter().chain(arguments);
    Container {
        command: Some(command.map(|word| (*word).to_owned()).collect()),
        ..container(job, name, &job.stage_image, OWN_SIZE)
    }
}

/// What our own programs need: they copy and hash, with buffers of fixed size.
const OWN_SIZE: Size<'static> = Size {
    cpu: "500m",
    memory: "256Mi",
    ephemeral_storage: "64Mi",
};

/// What a container gets: it may use no more than it is promised.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size<'a> {
    pub(super) cpu: &'a str,
    pub(super) memory: &'a str,
    pub(super) ephemeral_storage: &'a str,
}

impl Size<'_> {
    fn as_requests_and_limits(self) -> ResourceRequirements {
        let quantities: BTreeMap<_, _> = [
            ("cpu", self.cpu),
            ("memory", self.memory),
            ("ephemeral-storage", self.ephemeral_storage),
        ]
        .into_iter()
        .map(|(name, quantity)| (name.to_owned(), Quantity(quantity.to_owned())))
        .collect();
        ResourceRequirements {
            claims: None,
            limits: Some(quantities.clone()),
            requests: Some(quantities),
        }
    }
}

/// The attempt's claim as a volume.
pub(super) fn data_volume(subject: &Subject<'_>) -> Volume {
    Volume {
        name: DATA.to_owned(),
        persistent_volume_claim: Some(PersistentVolumeClaimVolumeSource {
            claim_name: subject.names().claim(),
            read_only: None,
        }),
        ..Volume::default()
    }
}

/// An empty directory of at most that size, gone with the pod.
pub(super) fn scratch_volume(name: &str, size: &str) -> Volume {
    Volume {
        name: name.to_owned(),
        empty_dir: Some(EmptyDirVolumeSource {
            medium: None,
            size_limit: Some(Quantity(size.to_owned())),
        }),
        ..Volume::default()
    }
}

/// A Secret as a volume, readable by the stage's own group only.
pub(super) fn secret_volume(name: &str, secret: String) -> Volume {
    Volume {
        name: name.to_owned(),
        secret: Some(SecretVolumeSource {
            default_mode: Some(0o440),
            secret_name: Some(secret),
            ..SecretVolumeSource::default()
        }),
        ..Volume::default()
    }
}

/// The whole claim at `/data`.
pub(super) fn whole_data() -> VolumeMount {
    mount(DATA, "/data", false)
}

/// A directory of the claim at its usual place.
pub(super) fn part_of_data(part: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        sub_path: Some(part.to_owned()),
        ..mount(DATA, &format!("/data/{part}"), read_only)
    }
}

/// A volume at a path.
pub(super) fn mount(name: &str, path: &str, read_only: bool) -> VolumeMount {
    VolumeMount {
        name: name.to_owned(),
        mount_path: path.to_owned(),
        read_only: read_only.then_some(true),
        ..VolumeMount::default()
    }
}

/// A variable with a literal value. Never a secret.
pub(super) fn variable(name: &str, value: impl Into<String>) -> EnvVar {
    EnvVar {
        name: name.to_owned(),
        value: Some(value.into()),
        value_from: None,
    }
}

/// The node's addresses, for our own stages: they ask whether the network is denied (the algorithm is told nothing of the kind).
pub(super) fn node_addresses() -> EnvVar {
    EnvVar {
        name: "TIDEWATCH_NODE_ADDRESSES".to_owned(),
        value: None,
        value_from: Some(EnvVarSource {
            field_ref: Some(ObjectFieldSelector {
                // The server would fill it in, and the gate compares.
                api_version: Some("v1".to_owned()),
                field_path: "status.hostIPs".to_owned(),
            }),
            ..EnvVarSource::default()
        }),
    }
}

/// A text that the kubelet hands on unchanged: it takes `$(NAME)` in commands for variables, and `$$` for an escaped dollar.
pub(super) fn literal(text: &str) -> String {
    text.replace('$', "$$")
}

fn runtime_default() -> SeccompProfile {
    SeccompProfile {
        localhost_profile: None,
        type_: "RuntimeDefault".to_owned(),
    }
}

/// A node that is away for a while does not cost a pod: "cannot see" is never "has failed".
fn patient(what: &str) -> Toleration {
    Toleration {
        effect: Some("NoExecute".to_owned()),
        key: Some(format!("node.kubernetes.io/{what}")),
        operator: Some("Exists".to_owned()),
        toleration_seconds: Some(DISTANT_SECONDS),
        value: None,
    }
}
