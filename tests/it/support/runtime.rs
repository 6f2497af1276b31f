//! Counts containers where they really start: at the container runtime.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use serde_json::Value;

use super::required;

/// Listens to containerd from its creation on, and remembers every start of a container called `algorithm` in one namespace.
pub(crate) struct AlgorithmStarts {
    events: Child,
    seen: Arc<Mutex<Vec<String>>>,
}

impl AlgorithmStarts {
    /// Begins to listen.
    pub(crate) fn listen(namespace: &str) -> Self {
        let socket = required("TIDEWATCH_TEST_CONTAINERD");
        let mut events = Command::new("ctr")
            .args(["-a", &socket, "-n", "k8s.io", "events"])
            .stdout(Stdio::piped())
            .spawn()
            .expect("ctr, of the Debian package containerd, must be installed");
        let lines = BufReader::new(events.stdout.take().unwrap()).lines();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (namespace, starts) = (namespace.to_owned(), Arc::clone(&seen));
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                if let Some(pod) = started_algorithm(&line, &socket, &namespace) {
                    starts.lock().unwrap().push(pod);
                }
            }
        });
        Self { events, seen }
    }

    /// Uids of the pods whose algorithm container was started, one entry for each start.
    pub(crate) fn pods(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for AlgorithmStarts {
    fn drop(&mut self) {
        _ = self.events.kill();
        _ = self.events.wait();
    }
}

/// `TIME k8s.io /tasks/start {"container_id": …}` of an algorithm's container in the namespace → the uid of its pod.
fn started_algorithm(line: &str, socket: &str, namespace: &str) -> Option<String> {
    let (_, event) = line.split_once(" /tasks/start ")?;
    let event: Value = serde_json::from_str(event).ok()?;
    let container = event["container_id"].as_str()?;
    let info = Command::new("ctr")
        .args([
            "-a",
            socket,
            "-n",
            "k8s.io",
            "containers",
            "info",
            container,
        ])
        .output()
        .ok()?;
    let info: Value = serde_json::from_slice(&info.stdout).ok()?;
    let labels = &info["Labels"];
    (labels["io.kubernetes.container.name"] == "algorithm"
        && labels["io.kubernetes.pod.namespace"] == namespace)
        .then(|| {
            labels["io.kubernetes.pod.uid"]
                .as_str()
                .unwrap_or_default()
                .to_owned()
        })
}
