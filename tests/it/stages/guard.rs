use std::collections::BTreeMap;
use std::io::Read;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{read_message, sha256, text};

/// Nothing that a test waits for takes longer on the slowest machine.
const BOUND: Duration = Duration::from_secs(120);

/// A guard in development, with directories of its own.
struct Case {
    directory: tempfile::TempDir,
    log_bytes: u64,
    seconds: u64,
    disk_bytes: u64,
    flags: Vec<&'static str>,
}

impl Case {
    fn new() -> Self {
        let directory = tempfile::tempdir().unwrap();
        for name in ["record", "outputs", "message"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self {
            directory,
            log_bytes: 16 << 20,
            seconds: 300,
            disk_bytes: 1 << 30,
            flags: vec!["--development"],
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn arguments(&self) -> Vec<String> {
        let mut arguments: Vec<_> = ["run", "--record"].map(str::to_owned).into();
        arguments.push(text(&self.path("record")).to_owned());
        for (flag, value) in [
            ("--watch", text(&self.path("outputs")).to_owned()),
            ("--log-bytes", self.log_bytes.to_string()),
            ("--seconds", self.seconds.to_string()),
            ("--disk-bytes", self.disk_bytes.to_string()),
            ("--message", text(&self.path("message/text")).to_owned()),
        ] {
            arguments.extend([flag.to_owned(), value]);
        }
        arguments.extend(self.flags.iter().map(|&flag| flag.to_owned()));
        arguments.push("--".to_owned());
        arguments
    }

    fn command(&self, command: &[&str]) -> Command {
        let mut guard = Command::new(env!("CARGO_BIN_EXE_tidewatch-guard"));
        guard
            .args(self.arguments())
            .args(command)
            .current_dir(self.path("outputs"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        guard
    }

    fn run(&self, script: &str) -> Output {
        self.command(&["/bin/sh", "-c", script]).output().unwrap()
    }

    /// Runs Python, which can make system calls by number.
    fn python(&self, script: &str) -> Output {
        self.command(&["python3", "-c", script]).output().unwrap()
    }

    fn message(&self) -> Value {
        read_message(&self.path("message/text"))
    }

    fn log(&self) -> Vec<u8> {
        std::fs::read(self.path("record/log")).unwrap_or_default()
    }

    /// The record as its streams: what the index says of the log.
    fn streams(&self) -> BTreeMap<u64, Vec<u8>> {
        let log = self.log();
        let index = std::fs::read_to_string(self.path("record/frames.jsonl")).unwrap();
        let mut streams = BTreeMap::new();
        let mut at = 0;
        for (number, line) in index.lines().enumerate() {
            let [sequence, _time, stream, length]: [u64; 4] = serde_json::from_str(line).unwrap();
            assert_eq!(sequence, number as u64);
            let length = usize::try_from(length).unwrap();
            let stream: &mut Vec<u8> = streams.entry(stream).or_default();
            stream.extend(&log[at..at + length]);
            at += length;
        }
        assert_eq!(at, log.len(), "the index covers the log");
        streams
    }
}

/// Waits until a condition holds.
fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < BOUND, "{what} did not happen in time");
        std::thread::yield_now();
    }
}

fn wait(mut child: Child) -> Option<i32> {
    until("the guard's end", || child.try_wait().unwrap().is_some());
    child.wait().unwrap().code()
}

#[test]
fn exit_codes_and_signals_pass_through() {
    let table = [
        ("exit 0", 0, json!(0), json!(null)),
        ("exit 7", 7, json!(7), json!(null)),
        ("exit 42", 42, json!(42), json!(null)),
        ("exit 127", 127, json!(127), json!(null)),
        ("kill -SEGV $$", 139, json!(null), json!(11)),
        ("kill -KILL $$", 137, json!(null), json!(9)),
    ];
    for (script, code, exit_code, signal) in table {
        let case = Case::new();
        let output = case.run(script);
        assert_eq!(output.status.code(), Some(code), "{script}");
        let message = case.message();
        assert_eq!(message["stage"], "algorithm");
        assert_eq!(message["exitCode"], exit_code, "{script}");
        assert_eq!(message["signal"], signal, "{script}");
        assert_eq!(message["reason"], json!(null), "{script}");
        assert_eq!(message["log"]["completeness"], "complete", "{script}");
        let ending = std::fs::read(case.path("record/ending.json")).unwrap();
        assert_eq!(serde_json::from_slice::<Value>(&ending).unwrap(), message);
    }
}

#[test]
fn every_byte_of_both_streams_is_kept_in_the_order_of_arrival() {
    let case = Case::new();
    let output = case.run(
        "(head -c 3000000 /dev/urandom | tee one) & (head -c 2000000 /dev/urandom | tee two >&2) & wait; printf 'last\\377'",
    );
    assert_eq!(output.status.code(), Some(0));
    let log = case.log();
    assert_eq!(output.stdout, log, "the preview is the record");
    let streams = case.streams();
    let mut one = std::fs::read(case.path("outputs/one")).unwrap();
    one.extend(b"last\xff");
    assert!(streams[&1] == one, "standard output is exact");
    assert!(
        streams[&2] == std::fs::read(case.path("outputs/two")).unwrap(),
        "standard error is exact"
    );
    let message = case.message();
    assert_eq!(message["log"]["bytes"], log.len());
    assert_eq!(message["log"]["sha256"], sha256(&log));
    assert_eq!(message["log"]["completeness"], "complete");
}

#[test]
fn a_slow_reader_slows_the_algorithm_and_loses_nothing() {
    let case = Case::new();
    let mut guard = case
        .command(&["/bin/sh", "-c", "head -c 1000000 /dev/zero; touch done"])
        .spawn()
        .unwrap();
    let mut stdout = guard.stdout.take().unwrap();
    let mut first = [0; 1];
    stdout.read_exact(&mut first).unwrap();
    // Two pipes and one chunk are all that is between the algorithm and its reader.
    until("back-pressure", || case.log().len() >= 64 * 1024);
    assert!(!case.path("outputs/done").exists());
    let mut rest = Vec::new();
    stdout.read_to_end(&mut rest).unwrap();
    assert_eq!(rest.len(), 999_999);
    assert_eq!(wait(guard), Some(0));
    assert_eq!(case.log().len(), 1_000_000);
}

#[test]
fn limits_hold_while_nobody_reads() {
    let mut case = Case::new();
    case.seconds = 1;
    let guard = case.command(&["yes"]).spawn().unwrap();
    assert_eq!(wait(guard), Some(42));
    assert_eq!(case.message()["reason"], "time_exceeded");
    assert_eq!(case.message()["log"]["completeness"], "complete");
}

#[test]
fn a_log_beyond_its_limit_keeps_its_first_bytes_and_says_so() {
    let mut case = Case::new();
    case.log_bytes = 1000;
    let output = case.run("head -c 100000 /dev/zero; echo more >&2");
    assert_eq!(output.status.code(), Some(0));
    assert_eq!(case.log(), vec![0; 1000]);
    assert_eq!(output.stdout.len(), 1000);
    assert_eq!(case.message()["log"]["completeness"], "truncated");
}

#[test]
fn too_long_and_too_much_are_42_with_a_reason() {
    let mut case = Case::new();
    case.seconds = 1;
    let output = case.run("trap '' TERM; echo begun; while :; do sleep 1000; done");
    assert_eq!(output.status.code(), Some(42));
    let message = case.message();
    assert_eq!(
        (&message["reason"], &message["signal"]),
        (&json!("time_exceeded"), &json!(9))
    );
    assert_eq!(case.log(), b"begun\n");

    let mut case = Case::new();
    case.disk_bytes = 4 << 20;
    let endless =
        "mkdir d; chmod 0 .; n=0; while :; do n=$((n+1)); head -c 1000000 /dev/zero > d/$n; done";
    assert_eq!(case.run(endless).status.code(), Some(42));
    assert_eq!(case.message()["reason"], "disk_exceeded");

    let mut case = Case::new();
    case.disk_bytes = 4 << 20;
    let quick = "for n in 1 2 3 4 5 6; do head -c 1000000 /dev/zero > $n; done";
    assert_eq!(
        case.run(quick).status.code(),
        Some(42),
        "also when it was over before it was seen"
    );
    let message = case.message();
    assert_eq!(
        (&message["reason"], &message["exitCode"]),
        (&json!("disk_exceeded"), &json!(0))
    );
}

#[test]
fn no_file_grows_beyond_the_disk_limit() {
    let mut case = Case::new();
    case.disk_bytes = 8 << 20;
    case.run("head -c 100000000 /dev/zero > big");
    let size = std::fs::metadata(case.path("outputs/big")).unwrap().len();
    // The guard's own log is under the same limit, which is therefore never below what the log may take.
    assert!(size <= 17 << 20, "{size}");
}

#[test]
fn nothing_outlives_the_guard() {
    let case = Case::new();
    let script = "(setsid sh -c 'echo $$ > daemon; trap \"\" TERM HUP; while :; do sleep 1000; done' >/dev/null 2>&1 &)
        (setsid sh -c 'echo $$ > holder; exec sleep 1000' &)
        while [ ! -s daemon ] || [ ! -s holder ]; do :; done; exit 5";
    let output = case.run(script);
    assert_eq!(output.status.code(), Some(5));
    for name in ["daemon", "holder"] {
        let pid = std::fs::read_to_string(case.path("outputs").join(name)).unwrap();
        assert!(
            !PathBuf::from("/proc").join(pid.trim()).exists(),
            "{name} lives"
        );
    }
    assert_eq!(case.message()["log"]["completeness"], "complete");
}

#[test]
fn a_stop_lets_the_algorithm_tidy_up_and_completes_the_record() {
    let case = Case::new();
    let script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.01; done";
    let guard = case.command(&["/bin/sh", "-c", script]).spawn().unwrap();
    until("the algorithm's start", || case.log() == b"ready\n");
    let pid = guard.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(wait(guard), Some(3));
    assert_eq!(case.log(), b"ready\nbye\n");

    let case = Case::new();
    let script = "trap '' TERM; echo ready; while :; do sleep 0.01; done";
    let guard = case.command(&["/bin/sh", "-c", script]).spawn().unwrap();
    until("the algorithm's start", || case.log() == b"ready\n");
    let pid = guard.id().to_string();
    assert!(
        Command::new("kill")
            .args(["-TERM", &pid])
            .status()
            .unwrap()
            .success()
    );
    assert_eq!(wait(guard), Some(137));
    assert_eq!(case.message()["log"]["completeness"], "complete");
}

/// Makes sockets of many families and prints the error number of each.
const SOCKETS: &str = "
import socket, sys
for family in (2, 10, 16, 17, 40):
    try:
        socket.socket(family, socket.SOCK_RAW if family in (16, 17) else socket.SOCK_STREAM); print(family, 0)
    except OSError as error:
        print(family, error.errno)
a, b = socket.socketpair()
a.send(b'local'); print(b.recv(5).decode())
";

#[test]
fn no_socket_but_a_local_one_can_be_made() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();

    let case = Case::new();
    let output = case.python(SOCKETS);
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "2 13\n10 13\n16 13\n17 13\n40 13\nlocal\n"
    );
    let connect = format!("import socket; socket.create_connection(('127.0.0.1', {port}))");
    let case = Case::new();
    assert_eq!(case.python(&connect).status.code(), Some(1));
    assert!(String::from_utf8_lossy(&case.log()).contains("Permission denied"));

