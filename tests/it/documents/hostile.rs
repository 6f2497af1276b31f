use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use alloy::primitives::keccak256;
use sha2::{Digest, Sha256};
use tidewatch::documents::{Documents, Error, Settings};
use tidewatch::fault::Fault;
use tidewatch::workflows::{Checksum, Finding, Subject, Want};
use tokio::time::timeout;

use super::{absent, document, wrong};
use crate::support::documents::{HOST, Reply, Web};

const RIGHT: &[u8] = b"right";
const HERE: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

#[tokio::test]
async fn the_right_bytes_are_taken_wherever_they_honestly_are() {
    let web = Web::new();
    let (documents, server) = (web.documents(), web.server().await);
    let right = server.serve("/right", RIGHT);
    let near = server.put("/near", Reply::To("right".to_owned()));
    let far = server.put("/far", Reply::To(near.clone()));
    let chunked =
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nri\r\n3\r\nght\r\n0\r\n\r\n";
    let chunked = server.put("/chunked", Reply::Raw(chunked.to_vec()));
    let until_end = server.put("/end", Reply::Raw(b"HTTP/1.1 200 OK\r\n\r\nright".to_vec()));
    let literal = right.replace(HOST, "127.0.0.1");
    for address in [&right, &near, &far, &chunked, &until_end, &literal] {
        let finding = documents.find(&document(address, keccak256(RIGHT))).await;
        assert_eq!(
            finding.unwrap(),
            Finding::Bytes(RIGHT.to_vec()),
            "{address}"
        );
    }
    let by_sha256 = Want::Bytes {
        of: Subject::Code,
        addresses: vec![server.url("/missing"), right],
        expected: Some(Checksum::Sha256(
            <[u8; 32]>::from(Sha256::digest(RIGHT)).into(),
        )),
        trusted: false,
    };
    assert_eq!(
        documents.find(&by_sha256).await.unwrap(),
        Finding::Bytes(RIGHT.to_vec())
    );
}

#[tokio::test]
async fn a_wrong_document_is_refused_with_what_was_expected_and_what_came() {
    let web = Web::new();
    let (documents, server) = (web.documents(), web.server().await);
    let secret = server.serve("/wrong?token=secret", "wrong");
    let sentence = wrong(&documents, &secret).await;
    let (expected, came) = (keccak256(RIGHT), keccak256("wrong"));
    assert!(sentence.contains(&format!("{expected:#x}")), "{sentence}");
    assert!(sentence.contains(&format!("{came:#x}")), "{sentence}");
    assert!(
        !sentence.contains("secret") && !sentence.contains(HOST),
        "{sentence}"
    );
    // A length that is too short cuts the document, and what is left is another one.
    let short = b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nright".to_vec();
    let short = server.put("/short", Reply::Raw(short));
    assert!(wrong(&documents, &short).await.contains("Keccak-256"));
}

#[tokio::test]
async fn what_would_fill_the_memory_is_cut_off() {
    let web = Web::new();
    let (documents, server) = (web.documents(), web.server().await);
    let announced = b"HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\nx".to_vec();
    let announced = server.put("/announced", Reply::Raw(announced));
    let endless = server.put("/endless", Reply::Endless);
    for address in [announced, endless] {
        let want = document(&address, keccak256(RIGHT));
        let found = documents.find(&want);
        let found = timeout(Duration::from_secs(60), found).await.unwrap();
        assert_eq!(found.unwrap(), Finding::TooLarge, "{address}");
    }
    // 64 KiB of zeros packed a thousandfold; nothing here unpacks anything.
    for encoding in ["gzip", "br", "deflate", "zstd", "gzip, identity", "x"] {
        let head = format!("HTTP/1.1 200 OK\r\nContent-Encoding: {encoding}\r\n\r\n");
        let bomb = [head.into_bytes(), vec![0x1f, 0x8b, 8, 0, 0, 0, 0, 0]].concat();
        let address = server.put("/packed", Reply::Raw(bomb));
        assert!(
            wrong(&documents, &address).await.contains("compressed"),
            "{encoding}"
        );
    }
    let headers = "X-Filler: filler\r\n".repeat(200_000);
    let head = format!("HTTP/1.1 200 OK\r\n{headers}\r\nright");
    let address = server.put("/headers", Reply::Raw(head.into_bytes()));
    assert!(matches!(
        absent(&documents, &address).await,
        Error::Broken { .. }
    ));
}

#[tokio::test]
async fn slow_and_broken_servers_cost_a_bounded_time_and_may_do_better_later() {
    let web = Web::new();
    let (documents, server) = (web.documents(), web.server().await);
    let trickle = server.put("/trickle", Reply::Trickle(Duration::from_secs(1)));
    let silence = server.put("/silence", Reply::Silence);
    let cut = server.put(
        "/cut",
        Reply::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nright".to_vec()),
    );
    let garbage = server.put("/garbage", Reply::Raw(vec![0xff; 100]));
    let failing = server.put(
        "/failing",
        Reply::Raw(b"HTTP/1.1 503 Oh\r\nContent-Length: 0\r\n\r\n".to_vec()),
    );
    let (missing, unknown) = (
        server.url("/missing"),
        "https://unknown.example/d".to_owned(),
    );
    let all = [
        &trickle, &silence, &cut, &garbage, &failing, &missing, &unknown,
    ]
    .map(|address| absent(&documents, address));
    let errors = timeout(Duration::from_secs(120), futures::future::join_all(all));
    let errors = errors.await.unwrap();
    for error in &errors {
        assert_eq!(error.fault(), Fault::Transient, "{error}");
    }
    assert!(matches!(errors[0], Error::Slow(20)), "{}", errors[0]);
    assert!(
        matches!(errors[2], Error::Broken { read: 5, .. }),
        "{:?}",
        errors[2]
    );
    assert!(errors[5].to_string().contains("404"));

    let late = server.serve("/missing", RIGHT);
    let found = documents.find(&document(&late, keccak256(RIGHT))).await;
    assert_eq!(found.unwrap(), Finding::Bytes(RIGHT.to_vec()));
}

