//! Attacks on a DTLS handshake: certificates, the order of its messages, their fragments, what they offer.

use super::dtls_link::*;
use rand::seq::IndexedRandom as _;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use std::time::Duration;
use straits_peer::dtls::{CloseReason, Config, Event, Fingerprint, FingerprintError, Role, State};

const ROLES: [Role; 2] = [Role::Client, Role::Server];

/// A certificate that the description did not name connects nobody, on neither side, whichever flights are lost on the way.
#[test]
fn attack_33_a_wrong_fingerprint_never_connects() {
    for (client_expects, server_expects) in [(false, true), (true, false), (false, false)] {
        for pattern in 0_u32..64 {
            let mut link = Link::with(Config::default(), client_expects, server_expects);
            let mut flights = 0;
            loop {
                let mut idle = true;
                for role in ROLES {
                    let records: Vec<_> = std::mem::take(&mut link.end(role).sent).into();
                    if records.is_empty() {
                        continue;
                    }
                    idle = false;
                    let is_lost = flights < 6 && pattern >> flights & 1 == 1;
                    flights += 1;
                    let now = link.now;
                    for record in records.iter().filter(|_| !is_lost) {
                        link.end(other(role)).receive(now, record);
                    }
                }
                if idle && !link.fire_next() {
                    break;
                }
            }
            link.client.assert_never_connected();
            link.server.assert_never_connected();
            // Whoever saw the certificate says why.
            let reasons = [link.client.session.close_reason(), link.server.session.close_reason()];
            assert!(reasons.contains(&Some(&CloseReason::FingerprintMismatch)), "{pattern:06b}: {reasons:?}");
            for end in [&mut link.client, &mut link.server] {
                assert!(end.session.seal(b"data", &mut bytes::BytesMut::new()).is_err());
            }
        }
    }
}

/// Nor does a fingerprint of a function for which certificates can be forged, or a part of one.
#[test]
fn attack_33_weak_and_short_fingerprints_name_nobody() {
    for weak in ["md5 00", "sha-1 00", "sha-224 00", "MD5 00"] {
        assert_eq!(weak.parse::<Fingerprint>(), Err(FingerprintError::UnsupportedFunction), "{weak}");
    }
    let whole = identity(Role::Server).fingerprint(straits_peer::dtls::HashFunction::Sha256);
    for len in 0..whole.value.len() {
        let part = Fingerprint { value: whole.value[..len].to_vec(), ..whole.clone() };
        assert_eq!(part.to_string().parse::<Fingerprint>().is_ok(), len == 32);
        let mut link = Link::new();
        link.client = End::new(Role::Client, vec![part], Config::default(), link.now);
        link.run();
        link.client.assert_failed(&CloseReason::FingerprintMismatch);
    }
}

/// Without any one of the messages that it has to hear, no side is ever connected.
#[test]
fn attack_34_no_message_can_be_left_out() {
    let of_client = OF_CLIENT.map(|step| (Role::Client, step));
    let of_server = OF_SERVER.map(|step| (Role::Server, step));
    for (sender, step) in of_client.into_iter().chain(of_server) {
        let mut link = Link::new();
        link.run_to_the_end(|role, record| match (role, record.step()) {
            lost if lost == (sender, step) => vec![],
            _ => vec![record],
        });
        let victim = link.end(other(sender));
        victim.assert_never_connected();
        let ended = matches!(victim.session.close_reason(), Some(CloseReason::HandshakeTimeout { .. }));
        assert!(ended, "without {step:?} of the {sender:?}");
    }
}

