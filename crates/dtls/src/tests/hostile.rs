//! What strangers and broken peers send.

use super::*;
use crate::record::Record;

/// The first flight of clients in use, as they sent it; `name hex` per datagram.
const CLIENT_HELLOS: &str = include_str!("data/client-hellos.hex");

/// Browsers' ClientHellos come in two fragments, in any order; each client gets a flight for an answer.
#[test]
fn genuine_client_hellos_elicit_a_flight() {
    let mut clients = 0;
    for hello in genuine_hellos() {
        for reversed in [false, true] {
            let mut pair = Pair::new();
            let mut datagrams = hello.clone();
            if reversed {
                datagrams.reverse();
            }
            for datagram in &datagrams {
                assert!(pair.server.take_sent(pair.now).is_empty());
                pair.server.receive(pair.now, datagram);
            }
            let flight = pair.server.take_sent(pair.now);
            assert!(!flight.is_empty());
            let (record, _) = Record::split_first(&flight[0]).unwrap();
            assert_eq!(record.payload[0], 2, "a ServerHello");
            // RFC 5764 §4.1.1: use_srtp with one profile and no MKI. Some of these clients give up without it.
            let use_srtp = [0, 14, 0, 5, 0, 2, 0, 1, 0];
            assert!(record.payload.windows(use_srtp.len()).any(|bytes| bytes == use_srtp));
            assert_eq!(pair.server.session.state(), State::Connecting);
            assert_eq!(pair.server.stats(), Stats::default());
        }
        clients += 1;
    }
    assert_eq!(clients, 9);
}

/// Item 42 of the attack list: a plaintext alert ends nothing, at no time.
#[test]
fn plaintext_alerts_are_withheld() {
    let fatal = plaintext_record(21, 9, &[2, 40]);
    let mut pair = Pair::new();
    pair.client.receive(pair.now, &fatal);
    pair.server.receive(pair.now, &fatal);
    pair.run();
    pair.client.receive(pair.now, &fatal);
    pair.server.receive(pair.now, &plaintext_record(21, 10, &[1, 0]));
    pair.exchange();
    for side in [&pair.client, &pair.server] {
        assert_eq!(side.stats().alerts_withheld, 2);
        assert_eq!(side.stats().records_dropped, 2);
        assert_eq!(side.events, [Event::Connected]);
    }
}

/// An alert of a stranger does not shorten the time that a slow peer has to begin, nor that of one that goes on.
#[test]
fn plaintext_alerts_end_nothing_that_goes_on() {
    let fatal = plaintext_record(21, 9, &[2, 40]);
    let mut pair = Pair::new();
    let start = pair.now;
    pair.client.receive(start, &fatal);
    pair.client.session.handle_timeout(start + Duration::from_secs(20));
    pair.client.collect(start);
    assert_eq!(pair.client.events, []);

    let mut pair = Pair::new();
    for datagram in pair.client.take_sent(pair.now) {
        pair.server.receive(pair.now, &datagram);
    }
    pair.server.receive(pair.now, &fatal);
    for datagram in pair.server.take_sent(pair.now) {
        pair.client.receive(pair.now, &datagram);
    }
    pair.now += Duration::from_secs(2);
    pair.run();
    pair.exchange();
}

/// Item 35: application data that nothing protects is dropped in every state.
#[test]
fn plaintext_data_is_dropped() {
    let mut pair = Pair::new();
    let data = plaintext_record(23, 7, b"forged");
    for _ in 0..6 {
        pair.client.receive(pair.now, &data);
        pair.server.receive(pair.now, &data);
        for datagram in pair.client.take_sent(pair.now) {
            pair.server.receive(pair.now, &datagram);
        }
        for datagram in pair.server.take_sent(pair.now) {
            pair.client.receive(pair.now, &datagram);
        }
    }
    assert_eq!(pair.states(), (State::Connected, State::Connected));
    assert_eq!((pair.client.stats().records_dropped, pair.server.stats().records_dropped), (6, 6));
    assert_eq!((&pair.client.data, &pair.server.data), (&vec![], &vec![]));
    pair.exchange();
}

