//! What the guard denies an algorithm that runs as a process of this machine.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use super::bench::Bench;

#[tokio::test(flavor = "multi_thread")]
async fn an_algorithm_cannot_reach_a_server_of_this_machine() {
    let bench = Bench::start();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let address = server.local_addr().unwrap();
    let shell = format!(
        "bash -c 'echo data > /dev/tcp/127.0.0.1/{}'; echo ended $? >&2",
        address.port()
    );
    let mut plan = bench.plan(&shell);
    bench.run(&plan).await;
    let log = bench.log(&plan.job).await;
    assert!(
        log.contains("Permission denied") && log.contains("ended 1\n"),
        "{log}"
    );
    assert!(server.accept().is_err(), "nobody came");

    // the same line comes through where the publisher allows it, so the test can fail
    plan.job = bench.plan("").job;
    plan.spec.allow_network = true;
    bench.run(&plan).await;
    assert_eq!(bench.log(&plan.job).await, "ended 0\n");
    assert!(server.accept().is_ok());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_algorithm_sees_the_systems_programs_and_its_job_and_nothing_else() {
    let bench = Bench::start();
    let private = bench.path("private");
    std::fs::write(&private, "canary").unwrap();
    std::fs::set_permissions(&private, std::fs::Permissions::from_mode(0o666)).unwrap();
    let own = std::process::id();
    let shell = format!(
        "exec 2>&1; cat {private}; ls {private}; cat /proc/{own}/environ; ls $VOLUME; cat $VOLUME/record/log; \
         (echo more >> $INPUTS/$(ls $INPUTS)/0); rm -rf $INPUTS/*; chmod -R u+w $INPUTS; (echo more >> $INPUTS/$(ls $INPUTS)/0); \
         (echo over > $ALGO); touch /tmp/tidewatch-was-here; (echo x > $VOLUME/../algorithm-0/ending.json); \
         cat $INPUTS/*/0 > $OUTPUTS/copy; echo tmp > $HOME/file && cat $HOME/file; env | grep -c -i -e database -e token; true",
        private = private.display()
    );
    let plan = bench.plan(&shell);
    bench.run(&plan).await;
    let log = bench.log(&plan.job).await;
    assert!(!log.contains("canary"), "{log}");
    assert!(
        log.ends_with("tmp\n0\n"),
        "its own temporary files are its own: {log}"
    );
    let copy = bench.result(&plan.job, "outputs/copy");
    assert_eq!(
        copy,
        super::bench::DATA.as_bytes(),
        "the inputs are as they were"
    );
    assert!(!std::path::Path::new("/tmp/tidewatch-was-here").exists());
    assert!(log.matches("Permission denied").count() >= 6, "{log}");
}