/// The same when the messages behind the one that is left out are numbered anew, so that none seems to be missing, and
/// when a certificate is there but empty.
#[test]
fn attack_34_nor_hidden_or_emptied() {
    for emptied in [false, true] {
        for (sender, kind) in [
            (Role::Client, CERTIFICATE),
            (Role::Client, CERTIFICATE_VERIFY),
            (Role::Client, CLIENT_KEY_EXCHANGE),
            (Role::Server, CERTIFICATE),
            (Role::Server, SERVER_KEY_EXCHANGE),
            (Role::Server, CERTIFICATE_REQUEST),
        ] {
            let mut link = Link::new();
            let mut hidden_at = None;
            link.run_to_the_end(|role, mut record| {
                if role != sender || record.epoch > 0 || record.content != HANDSHAKE {
                    return vec![record];
                }
                let mut message = record.message();
                match hidden_at {
                    _ if message.kind == kind && emptied => {
                        // An empty list of certificates; for the other messages, no contents.
                        message = Message::whole(
                            kind,
                            message.sequence,
                            &[0; 3][..if kind == CERTIFICATE { 3 } else { 0 }],
                        );
                    }
                    _ if message.kind == kind => {
                        hidden_at = Some(message.sequence);
                        return vec![];
                    }
                    Some(at) if message.sequence > at => message.sequence -= 1,
                    _ => {}
                }
                record.payload = message.bytes();
                vec![record]
            });
            let name = format!("{kind} of the {sender:?}, emptied: {emptied}");
            link.client.assert_never_connected();
            link.server.assert_never_connected();
            assert!(link.end(other(sender)).session.close_reason().is_some(), "{name}");
        }
    }
}

/// Whoever drops, repeats and reorders the messages of a handshake at will gets no side connected that has not heard all of
/// them, and both once he stops.
#[test]
fn attack_34_no_order_of_messages_connects_early() {
    for seed in 0..200 {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut link = Link::new();
        let mut seen: [Vec<Record>; 2] = [Vec::new(), Vec::new()];
        for _ in 0..random.random_range(5..60) {
            for (seen, role) in seen.iter_mut().zip(ROLES) {
                seen.extend(std::mem::take(&mut link.end(role).sent));
            }
            let from = usize::from(random.random_bool(0.5));
            // Mostly what is new, sometimes anything there ever was.
            let recent = &seen[from][seen[from].len().saturating_sub(6)..];
            let pool = if random.random_bool(0.8) { recent } else { &seen[from] };
            if let Some(record) = pool.choose(&mut random).cloned() {
                let now = link.now;
                link.end(other(ROLES[from])).receive(now, &record);
            } else {
                link.fire_next();
            }
            for (end, needed) in [(&link.client, &OF_SERVER[..]), (&link.server, &OF_CLIENT[..])] {
                let has_all = needed.iter().all(|step| end.heard.contains(step));
                assert!(has_all || !end.events.contains(&Event::Connected), "seed {seed}: {:?}", end.heard);
            }
        }
        link.run_to_the_end(|_, record| vec![record]);
        link.assert_connected();
        link.assert_carries_data();
    }
}

/// Fragments of length zero are not worked on without end, and hold nothing up.
#[test]
fn attack_38_empty_fragments_are_harmless() {
    for (role, kind) in [(Role::Client, CLIENT_HELLO), (Role::Server, SERVER_HELLO)] {
        let mut link = Link::new();
        link.run_with(|sender, record| {
            if sender != role || record.step() != Step::Message(kind) {
                return vec![record];
            }
            let message = record.message();
            let nothing = |at| message.fragment(at, at).record();
            let mut records: Vec<_> = (0..20).map(nothing).collect();
            records.push(record);
            records
        });
        link.assert_connected();
        link.assert_carries_data();
    }
}

/// A handshake cut into small fragments that come in any order, and twice, is put together again.
#[test]
fn attack_38_fragments_in_any_order_are_one_message() {
    for seed in 0..20 {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut link = Link::new();
        link.run_to_the_end(|_, record| {
            if record.content != HANDSHAKE || record.epoch > 0 {
                return vec![record];
            }
            let message = record.message();
            let size = 40;
            let mut pieces: Vec<_> = (0..message.len.max(1))
                .step_by(size)
                .map(|at| message.fragment(at, (at + size).min(message.len)).record())
                .collect();
            let twice = pieces.choose(&mut random).cloned();
            pieces.extend(twice);
            rand::seq::SliceRandom::shuffle(&mut pieces[..], &mut random);
            pieces
        });
        link.assert_connected();
    }
}