/// Data that overtakes the last flight is not kept, and does not harm the handshake.
#[test]
fn data_before_connected_is_dropped() {
    let mut pair = Pair::new();
    for datagram in pair.client.take_sent(pair.now) {
        pair.server.receive(pair.now, &datagram);
    }
    for datagram in pair.server.take_sent(pair.now) {
        pair.client.receive(pair.now, &datagram);
    }
    for datagram in pair.client.take_sent(pair.now) {
        pair.server.receive(pair.now, &datagram);
    }
    assert_eq!(pair.states(), (State::Connecting, State::Connected));
    let early = pair.server.seal(b"early");
    pair.client.receive(pair.now, &early);
    pair.run();
    assert_eq!(pair.states(), (State::Connected, State::Connected));
    assert_eq!(pair.client.data, Vec::<Vec<u8>>::new());
    assert_eq!(pair.client.stats().records_dropped, 1);
    pair.exchange();
}

#[test]
fn garbage_never_disturbs() {
    let mut pair = Pair::new();
    let mut random = Random(1);
    for round in 0..400 {
        let mut junk: Vec<u8> = (0..random.next() % 1300).map(|_| random.next() as u8).collect();
        // Half of them look like DTLS at first sight.
        if let (true, Some(first)) = (round % 2 == 0, junk.first_mut()) {
            *first = 20 + *first % 44;
        }
        pair.client.receive(pair.now, &junk);
        pair.server.receive(pair.now, &junk);
        if round == 200 {
            pair.run();
        }
    }
    assert_eq!(pair.states(), (State::Connected, State::Connected));
    pair.exchange();
}

/// RFC 6347 §4.1.2.7: "invalid records SHOULD be silently discarded, thus preserving the association". Whichever bit was
/// flipped, in the header too.
#[test]
fn no_flipped_bit_ends_the_session() {
    for len in [1, 28, 200] {
        for is_client in [false, true] {
            let mut pair = Pair::connected();
            for bit in 0..8 * (len + 37) {
                let Pair { now, client, server } = &mut pair;
                let (from, to) = if is_client { (server, client) } else { (client, server) };
                let record = from.seal(&vec![7; len]);
                let mut flipped = record.clone();
                flipped[bit / 8] ^= 1 << (bit % 8);
                to.receive(*now, &flipped);
                assert_eq!(to.session.state(), State::Connected, "bit {bit} of {len} bytes: {:?}", to.events);
                assert_eq!(to.data, Vec::<Vec<u8>>::new());
                to.receive(*now, &record);
                assert_eq!(to.data.pop(), Some(vec![7; len]), "bit {bit} of {len} bytes");
            }
        }
    }
}

/// It takes no key to write a record that looks encrypted and has no room for its nonce and tag. Before, behind and between
/// the flights of a handshake, and afterwards.
#[test]
fn records_too_short_for_their_cipher_are_dropped() {
    let mut short = Vec::new();
    for content in 20..24 {
        for len in 0..24 {
            short.push(
                [&[content, 254, 253, 0, 1, 0, 0, 0, 0, 1, 0, 0, len][..], &vec![7; len.into()]].concat(),
            );
        }
    }
    let mut pair = Pair::new();
    pair.run_with(|burst| {
        burst.into_iter().flat_map(|sound| [&short[..], &[sound], &short].concat()).collect()
    });
    assert_eq!(pair.states(), (State::Connected, State::Connected));
    for record in &short {
        pair.client.receive(pair.now, record);
        pair.server.receive(pair.now, record);
    }
    assert_eq!(pair.states(), (State::Connected, State::Connected));
    pair.exchange();
}

/// Items 34 and 37: a record that was cut or changed anywhere is dropped, and neither replay window nor session suffers.
#[test]
fn corrupted_records_are_dropped() {
    let mut pair = Pair::connected();
    let record = pair.client.seal(b"genuine");
    for at in 0..record.len() {
        let mut corrupted = record.clone();
        corrupted[at] ^= 0x55;
        pair.server.receive(pair.now, &corrupted);
        pair.server.receive(pair.now, &record[..at]);
    }
    let mut far_ahead = record.clone();
    far_ahead[5..11].copy_from_slice(&[0xff; 6]);
    pair.server.receive(pair.now, &far_ahead);
    assert_eq!(pair.server.data, Vec::<Vec<u8>>::new());
    let stats = pair.server.stats();
    // Type, version and length make a record unreadable; the empty datagram is nothing at all.
    assert_eq!(stats.datagrams_malformed + stats.records_dropped, 2 * record.len() as u64);
    pair.server.receive(pair.now, &record);
    assert_eq!(pair.server.data.pop().as_deref(), Some(&b"genuine"[..]));
    pair.exchange();
}

