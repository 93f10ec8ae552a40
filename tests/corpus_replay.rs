//! Replays every checked-in fuzz corpus file through the body of its target: what a fuzzer once found stays found.

use std::fs;
use std::path::Path;

/// Runs `body` over the corpus of `target`; an empty or missing corpus is a failure, not a pass.
fn replay(target: &str, body: fn(&[u8])) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz/corpus").join(target);
    let mut files: Vec<_> = fs::read_dir(&folder)
        .unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        .map(|entry| entry.unwrap().path())
        .collect();
    files.sort();
    assert!(!files.is_empty(), "no corpus in {}", folder.display());
    for file in files {
        let data = fs::read(&file).unwrap();
        // The file's name shows when a body panics.
        println!("{}", file.display());
        body(&data);
    }
}

#[test]
fn stun_message() {
    replay("stun_message", straits_ice::fuzzing::stun_message);
}

#[test]
fn candidate() {
    replay("candidate", straits_ice::fuzzing::candidate);
}

#[test]
fn sdp() {
    replay("sdp", straits_peer::fuzzing::sdp);
}

#[test]
fn sctp_packet() {
    replay("sctp_packet", straits_sctp::fuzzing::packet);
}

#[test]
fn dcep() {
    replay("dcep", straits_sctp::fuzzing::dcep);
}

#[test]
fn sctp_association() {
    replay("sctp_association", straits_sctp::fuzzing::association);
}

#[test]
fn sctp_parameters() {
    replay("sctp_parameters", straits_sctp::fuzzing::parameters);
}

#[test]
fn sctp_reconfig() {
    replay("sctp_reconfig", straits_sctp::fuzzing::reconfig);
}

#[test]
fn sctp_sack() {
    replay("sctp_sack", straits_sctp::fuzzing::sack);
}

#[test]
fn sctp_reassembly() {
    replay("sctp_reassembly", straits_sctp::fuzzing::reassembly);
}

#[test]
fn sctp_pair() {
    replay("sctp_pair", straits_sctp::fuzzing::pair);
}

#[test]
fn dtls_session() {
    replay("dtls_session", straits_peer::dtls::fuzzing::session);
}

#[test]
fn peer() {
    replay("peer", straits_peer::fuzzing::peer);
}