/// What somebody else writes in the name of the peer does not take the place of what the peer writes: fragments that agree
/// with its message in number, but not in type, length or contents.
#[test]
fn attack_38_foreign_fragments_do_not_poison_a_message() {
    for (role, kind) in
        [(Role::Client, CLIENT_HELLO), (Role::Server, SERVER_HELLO), (Role::Server, CERTIFICATE)]
    {
        for poison in 0..5 {
            let mut link = Link::new();
            let mut poisoned = false;
            link.run_to_the_end(|sender, record| {
                if poisoned || sender != role || record.step() != Step::Message(kind) {
                    return vec![record];
                }
                poisoned = true;
                let message = record.message();
                let part = message.fragment(0, 10);
                let foreign = match poison {
                    0 => Message { len: message.len + 100, ..part },
                    1 => Message { len: message.len - 5, ..part },
                    2 => Message { kind: SERVER_HELLO_DONE, ..part },
                    3 => Message { offset: message.len - 10, body: vec![0xee; 10], ..part },
                    _ => Message { len: 16 << 10, offset: 8000, body: vec![0xee; 200], ..part },
                };
                vec![foreign.record(), record]
            });
            let name = format!("poison {poison} for {kind}");
            assert!(link.client.is_connected(), "{name}: {:?}", link.client.session.close_reason());
            assert!(link.server.is_connected(), "{name}: {:?}", link.server.session.close_reason());
            link.assert_carries_data();
        }
    }
}

/// However many fragments come, what is kept of them ends: the handshake does, with a reason.
#[test]
fn attack_38_fragments_are_bounded() {
    let mut link = Link::new();
    let hello = link.next_from(Role::Client).unwrap().message();
    let mut count = 0;
    // Each begins another message, as large as one may be, and none is ever whole.
    while link.server.session.close_reason().is_none() {
        let sequence = 1 + count % 14;
        let begun = Message { len: 16 << 10, sequence, offset: usize::from(count), ..hello.fragment(0, 1) };
        let now = link.now;
        link.server.receive(now, &begun.record());
        count += 1;
    }
    assert_eq!(count, 257);
    link.server.assert_failed(&CloseReason::TooMuchHandshakeData);
    assert!(link.server.sent.is_empty(), "nothing was answered");
}

/// Until its hello is whole a client costs nothing but memory that is bounded; its repeated flights draw no more than one
/// answer in the time in which that may be lost.
#[test]
fn attack_39_repeated_hellos_draw_one_answer() {
    let mut link = Link::new();
    let hello = link.next_from(Role::Client).unwrap();
    let now = link.now;
    let whole = hello.message();
    link.server.receive(now, &whole.fragment(0, whole.len - 1).record());
    assert!(link.server.sent.is_empty() && link.server.session.state() != State::Connected);
    link.server.receive(now, &hello);
    let flight = link.server.sent.len();
    assert!(flight >= 5);
    for _ in 0..100 {
        link.server.receive(now, &hello);
    }
    assert_eq!(link.server.sent.len(), flight);
}

/// A hello that offers only what is broken, or needs no certificate, is refused; one offer among them that is good is
/// taken.
#[test]
fn attack_40_43_old_suites_and_versions_are_refused() {
    // RFC 5246 A.5, RFC 4279, RFC 5489, RFC 8422, RFC 5289: NULL, anonymous, static RSA, PSK, and CBC.
    let bad = [
        0x0000_u16, 0x0001, 0x0018, 0x0034, 0x002f, 0x009c, 0x008c, 0x00a8, 0xc035, 0xc009, 0xc013, 0xc023,
        0xc02f,
    ];
    // The last is ECDHE-RSA-AES128-GCM, which the server has no key for.
    let refused =
        hello_with(|hello| hello.suites = bad.iter().flat_map(|suite| suite.to_be_bytes()).collect());
    refused.server.assert_failed(&CloseReason::HandshakeFailed { alert: Some(40) });
    assert!(refused.server.sent.iter().all(|record| record.content == ALERT));

    for old in [0xfeff_u16, 0x0100] {
        let refused = hello_with(|hello| hello.version = old);
        refused.server.assert_never_connected();
        assert!(refused.server.sent.iter().all(|record| record.content == ALERT), "{old:#x}");
    }
    // Compression, which leaks; RFC 5246 requires that no compression is among the offers.
    let refused = hello_with(|hello| hello.compressions = vec![1]);
    refused.server.assert_never_connected();
}