/// Item 42: with keys, a fatal alert is the peer's word.
#[test]
fn protected_fatal_alert_ends_the_session() {
    let mut pair = Pair::connected();
    let alert = forged(&pair.client.session, 21, 1, &[2, 80]);
    pair.server.receive(pair.now, &alert);
    assert_eq!(pair.server.events, [Event::Closed(CloseReason::RemoteAlert(80))]);
    assert_eq!(pair.server.session.state(), State::Failed);
    assert_eq!(pair.server.session.poll_timeout(), None);
}

/// Item 43: a genuine peer that wants to renegotiate gets no_renegotiation, and the session goes on.
#[test]
fn renegotiation_is_refused() {
    let mut pair = Pair::connected();
    let datagram = &genuine_hellos()[0][0];
    let hello = Record::split_first(datagram).unwrap().0.payload.to_vec();
    let hello = forged(&pair.client.session, 22, 1, &hello);
    pair.server.receive(pair.now, &hello);
    assert_eq!(pair.server.events, []);
    let answer = pair.server.take_sent(pair.now);
    assert_eq!((answer.len(), answer[0][0], answer[0].len()), (1, 21, 39), "one protected alert");
    assert_eq!(pair.states(), (State::Connected, State::Connected));
    let record = pair.server.seal(b"still here");
    pair.client.receive(pair.now, &record);
    assert_eq!(pair.client.data, [b"still here"]);
}

/// A server's repeated Finished, in a new record, must not make the client repeat its flight: each would answer the other
/// for ever.
#[test]
fn client_does_not_answer_a_repeated_finished() {
    let mut pair = Pair::connected();
    let finished = [&[20, 0, 0, 12, 0, 6, 0, 0, 0, 0, 0, 12][..], &[7; 12]].concat();
    for sequence in 1..=20 {
        let record = forged(&pair.server.session, 22, sequence, &finished);
        pair.client.receive(pair.now, &record);
    }
    assert_eq!(pair.client.take_sent(pair.now), Vec::<Vec<u8>>::new());
    assert_eq!(pair.client.stats().records_dropped, 20);
    assert_eq!(pair.client.events, []);
    let record = forged(&pair.server.session, 23, 21, b"data");
    pair.client.receive(pair.now, &record);
    assert_eq!(pair.client.data, [b"data"]);
}

/// What stands behind the Finished in its datagram is not forgotten.
#[test]
fn alert_behind_the_finished_is_read() {
    let mut pair = Pair::new();
    while pair.server.session.state() != State::Connected {
        for datagram in pair.server.take_sent(pair.now) {
            pair.client.receive(pair.now, &datagram);
        }
        for datagram in pair.client.take_sent(pair.now) {
            pair.server.receive(pair.now, &datagram);
        }
    }
    let [flight] = &pair.server.take_sent(pair.now)[..] else { panic!("one datagram") };
    let close_notify = forged(&pair.server.session, 21, 1, &[1, 0]);
    pair.client.receive(pair.now, &[&flight[..], &close_notify].concat());
    assert_eq!(pair.client.events, [Event::Connected, Event::Closed(CloseReason::RemoteClose)]);
    assert_eq!(pair.client.take_sent(pair.now).len(), 1, "its own close_notify");
}

/// Errors that others left in this thread's OpenSSL queue are not the session's.
#[test]
fn foreign_errors_in_the_queue_are_ignored() {
    let mut pair = Pair::new();
    let leave_error = || openssl::x509::X509::from_der(b"nonsense").unwrap_err().put();
    pair.run_with(|datagrams| {
        leave_error();
        datagrams
    });
    assert_eq!(pair.states(), (State::Connected, State::Connected));
    let mut corrupted = pair.client.seal(b"corrupted");
    *corrupted.last_mut().unwrap() ^= 1;
    leave_error();
    pair.server.receive(pair.now, &corrupted);
    leave_error();
    pair.exchange();
    assert_eq!(pair.states(), (State::Connected, State::Connected));
}