    let mut case = Case::new();
    case.flags.push("--allow-network");
    assert_eq!(
        case.python(&connect).status.code(),
        Some(0),
        "unless the publisher allows it"
    );
}

#[test]
fn no_way_around_the_filter() {
    let call = |number: &str| {
        format!(
            "import ctypes; c = ctypes.CDLL(None, use_errno=True); print(c.syscall({number}, 2, 1, 0), ctypes.get_errno())"
        )
    };
    let mut case = Case::new();
    case.flags.push("--allow-network");
    let output = case.python(&call("425"));
    assert_eq!(output.stdout, b"-1 38\n", "io_uring_setup is missing");
    if cfg!(target_arch = "x86_64") {
        let case = Case::new();
        case.python(&call("0x40000000 | 41"));
        assert_eq!(
            case.message()["signal"],
            31,
            "x32's socket ends the process"
        );
    }
    let case = Case::new();
    let output = case.run(
        "grep -E 'NoNewPrivs|^Seccomp:' /proc/self/status; ulimit -c; ls /proc/self/fd | wc -l",
    );
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "NoNewPrivs:\t1\nSeccomp:\t2\n0\n4\n"
    );
}

#[test]
fn the_algorithm_reaches_neither_record_nor_message() {
    let case = Case::new();
    let (record, message) = (case.path("record"), case.path("message/text"));
    std::fs::write(&message, "before").unwrap();
    let (record, message) = (text(&record), text(&message));
    let attempts = [
        format!("cat {record}/log"),
        format!("echo lie > {record}/log"),
        format!("echo lie > {record}/ending.json"),
        format!("rm {record}/log"),
        format!("mv {record} elsewhere"),
        format!("ln {record}/log link"),
        format!("cat /proc/self/root{record}/log"),
        format!("cat {message}"),
        format!("echo lie > {message}"),
        format!("rm {message}"),
        format!("cat /proc/$PPID/fd/3 {record}/frames.jsonl"),
        format!("echo lie > {}.lie", env!("CARGO_BIN_EXE_tidewatch-guard")),
    ];
    let script: String = attempts
        .iter()
        .map(|attempt| {
            format!(
                "{attempt} && echo 'succeeded: {}'\n",
                attempt.replace('\'', "")
            )
        })
        .collect();
    let output = case.run(&format!(
        "{{ {script} }} 2>/dev/null; echo fine > file && cat file; ls / >/dev/null && echo listed"
    ));
    assert_eq!(
        String::from_utf8_lossy(&output.stdout),
        "fine\nlisted\n",
        "Landlock is needed for this test (CONFIG_SECURITY_LANDLOCK, and lsm=…landlock…)"
    );
    assert_eq!(case.message()["log"]["completeness"], "complete");
}