/// What the client says it can do cannot be cut out on the way: extended master secret, secure renegotiation.
#[test]
fn attack_43_offers_cannot_be_stripped() {
    let mut link = Link::new();
    let hello = Hello::parse(&link.next_from(Role::Client).unwrap().message().body);
    let kinds: Vec<u16> = hello.extensions.iter().map(|(kind, _)| *kind).collect();
    // RFC 7627 §5.1; RFC 5746 §3.4: the extension, or the suite that stands for it.
    assert!(kinds.contains(&23), "{kinds:?}");
    let signals = hello.suites.chunks(2).any(|suite| suite == [0x00, 0xff]) || kinds.contains(&0xff01);
    assert!(signals, "renegotiation_info");
    for kind in kinds {
        let mut link = Link::new();
        link.run_to_the_end(|role, record| {
            if role == Role::Server || record.step() != Step::Message(CLIENT_HELLO) {
                return vec![record];
            }
            let message = record.message();
            let mut hello = Hello::parse(&message.body);
            hello.extensions.retain(|(other, _)| *other != kind);
            vec![Message::whole(CLIENT_HELLO, message.sequence, &hello.bytes()).record()]
        });
        link.client.assert_never_connected();
        link.server.assert_never_connected();
    }
}

/// A suite or version that was not offered is not accepted of a server.
#[test]
fn attack_43_nor_forced_upon_the_client() {
    // Version, then the suite behind 32 bytes of random and a session id; RFC 5246 §7.4.1.3.
    for (what, change) in [("version", [0xfe_u8, 0xff]), ("suite", [0x00, 0x9c]), ("suite", [0xc0, 0x0a])] {
        let mut link = Link::new();
        link.run_to_the_end(|role, record| {
            if role == Role::Client || record.step() != Step::Message(SERVER_HELLO) {
                return vec![record];
            }
            let mut message = record.message();
            let at = if what == "version" { 0 } else { 35 + usize::from(message.body[34]) };
            message.body[at..at + 2].copy_from_slice(&change);
            vec![message.record()]
        });
        link.client.assert_never_connected();
        link.server.assert_never_connected();
        assert!(link.client.session.close_reason().is_some(), "{what}");
    }
}

/// HelloRequests of strangers change nothing, at any time: no handshake begins anew.
#[test]
fn attack_43_hello_requests_are_ignored() {
    let request = |sequence| Message::whole(HELLO_REQUEST, sequence, &[]).record();
    for at in 0..8 {
        let mut link = Link::new();
        let mut count = 0;
        link.run_to_the_end(|role, record| {
            count += 1;
            match role {
                Role::Server if count > at => vec![request(0), record],
                Role::Server | Role::Client => vec![record],
            }
        });
        assert!(link.client.is_connected(), "at {at}: {:?}", link.client.session.close_reason());
        let now = link.now;
        for sequence in 0..8 {
            link.client.receive(now, &request(sequence));
            link.server.receive(now, &request(sequence));
        }
        assert!(link.client.sent.is_empty() && link.server.sent.is_empty());
        link.assert_carries_data();
    }
}

/// Messages of every type cut short or with flipped bits, at every place: no panic, no connection, and an end.
#[test]
fn attack_40_broken_messages_never_connect() {
    let mut plain = Link::new();
    let mut messages = Vec::new();
    plain.run_with(|role, record| {
        if record.content == HANDSHAKE && record.epoch == 0 {
            messages.push((role, record.message()));
        }
        vec![record]
    });
    assert_eq!(messages.len(), 9);
    for (sender, message) in messages {
        // Not the random numbers and the like, which any value may have: those make the Finished wrong in the end.
        let step = (message.len / 24).max(1);
        for at in (0..message.len).step_by(step) {
            for cut in [false, true] {
                let mut link = Link::with(quick(), true, true);
                link.run_to_the_end(|role, record| {
                    if role != sender || record.step() != Step::Message(message.kind) {
                        return vec![record];
                    }
                    let mut body = record.message().body;
                    // Signatures differ in length from one to the next.
                    let at = at.min(body.len() - 1);
                    if cut {
                        body.truncate(at);
                    } else {
                        body[at] ^= 0x81;
                    }
                    vec![Message::whole(message.kind, message.sequence, &body).record()]
                });
                link.client.assert_never_connected();
                link.server.assert_never_connected();
            }
        }
    }
}