#[test]
fn handshake_volume_is_bounded() {
    let config = Config::default().max_handshake_fragments(20);
    let mut pair = Pair::with(config, |_| {});
    let hello = genuine_hellos().remove(1);
    for _ in 0..20 {
        pair.server.receive(pair.now, &hello[0]);
    }
    assert_eq!(pair.server.session.state(), State::Connecting);
    pair.server.receive(pair.now, &hello[0]);
    pair.server.assert_failed(&CloseReason::TooMuchHandshakeData);

    let config = Config::default().max_handshake_bytes(2000);
    let mut pair = Pair::with(config, |_| {});
    pair.server.receive(pair.now, &hello[0]);
    pair.server.receive(pair.now, &hello[0]);
    pair.server.assert_failed(&CloseReason::TooMuchHandshakeData);
}

#[test]
fn oversized_misnumbered_and_empty_parts_of_messages_are_dropped() {
    // type, length, sequence number, offset, fragment length, one byte
    let too_long = [11, 0, 0x40, 1, 0, 0, 0, 0, 0, 0, 0, 1, 9];
    let too_late = [11, 0, 0, 9, 0, 16, 0, 0, 0, 0, 0, 1, 9];
    let empty_part = [1, 0, 0, 9, 0, 0, 0, 0, 0, 0, 0, 0];
    let mut pair = Pair::new();
    for payload in [&too_long[..], &too_late, &empty_part, &[]] {
        pair.server.receive(pair.now, &plaintext_record(22, 0, payload));
    }
    assert_eq!(pair.server.session.state(), State::New);
    assert_eq!(pair.server.stats().records_dropped, 4);
    pair.run();
    assert_eq!(pair.states(), (State::Connected, State::Connected));
}

fn genuine_hellos() -> Vec<Vec<Vec<u8>>> {
    let mut clients: Vec<(&str, Vec<Vec<u8>>)> = Vec::new();
    for line in CLIENT_HELLOS.lines() {
        let (name, hex) = line.split_once(' ').unwrap();
        let digits = hex.as_bytes().chunks(2);
        let datagram =
            digits.map(|digits| u8::from_str_radix(str::from_utf8(digits).unwrap(), 16).unwrap()).collect();
        match clients.last_mut() {
            Some((last, datagrams)) if *last == name => datagrams.push(datagram),
            _ => clients.push((name, vec![datagram])),
        }
    }
    clients.into_iter().map(|(_, datagrams)| datagrams).collect()
}

/// A record of any content as `sender` would seal it with AES-128-GCM (RFC 5246 §6.3, RFC 5288 §3).
pub(super) fn forged(sender: &Session, content: u8, sequence: u64, plaintext: &[u8]) -> Vec<u8> {
    let ssl = sender.ssl();
    let (mut master, mut seed) = (vec![0; 48], vec![0; 64]);
    ssl.session().unwrap().master_key(&mut master);
    ssl.server_random(&mut seed[..32]);
    ssl.client_random(&mut seed[32..]);
    let seed = [&b"key expansion"[..], &seed].concat();

    // key_block: client_write_key, server_write_key, client_write_IV, server_write_IV
    let mut a = hmac(&master, &seed);
    let mut block = hmac(&master, &[&a[..], &seed].concat());
    a = hmac(&master, &a);
    block.extend(hmac(&master, &[&a[..], &seed].concat()));
    let (key, iv) = match sender.role() {
        Role::Client => (&block[..16], &block[32..36]),
        Role::Server => (&block[16..32], &block[36..40]),
    };

    let number = (1 << 48 | sequence).to_be_bytes();
    let len = u16::try_from(plaintext.len()).unwrap();
    let header = |len: u16| [&[content, 254, 253][..], &number, &len.to_be_bytes()].concat();
    let additional = [&number[..], &[content, 254, 253], &len.to_be_bytes()].concat();
    let nonce = [iv, &number].concat();
    let mut tag = [0; 16];
    let cipher = openssl::symm::Cipher::aes_128_gcm();
    let sealed =
        openssl::symm::encrypt_aead(cipher, key, Some(&nonce), &additional, plaintext, &mut tag).unwrap();
    [&header(len + 24)[..], &number, &sealed, &tag].concat()
}

fn hmac(key: &[u8], data: &[u8]) -> Vec<u8> {
    let key = openssl::pkey::PKey::hmac(key).unwrap();
    let mut signer = openssl::sign::Signer::new(openssl::hash::MessageDigest::sha256(), &key).unwrap();
    signer.sign_oneshot_to_vec(data).unwrap()
}

/// xorshift64*, for junk.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 32
    }
}
