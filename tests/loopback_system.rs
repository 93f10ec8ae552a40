//! What the system can refuse: sends, on a network whose routes and MTU change under a connection, and writes, to a disk that
//! gets full. Network and disk are namespaces of Linux, which each test has for itself, in a process of its own.
#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "support/pcapng.rs"]
mod pcapng;
#[path = "support/loopback.rs"]
mod support;
#[path = "support/tools.rs"]
mod tools;

use std::fs;
use std::process::Command;
use straits::{
    CandidatePairStats, Capture, CloseReason, DataChannel, DataChannelInit, Finding, Message, PeerConnection,
    PeerConnectionState, sctp,
};
use support::{Pair, configuration, soon, until};

/// Whether this process has the namespaces. Otherwise runs the test in one that has, if the system allows it.
fn is_inside(test: &str) -> bool {
    if std::env::var_os(CHILD).is_some() {
        run("ip link set lo up");
        return true;
    }
    let (Some(unshare), Some(_)) = (tools::find("unshare"), tools::find("ip")) else { return false };
    let namespaces = ["--user", "--map-root-user", "--net", "--mount"];
    if !Command::new(&unshare).args(namespaces).arg("true").output().unwrap().status.success() {
        tools::skip("unshare", "namespaces are not allowed");
        return false;
    }
    let output = Command::new(&unshare)
        .args(namespaces)
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(CHILD, "1")
        .output()
        .unwrap();
    let [out, error] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text));
    assert!(output.status.success() && out.contains("1 passed"), "{out}{error}");
    false
}

fn run(line: &str) {
    let words: Vec<&str> = line.split(' ').collect();
    let status = Command::new(words[0]).args(&words[1..]).status().unwrap();
    assert!(status.success(), "{line}");
}

/// Datagrams that the system refused.
fn refused(connection: &PeerConnection) -> u64 {
    connection.get_stats().of_type::<CandidatePairStats>().map(|pair| pair.packets_discarded_on_send).sum()
}

fn message(number: usize) -> Vec<u8> {
    vec![(number % 251) as u8; number * 1013 % 50_000]
}

async fn send(channel: &DataChannel, count: usize) {
    for number in 0..count {
        soon("room", channel.send(message(number))).await.unwrap();
    }
}

async fn receive(channel: &DataChannel, count: usize) {
    for number in 0..count {
        let received = soon("a message", channel.recv()).await;
        assert!(received == Some(Message::from(message(number))), "{number}");
    }
}

/// EMSGSIZE. Packets of several messages are too large and the messages are not: they go on, in smaller packets, and so does
/// what is larger.
#[tokio::test]
async fn a_path_that_becomes_narrow_for_packets() {
    if !is_inside("a_path_that_becomes_narrow_for_packets") {
        return;
    }
    let pair = Pair::new().await;
    send(&pair.channel_a, 20).await;
    receive(&pair.channel_b, 20).await;
    until("acknowledgement", || pair.a.explain().undelivered == 0).await;
    run("ip link set lo mtu 600");
    for number in 0..50_u8 {
        soon("room", pair.channel_a.send(vec![number; 300])).await.unwrap();
    }
    for number in 0..50_u8 {
        let received = soon("a message", pair.channel_b.recv()).await;
        assert!(received == Some(Message::from(vec![number; 300])), "{number}");
    }
    assert!(refused(&pair.a) > 0);
    assert_eq!(pair.a.stats().sctp.mtu, 504);
    send(&pair.channel_a, 20).await;
    receive(&pair.channel_b, 20).await;
    pair.close().await;
}

/// EMSGSIZE for a message that was cut for wide packets: the end, which names the path MTU, and tells what is not delivered.
#[tokio::test]
async fn a_path_that_becomes_narrow_for_messages() {
    if !is_inside("a_path_that_becomes_narrow_for_messages") {
        return;
    }
    let Pair { a, b, channel_a, channel_b } = Pair::new().await;
    run("ip link set lo mtu 600");
    soon("room", channel_a.send(vec![7; 100_000])).await.unwrap();
    let reason = soon("the end", a.closed()).await;
    assert!(matches!(reason, CloseReason::Sctp(sctp::CloseReason::PathMtu { .. })), "{reason}");
    let explanation = a.explain();
    assert_eq!((explanation.undelivered, &explanation.finding), (100_000, &Finding::Ended(reason)));
    let theirs = soon("the other end", b.closed()).await;
    assert!(matches!(theirs, CloseReason::Sctp(sctp::CloseReason::RemoteAbort { .. })), "{theirs}");
    assert_eq!(soon("the end", channel_b.recv()).await, None);
}

/// ENETUNREACH, as the interface has lost its address; EACCES, ENETUNREACH and EINVAL, as a rule forbids it: what is refused is
/// lost like any datagram, and sent again. Linux keeps
/// ENOBUFS from who has not asked for it, and EPERM takes a packet filter: the socket has a test of what it makes of their numbers.
#[tokio::test]
async fn sends_that_are_refused_for_a_while() {
    if !is_inside("sends_that_are_refused_for_a_while") {
        return;
    }
    // So that another rule fits in before it.
    run("ip rule add pref 10 lookup local");
    run("ip rule del pref 0");
    let pair = Pair::new().await;
    let faults = [
        ("ip addr del 127.0.0.1/8 dev lo", "ip addr add 127.0.0.1/8 dev lo"),
        ("ip rule add pref 5 prohibit", "ip rule del pref 5"),
        ("ip rule add pref 5 unreachable", "ip rule del pref 5"),
        ("ip rule add pref 5 blackhole", "ip rule del pref 5"),
    ];
    for (fault, end) in faults {
        let before = [&pair.a, &pair.b].map(refused);
        run(fault);
        send(&pair.channel_a, 20).await;
        send(&pair.channel_b, 20).await;
        until(fault, || refused(&pair.a) > before[0] && refused(&pair.b) > before[1]).await;
        run(end);
        receive(&pair.channel_b, 20).await;
        receive(&pair.channel_a, 20).await;
        for end in [&pair.a, &pair.b] {
            assert_eq!(end.connection_state(), PeerConnectionState::Connected, "{fault}");
        }
    }
    pair.close().await;
}

/// ENOSPC in the middle of a capture: the connection goes on, and the file ends with a whole block.
#[tokio::test]
async fn a_disk_that_gets_full() {
    if !is_inside("a_disk_that_gets_full") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    run(&format!("mount -t tmpfs -o size={DISK} none {}", folder.path().display()));
    let path = folder.path().join("wire.pcapng");
    let capture = Capture::create(&path).unwrap();
    let captured = configuration().capture(capture.clone());
    let pair = Pair::with(captured, configuration(), DataChannelInit::default()).await;
    // What comes in one write, and finds no room, is left out as a whole.
    capture.flush();
    for _ in 0..2 {
        send(&pair.channel_a, 40).await;
        receive(&pair.channel_b, 40).await;
    }
    pair.close().await;
    // Nothing is written any more, which could leave a part of a block for a moment.
    capture.flush();
    let bytes = fs::read(&path).unwrap();
    let file = pcapng::File::read(&bytes);
    assert_eq!((file.secrets().len(), file.rest), (1, 0));
    // All that was sent is six times as much.
    assert!(bytes.len() <= DISK);
    run(&format!("umount {}", folder.path().display()));
}

const DISK: usize = 256 << 10;
/// Says to the test binary that it has namespaces of its own.
const CHILD: &str = "STRAITS_TEST_NAMESPACES";