/// Neither keys nor passwords show in what is printed for debugging, and a certificate's key is another each time.
#[test]
fn attack_44_58_debug_output_of_sessions_has_no_secrets() {
    let link = Link::connected();
    let key = identity(Role::Client).private_key_pem();
    let lines: Vec<&str> = key.lines().filter(|line| !line.starts_with('-')).collect();
    let shown = format!("{:?} {:?}", link.client.session, identity(Role::Client));
    assert!(lines.iter().all(|line| !shown.contains(line)), "{shown}");
    assert!(shown.len() < 1000, "{shown}");
    assert_ne!(key, identity(Role::Server).private_key_pem());
    let randoms = [(); 2].map(|()| {
        let mut link = Link::new();
        Hello::parse(&link.next_from(Role::Client).unwrap().message().body).random
    });
    assert_ne!(randoms[0], randoms[1]);
}

fn quick() -> Config {
    Config::default().handshake_timeout(Duration::from_millis(200))
}

/// A client whose hello is changed on the way; what the server made of it.
fn hello_with(change: impl Fn(&mut Hello)) -> Link {
    let mut link = Link::new();
    let message = link.next_from(Role::Client).unwrap().message();
    let mut hello = Hello::parse(&message.body);
    change(&mut hello);
    let now = link.now;
    link.server.receive(now, &Message::whole(CLIENT_HELLO, message.sequence, &hello.bytes()).record());
    link
}

/// ClientHello (RFC 5246 §7.4.1.2, RFC 6347 §4.2.1).
struct Hello {
    version: u16,
    random: Vec<u8>,
    session: Vec<u8>,
    cookie: Vec<u8>,
    suites: Vec<u8>,
    compressions: Vec<u8>,
    extensions: Vec<(u16, Vec<u8>)>,
}

impl Hello {
    fn parse(body: &[u8]) -> Self {
        let mut rest = body;
        let mut take = |len: usize| {
            let (taken, behind) = rest.split_at(len);
            rest = behind;
            taken.to_vec()
        };
        let be = |bytes: Vec<u8>| bytes.iter().fold(0, |value, byte| value << 8 | usize::from(*byte));
        let version = u16::try_from(be(take(2))).unwrap();
        let random = take(32);
        let mut list = |width: usize| {
            let len = be(take(width));
            take(len)
        };
        let (session, cookie, suites, compressions) = (list(1), list(1), list(2), list(1));
        let extensions = list(2);
        let mut rest = &extensions[..];
        let mut extensions = Vec::new();
        while let [k0, k1, l0, l1, ..] = *rest {
            let end = 4 + usize::from(u16::from_be_bytes([l0, l1]));
            extensions.push((u16::from_be_bytes([k0, k1]), rest[4..end].to_vec()));
            rest = &rest[end..];
        }
        Self { version, random, session, cookie, suites, compressions, extensions }
    }

    fn bytes(&self) -> Vec<u8> {
        let mut bytes = self.version.to_be_bytes().to_vec();
        bytes.extend(&self.random);
        let u16_of = |len: usize| u16::try_from(len).unwrap().to_be_bytes();
        for list in [&self.session, &self.cookie] {
            bytes.push(u8::try_from(list.len()).unwrap());
            bytes.extend(list);
        }
        bytes.extend(u16_of(self.suites.len()));
        bytes.extend(&self.suites);
        bytes.push(u8::try_from(self.compressions.len()).unwrap());
        bytes.extend(&self.compressions);
        let mut extensions = Vec::new();
        for (kind, value) in &self.extensions {
            extensions.extend(kind.to_be_bytes());
            extensions.extend(u16_of(value.len()));
            extensions.extend(value);
        }
        bytes.extend(u16_of(extensions.len()));
        bytes.extend(extensions);
        bytes
    }
}