#[tokio::test]
async fn redirects_lead_nowhere_that_an_address_may_not() {
    let web = Web::new();
    let (documents, server) = (web.documents(), web.server().await);
    for (to, part) in [
        ("https://127.0.0.2/", "loopback"),
        ("https://10.0.0.1/", "private"),
        ("https://169.254.169.254/latest/meta-data", "link-local"),
        ("https://[::1]/", "loopback"),
        ("https://[::ffff:127.0.0.1]/", "IPv4 address inside"),
        ("https://100.64.0.1/", "carrier"),
        ("https://2130706434/", "loopback"),
        ("http://documents.example/", "neither https nor ipfs"),
        ("https://user:word@documents.example/", "user or a password"),
        ("https://documents.example:22/", "port"),
        ("https://localhost/", "not a public name"),
        ("ipfs://bafk", "neither https nor ipfs"),
        ("file:///etc/passwd", "neither https nor ipfs"),
    ] {
        let address = server.put("/to", Reply::To(to.to_owned()));
        let sentence = wrong(&documents, &address).await;
        assert!(sentence.contains(part), "{to}: {sentence}");
    }
    let circle = server.put("/circle", Reply::To("/circle".to_owned()));
    assert!(
        wrong(&documents, &circle)
            .await
            .contains("more than 5 times")
    );
}

#[tokio::test]
async fn a_name_is_asked_once_and_the_answer_is_where_the_connection_goes() {
    let web = Web::new();
    let (documents, server) = (web.documents(), web.server().await);
    let right = server.serve("/right", RIGHT);
    let before = web.names.looked_up();
    let found = documents.find(&document(&right, keccak256(RIGHT))).await;
    assert_eq!(found.unwrap(), Finding::Bytes(RIGHT.to_vec()));
    assert_eq!(web.names.looked_up(), before + 1);

    let forbidden = [
        "127.0.0.2",
        "10.0.0.1",
        "169.254.169.254",
        "::1",
        "::ffff:127.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ];
    for address in forbidden.map(|text| text.parse::<IpAddr>().unwrap()) {
        let asked = server.asked();
        // An honest answer first, for whoever checks; another one for whoever connects.
        web.names.then("other.example", &[&[HERE], &[address]]);
        let other = right.replace(HOST, "other.example");
        let again = server.put("/again", Reply::To(other.clone()));
        let there = again.replace(HOST, "other.example");
        let sentence = wrong(&documents, &there).await;
        assert!(
            sentence.contains("the name stands for"),
            "{address}: {sentence}"
        );
        // One forbidden address among others is enough.
        web.names.always("other.example", &[HERE, address]);
        assert!(
            wrong(&documents, &other)
                .await
                .contains("the name stands for")
        );
        assert_eq!(
            server.asked(),
            asked + 1,
            "only the first answer was connected to"
        );
    }
}

#[tokio::test]
async fn without_the_tests_exception_this_machine_is_out_of_reach() {
    let web = Web::new();
    let server = web.server().await;
    let right = server.serve("/right", RIGHT);
    let strict = Documents::new(&web.settings()).unwrap();
    let literal = right.replace(HOST, "127.0.0.1");
    assert!(wrong(&strict, &literal).await.contains("loopback"));
    let names = Arc::clone(&web.names) as _;
    let strict = Documents::reaching(&web.settings(), Vec::new(), names).unwrap();
    assert!(
        wrong(&strict, &right)
            .await
            .contains("the name stands for a loopback address")
    );
    // A certificate of nobody's is no certificate.
    let names = Arc::clone(&web.names) as _;
    let distrusting = Documents::reaching(&Settings::default(), vec![HERE], names).unwrap();
    assert!(matches!(
        absent(&distrusting, &right).await,
        Error::Broken { .. }
    ));
    assert_eq!(server.asked(), 0);
}

#[tokio::test]
async fn ipfs_goes_through_the_operators_gateway_and_is_checked_all_the_same() {
    let web = Web::new();
    let server = web.server().await;
    server.serve("/ipfs/bafkright/d.json", RIGHT);
    server.put("/ipfs/bafkaway", Reply::To("https://127.0.0.2/".to_owned()));
    let sentence = wrong(&web.documents(), "ipfs://bafkright/d.json").await;
    assert!(sentence.contains("TIDEWATCH_IPFS_GATEWAY"), "{sentence}");
    let settings = Settings {
        ipfs_gateway: Some(
            format!("https://127.0.0.1:{}", server.port)
                .parse()
                .unwrap(),
        ),
        ..web.settings()
    };
    let documents = web.documents_with(&settings);
    let found = documents
        .find(&document("ipfs://bafkright/d.json", keccak256(RIGHT)))
        .await;
    assert_eq!(found.unwrap(), Finding::Bytes(RIGHT.to_vec()));
    assert!(
        wrong(&documents, "ipfs://bafkaway")
            .await
            .contains("loopback")
    );
    let other = documents
        .find(&document("ipfs://bafkright/d.json", keccak256("other")))
        .await;
    assert!(matches!(other.unwrap(), Finding::Wrong(_)));
}
