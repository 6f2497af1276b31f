use std::io::Write;
use std::net::{TcpListener, UdpSocket};
use std::os::linux::net::SocketAddrExt;
use std::os::unix::net::{SocketAddr, UnixListener};

use k8s_openapi::api::core::v1::Pod;
use kube::api::PostParams;
use serde_json::json;

use crate::support::cluster::Namespace;
use crate::support::required;

/// What there is to be reached around an algorithm's pod, each of it really there: name servers on the node, an abstract socket
/// of the node, and another tenant's pod.
pub(super) struct Surroundings {
    /// How the attacks are told of it.
    pub(super) environment: String,
    _neighbour: Namespace,
}

impl Surroundings {
    pub(super) async fn make() -> Self {
        let node = required("TIDEWATCH_TEST_HOST");
        let tcp = TcpListener::bind((node.as_str(), 0)).unwrap();
        let udp = UdpSocket::bind((node.as_str(), 0)).unwrap();
        let name = format!("tidewatch-{}", uuid::Uuid::new_v4());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        let socket = UnixListener::bind_addr(&address).unwrap();
        let (neighbour, peer) = neighbour().await;
        let environment = format!(
            "NODE={node} PEER={peer} TCP_DNS={} UDP_DNS={} ABSTRACT={name}",
            tcp.local_addr().unwrap().port(),
            udp.local_addr().unwrap().port(),
        );
        // They serve until the process ends.
        std::thread::spawn(move || {
            for mut stream in tcp.incoming().flatten() {
                _ = stream.write_all(b"here");
            }
        });
        std::thread::spawn(move || {
            let mut question = [0; 512];
            while let Ok((length, from)) = udp.recv_from(&mut question) {
                _ = udp.send_to(&question[..length], from);
            }
        });
        std::thread::spawn(move || socket.incoming().flatten().for_each(drop));
        Self {
            environment,
            _neighbour: neighbour,
        }
    }
}

/// A pod of somebody else, in a namespace of its own, that listens; answers its address.
async fn neighbour() -> (Namespace, String) {
    let namespace = Namespace::create().await;
    namespace.label("compute.tidewatch.dev/jobs", None).await;
    namespace
        .label("pod-security.kubernetes.io/enforce", None)
        .await;
    let script = "import socket; s = socket.create_server((\"\", 7777))\nwhile True: s.accept()";
    let pod: Pod = serde_json::from_value(json!({
        "metadata": {"name": "neighbour"},
        "spec": {
            "automountServiceAccountToken": false, "terminationGracePeriodSeconds": 0,
            "containers": [{
                "name": "listener", "image": required("TIDEWATCH_TEST_PYTHON_IMAGE"), "imagePullPolicy": "IfNotPresent",
                "command": ["python3", "-IS", "-c", script]
            }]
        }
    }))
    .unwrap();
    let pods = namespace.api::<Pod>();
    let ready = || async {
        // The label's absence reaches the API server's admission some time after it was taken away.
        let made = pods.create(&PostParams::default(), &pod).await;
        made.ok().or(pods.get_opt("neighbour").await.unwrap())
    };
    namespace.until("the neighbour's pod", ready).await;
    let address = || async {
        let status = pods.get("neighbour").await.unwrap().status?;
        let container = status.container_statuses?.first()?.state.clone()?;
        container.running?;
        status.pod_ip
    };
    let address = namespace.until("the neighbour's address", address).await;
    (namespace, address)
}