#[test]
fn what_cannot_run_says_why() {
    let case = Case::new();
    let output = case
        .command(&["/missing/sh", "-c", "exit 0"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(127));
    let message = case.message();
    assert_eq!(
        (&message["reason"], &message["exitCode"]),
        (&json!("no_shell"), &json!(null))
    );
    assert_eq!(message["log"]["completeness"], "complete");

    let case = Case::new();
    let output = case.command(&["/etc/passwd"]).output().unwrap();
    assert_eq!(output.status.code(), Some(126));
    assert_eq!(case.message()["reason"], "algorithm_failed");
}

#[test]
fn a_container_without_walls_runs_nothing() {
    let mut case = Case::new();
    case.flags.clear();
    let output = case.run("touch ran");
    assert_eq!(output.status.code(), Some(125));
    assert!(!case.path("outputs/ran").exists());
    assert_eq!(case.message()["reason"], "pod_altered");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("nothing is run in it"), "{said}");
}

#[test]
fn a_volume_is_run_on_once() {
    let case = Case::new();
    assert_eq!(case.run("echo first").status.code(), Some(0));
    let ending = std::fs::read(case.path("record/ending.json")).unwrap();
    let output = case.run("touch again");
    assert_eq!(output.status.code(), Some(125));
    assert!(!case.path("outputs/again").exists());
    assert_eq!(case.message()["log"]["completeness"], "unverified");
    assert_eq!(case.log(), b"first\n");
    assert_eq!(
        std::fs::read(case.path("record/ending.json")).unwrap(),
        ending
    );
}

#[test]
fn environment_is_handed_on_and_descriptors_are_not() {
    let case = Case::new();
    let guard = env!("CARGO_BIN_EXE_tidewatch-guard");
    let script = format!(
        "exec 9</etc/passwd; exec {guard} {} /bin/sh -c 'echo $DIDS; cat; cat <&9'",
        case.arguments().join(" ")
    );
    let output = Command::new("/bin/bash")
        .args(["-c", &script])
        .env("DIDS", "[\"ab\"]")
        .env("RUST_MIN_STACK", "1000000000000000")
        .output()
        .unwrap();
    let log = String::from_utf8_lossy(&case.log()).into_owned();
    assert!(log.starts_with("[\"ab\"]\n"), "{log}");
    assert!(!log.contains("root:"), "{log}");
    assert_ne!(output.status.code(), Some(0));
}
