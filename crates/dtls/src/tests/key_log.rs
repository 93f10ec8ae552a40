//! Secrets leave a session only when its settings say so.

use super::*;
use crate::record::Record;
use openssl::ssl::SslRef;

fn drain(side: &mut Side) -> Vec<String> {
    let lines = std::iter::from_fn(|| side.session.poll_key_log());
    lines.map(|line| line.as_str().to_owned()).collect()
}

/// What the line of a session is to say, by what OpenSSL tells of it.
fn expected_line(ssl: &SslRef) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let (mut random, mut secret) = ([0; 32], [0; 48]);
    assert_eq!(ssl.client_random(&mut random), 32);
    assert_eq!(ssl.session().unwrap().master_key(&mut secret), 48);
    format!("CLIENT_RANDOM {} {}", hex(&random), hex(&secret))
}

#[test]
fn each_side_logs_the_secret_of_its_own_session() {
    let mut pairs = [(); 2].map(|()| Pair::with(Config::default().key_log(true), |_| {}));
    for pair in &mut pairs {
        pair.run();
        let line = expected_line(pair.client.session.ssl());
        assert_eq!(drain(&mut pair.client), [line.as_str()]);
        assert_eq!(drain(&mut pair.server), [line.as_str()]);
        pair.exchange();
        assert_eq!((drain(&mut pair.client), drain(&mut pair.server)), (vec![], vec![]));
    }
}

/// Who reads the datagrams in their order can decrypt each when it comes.
#[test]
fn the_secret_is_there_before_the_first_record_that_it_protects() {
    let mut pair = Pair::with(Config::default().key_log(true), |_| {});
    loop {
        for datagram in pair.client.take_sent(pair.now) {
            pair.server.receive(pair.now, &datagram);
            if is_protected(&datagram) {
                assert_eq!(drain(&mut pair.client).len(), 1);
                assert_eq!(drain(&mut pair.server).len(), 1);
                return;
            }
        }
        let answer = pair.server.take_sent(pair.now);
        assert!(!answer.is_empty(), "the handshake goes on");
        for datagram in answer {
            pair.client.receive(pair.now, &datagram);
        }
    }
}

#[test]
fn without_being_asked_for_there_is_none() {
    let mut pair = Pair::connected();
    assert_eq!((drain(&mut pair.client), drain(&mut pair.server)), (vec![], vec![]));
}

/// Sessions under one certificate share their context only with those of the same kind.
#[test]
fn one_identity_serves_both_kinds() {
    for key_log in [true, false, true] {
        let mut pair = Pair::with(Config::default().key_log(key_log), |_| {});
        pair.run();
        assert_eq!(drain(&mut pair.client).len(), usize::from(key_log));
    }
}

#[test]
fn debug_shows_no_secret() {
    let mut pair = Pair::with(Config::default().key_log(true), |_| {});
    pair.run();
    let line = pair.client.session.poll_key_log().unwrap();
    assert_eq!(format!("{line:?}"), "KeyLogLine(..)");
}

/// Has the datagram a record of epoch 1?
fn is_protected(mut datagram: &[u8]) -> bool {
    while let Ok((record, rest)) = Record::split_first(datagram) {
        if record.epoch > 0 {
            return true;
        }
        datagram = rest;
    }
    false
}
