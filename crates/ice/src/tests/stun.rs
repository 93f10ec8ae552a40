use super::*;
use proptest::prelude::*;

const PASSWORD: &str = "VOkJxbRl1RmTxUk/WvJxBt";

/// RFC 5769 §2.1: sample request (the vectors are those of ICE: username "evtj:h6vY").
fn sample_request() -> Vec<u8> {
    unhex(
        "000100582112a442b7e7a701bc34d686fa87dfae802200105354554e207465737420636c69656e74\
         002400046e0001ff80290008932ff9b151263b36000600096576746a3a68367659202020\
         000800149aeaa70cbfd8cb56781ef2b5b2d3f249c1b571a280280004e57a3bcf",
    )
}

fn unhex(text: &str) -> Vec<u8> {
    let digits: Vec<_> = text.bytes().filter(|byte| !byte.is_ascii_whitespace()).collect();
    digits.chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn read(datagram: &[u8], password: &str) -> Result<Authenticated, StunError> {
    Scanned::scan(datagram)?.authenticate(password)
}

fn request(use_candidate: bool) -> Vec<u8> {
    let request = Request {
        transaction_id: [7; 12],
        remote_ufrag: "evtj",
        local_ufrag: "h6vY",
        priority: 0x6e00_01ff,
        role: Role::Controlling,
        tie_breaker: 0x932f_f9b1_5126_3b36,
        use_candidate,
    };
    let mut buffer = BytesMut::new();
    assert!(request.write(PASSWORD, &mut buffer));
    buffer.to_vec()
}

/// A message of these attributes, sealed over all of them.
fn message(kind: u16, attributes: &[(u16, &[u8])]) -> Vec<u8> {
    let mut bytes = header(kind);
    for &(kind, value) in attributes {
        push(&mut bytes, kind, value);
    }
    seal_by_hand(bytes)
}

fn header(kind: u16) -> Vec<u8> {
    [&kind.to_be_bytes()[..], &[0, 0], &MAGIC_COOKIE, &[9; 12]].concat()
}

fn push(bytes: &mut Vec<u8>, kind: u16, value: &[u8]) {
    bytes.extend(kind.to_be_bytes());
    bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
    bytes.resize(bytes.len().next_multiple_of(4), 0);
    set_len(bytes, 0);
}

fn set_len(bytes: &mut [u8], extra: usize) {
    let len = u16::try_from(bytes.len() - HEADER_LEN + extra).unwrap();
    bytes[2..4].copy_from_slice(&len.to_be_bytes());
}

fn seal_by_hand(bytes: Vec<u8>) -> Vec<u8> {
    seal_with(bytes, PASSWORD)
}

fn seal_with(mut bytes: Vec<u8>, password: &str) -> Vec<u8> {
    set_len(&mut bytes, 24);
    let mut hmac = Hmac::<Sha1>::new_from_slice(password.as_bytes()).unwrap();
    hmac.update(&bytes);
    push(&mut bytes, MessageIntegrity::CODEPOINT, &hmac.finalize().into_bytes());
    bytes
}

#[test]
fn rfc_5769_sample_request() {
    let datagram = sample_request();
    let scanned = Scanned::scan(&datagram).unwrap();
    assert_eq!((scanned.class, scanned.username), (Class::Request, Some("evtj:h6vY")));
    assert_eq!(local_ufrag(&datagram), Some("evtj"));
    let attributes = Attributes {
        priority: Some(0x6e00_01ff),
        controlled: Some(0x932f_f9b1_5126_3b36),
        ..Attributes::default()
    };
    assert_eq!(read(&datagram, PASSWORD), Ok(Authenticated { attributes, unknown: vec![] }));
    assert_eq!(read(&datagram, "VOkJxbRl1RmTxUk/WvJxBu"), Err(StunError::WrongIntegrity));
}

/// RFC 5769 §2.2 and §2.3.
#[test]
fn rfc_5769_sample_responses() {
    let ipv4 = unhex(
        "0101003c2112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220\
         002000080001a147e112a643000800142b91f599fd9e90c38c7489f92af9ba53f06be7d780280004c07d4c96",
    );
    let ipv6 = unhex(
        "010100482112a442b7e7a701bc34d686fa87dfae8022000b7465737420766563746f7220\
         002000140002a1470113a9faa5d3f179bc25f4b5bed2b9d900080014a382954e4be67bf11784c97c8292c275bfe3ed41\
         80280004c8fb0b4c",
    );
    let mapped = |datagram: &[u8]| read(datagram, PASSWORD).unwrap().attributes.mapped_address;
    assert_eq!(mapped(&ipv4), Some("192.0.2.1:32853".parse().unwrap()));
    assert_eq!(mapped(&ipv6), Some("[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().unwrap()));
}

/// Every message of every client scans; the responses verify with the password of their sender, and so would a forgery
/// not.
#[test]
fn messages_of_other_stacks() {
    let (mut requests, mut responses) = (0, 0);
    for line in include_str!("data/stun.txt").lines().filter(|line| !line.starts_with('#')) {
        let [client, ufrag, password, message] = line.split(' ').collect::<Vec<_>>().try_into().unwrap();
        let datagram = unhex(message);
        let scanned = Scanned::scan(&datagram).unwrap();
        match scanned.class {
            Class::Request => {
                requests += 1;
                let username = scanned.username.unwrap();
                assert_eq!(username.split_once(':').unwrap().1, ufrag, "{client}");
                assert_eq!(local_ufrag(&datagram), Some(username.split_once(':').unwrap().0), "{client}");
                assert_eq!(scanned.unknown, [0; 0], "{client}");
                // The other side's password is not known here; what decodes is checked all the same.
                let attributes = scanned.clone().decode().unwrap().attributes;
                assert!(attributes.priority.is_some(), "{client}");
                assert!(attributes.controlling.is_some() != attributes.controlled.is_some(), "{client}");
                assert_eq!(read(&datagram, password), Err(StunError::WrongIntegrity), "{client}");
            }
            Class::Success => {
                responses += 1;
                let mapped = read(&datagram, password).unwrap().attributes.mapped_address.unwrap();
                assert!(
                    mapped.to_string().starts_with("198.51.100.") || mapped.is_ipv6(),
                    "{client} {mapped}"
                );
                assert_eq!(local_ufrag(&datagram), None, "{client}");
            }
            class => panic!("{client} {class:?}"),
        }
    }
    assert_eq!((requests, responses), (66, 35));
}

#[test]
fn a_request_says_what_it_was_given() {
    let datagram = request(true);
    let attributes = Attributes {
        priority: Some(0x6e00_01ff),
        controlling: Some(0x932f_f9b1_5126_3b36),
        use_candidate: true,
        ..Attributes::default()
    };
    let scanned = Scanned::scan(&datagram).unwrap();
    assert_eq!((scanned.transaction_id, scanned.username), ([7; 12], Some("evtj:h6vY")));
    assert_eq!(scanned.authenticate(PASSWORD), Ok(Authenticated { attributes, unknown: vec![] }));
    assert!(!read(&request(false), PASSWORD).unwrap().attributes.use_candidate);
}

#[test]
fn a_username_too_long_is_not_sent() {
    let long = "u".repeat(512);
    let request = Request {
        transaction_id: [7; 12],
        remote_ufrag: &long,
        local_ufrag: "h6vY",
        priority: 1,
        role: Role::Controlled,
        tie_breaker: 1,
        use_candidate: false,
    };
    let mut buffer = BytesMut::new();
    assert!(!request.write(PASSWORD, &mut buffer));
    assert!(buffer.is_empty());
}

#[test]
fn error_responses_carry_code_and_unknown_attributes() {
    let mut buffer = BytesMut::new();
    assert!(write_error([3; 12], UNKNOWN_ATTRIBUTE, &[0x7777, 0x0003], PASSWORD, &mut buffer));
    let scanned = Scanned::scan(&buffer).unwrap();
    assert_eq!((scanned.class, scanned.transaction_id), (Class::Error, [3; 12]));
    // ERROR-CODE 4|20 "Unknown Attribute" (17 bytes), then UNKNOWN-ATTRIBUTES.
    assert_eq!(buffer[20..28], [0, 9, 0, 21, 0, 0, 4, 20]);
    assert_eq!(buffer[48..56], [0, 10, 0, 4, 0x77, 0x77, 0, 3]);
    assert_eq!(scanned.authenticate(PASSWORD).unwrap().attributes.error_code, Some(420));
}

#[test]
fn integrity_is_required_once_and_covers_what_is_believed() {
    let priority: (u16, &[u8]) = (Priority::CODEPOINT, &[0, 0, 0, 5]);
    let mut bare = header(1);
    push(&mut bare, Priority::CODEPOINT, priority.1);
    assert_eq!(read(&bare, PASSWORD), Err(StunError::NoIntegrity));

    // Attributes behind it are ignored, even those that nobody knows.
    let mut appended = message(1, &[priority]);
    push(&mut appended, UseCandidate::CODEPOINT, &[]);
    push(&mut appended, 0x7777, &[1, 2, 3]);
    let attributes = Attributes { priority: Some(5), ..Attributes::default() };
    assert_eq!(read(&appended, PASSWORD), Ok(Authenticated { attributes, unknown: vec![] }));

    // A second one, and a username behind it, change nothing or are refused.
    let mut twice = message(1, &[priority]);
    push(&mut twice, MessageIntegrity::CODEPOINT, &[0; 20]);
    assert_eq!(read(&twice, PASSWORD), Err(StunError::Misplaced));
    let mut username_behind = message(1, &[priority]);
    push(&mut username_behind, Username::CODEPOINT, b"a:b");
    assert_eq!(Scanned::scan(&username_behind).unwrap().username, None);
    let mut short = header(1);
    push(&mut short, MessageIntegrity::CODEPOINT, &[0; 16]);
    assert_eq!(read(&short, PASSWORD), Err(StunError::Attribute));
}

#[test]
fn fingerprint_is_last_single_and_true() {
    let mut datagram = request(false);
    let len = datagram.len();
    datagram[len - 1] ^= 1;
    assert_eq!(read(&datagram, PASSWORD), Err(StunError::Undecodable));
    datagram[len - 1] ^= 1;
    push(&mut datagram, Fingerprint::CODEPOINT, &[0; 4]);
    assert_eq!(read(&datagram, PASSWORD), Err(StunError::Misplaced));
    let mut early = header(1);
    push(&mut early, Fingerprint::CODEPOINT, &[0; 4]);
    assert_eq!(read(&seal_by_hand(early), PASSWORD), Err(StunError::Misplaced));
    // It may be absent.
    assert!(read(&message(1, &[]), PASSWORD).is_ok());
}

/// RFC 8489 §6.3.1: comprehension-required attributes that are not understood are listed, within bounds.
#[test]
fn unknown_attributes_are_listed() {
    let unknown: Vec<(u16, &[u8])> =
        [0x7000, 0x8022, 0x7001].into_iter().map(|kind| (kind, &b"abc"[..])).collect();
    assert_eq!(read(&message(1, &unknown), PASSWORD).unwrap().unknown, [0x7000, 0x7001]);
    let many: Vec<(u16, &[u8])> = (0x7000..0x7014).map(|kind| (kind, &b""[..])).collect();
    assert_eq!(read(&message(1, &many), PASSWORD).unwrap().unknown.len(), MAX_UNKNOWN);
}

#[test]
fn only_the_first_of_repeated_attributes_counts() {
    let datagram = message(
        1,
        &[
            (Priority::CODEPOINT, &[0, 0, 0, 1]),
            (Priority::CODEPOINT, &[0, 0, 0, 2]),
            (6, b"a:b"),
            (6, b"c:d"),
        ],
    );
    assert_eq!(read(&datagram, PASSWORD).unwrap().attributes.priority, Some(1));
    assert_eq!(local_ufrag(&datagram), Some("a"));
}

#[test]
fn bounds_of_the_scan() {
    let many: Vec<(u16, &[u8])> = std::iter::repeat_n((0x8022, &b""[..]), 31).collect();
    assert!(read(&message(1, &many), PASSWORD).is_ok());
    let more: Vec<(u16, &[u8])> = std::iter::repeat_n((0x8022, &b""[..]), 32).collect();
    assert_eq!(read(&message(1, &more), PASSWORD), Err(StunError::TooManyAttributes));
    let big = message(1, &[(0x8022, &[0; 1500 - 20 - 24 - 4])]);
    assert_eq!(big.len(), 1500);
    assert!(read(&big, PASSWORD).is_ok());
    let bigger = message(1, &[(0x8022, &[0; 1500 - 20 - 24])]);
    assert_eq!(Scanned::scan(&bigger).unwrap_err(), StunError::Size { len: 1504 });
}

#[test]
fn header_must_fit_exactly() {
    let good = message(1, &[(Priority::CODEPOINT, &[0, 0, 0, 1])]);
    let broken = |change: fn(&mut Vec<u8>)| {
        let mut datagram = good.clone();
        change(&mut datagram);
        Scanned::scan(&datagram).map(|scanned| scanned.class).unwrap_err()
    };
    assert_eq!(broken(|datagram| datagram.truncate(19)), StunError::Size { len: 19 });
    assert_eq!(broken(|datagram| datagram[0] = 0x40), StunError::Header);
    assert_eq!(broken(|datagram| datagram[4] = 0), StunError::Header);
    assert_eq!(broken(|datagram| datagram[3] -= 4), StunError::Header);
    assert_eq!(broken(|datagram| datagram.push(0)), StunError::Header);
    assert_eq!(broken(|datagram| datagram[1] = 3), StunError::Method);
    assert_eq!(broken(|datagram| datagram[23] = 0xff), StunError::Attribute);
    let names: [(u16, Class); 4] = [
        (0x0001, Class::Request),
        (0x0011, Class::Indication),
        (0x0101, Class::Success),
        (0x0111, Class::Error),
    ];
    for (kind, class) in names {
        assert_eq!(Scanned::scan(&message(kind, &[])).unwrap().class, class);
    }
}

#[test]
fn ill_formed_values_do_not_decode() {
    for attribute in [
        (Priority::CODEPOINT, &b"abc"[..]),
        (Priority::CODEPOINT, b"abcde"),
        (UseCandidate::CODEPOINT, b"x"),
        (IceControlled::CODEPOINT, b"1234567"),
        (XorMappedAddress::CODEPOINT, &[0, 3, 0, 0, 1, 2, 3, 4]),
        (XorMappedAddress::CODEPOINT, &[0, 2, 0, 0, 1, 2, 3, 4]),
        (ErrorCode::CODEPOINT, &[0, 0, 7, 0]),
    ] {
        assert_eq!(read(&message(1, &[attribute]), PASSWORD), Err(StunError::Undecodable), "{attribute:?}");
    }
    assert_eq!(read(&message(1, &[(6, b"\xff\xfe")]), PASSWORD), Err(StunError::Attribute));
}

#[test]
fn every_truncation_is_an_error() {
    let all = [sample_request(), request(true), message(1, &[(0x7777, b"abcde"), (6, b"a:b")])];
    for whole in all {
        assert!(read(&whole, PASSWORD).is_ok());
        for len in 0..whole.len() {
            assert!(read(&whole[..len], PASSWORD).is_err(), "{len}");
            assert_eq!(local_ufrag(&whole[..len]), None);
            // The same with a length field that fits.
            let mut adjusted = whole[..len].to_vec();
            if len >= HEADER_LEN && len % 4 == 0 {
                set_len(&mut adjusted, 0);
                // Without the fingerprint a message is whole.
                let is_whole = len == whole.len() - 8 && whole[len] == 0x80;
                assert_eq!(read(&adjusted, PASSWORD).is_ok(), is_whole, "{len}");
            }
        }
    }
}

proptest! {
    #[test]
    fn requests_round_trip(
        transaction_id: [u8; 12], priority: u32, tie_breaker: u64, use_candidate: bool, is_controlling: bool,
        remote_ufrag in "[A-Za-z0-9+/]{4,256}", local_ufrag in "[A-Za-z0-9+/]{4,32}", password in "[A-Za-z0-9+/]{22,256}",
    ) {
        let role = if is_controlling { Role::Controlling } else { Role::Controlled };
        let request = Request {
            transaction_id, remote_ufrag: &remote_ufrag, local_ufrag: &local_ufrag, priority, role, tie_breaker,
            use_candidate,
        };
        let mut buffer = BytesMut::new();
        prop_assert!(request.write(&password, &mut buffer));
        let scanned = Scanned::scan(&buffer).unwrap();
        prop_assert_eq!(scanned.transaction_id, transaction_id);
        prop_assert_eq!(scanned.username, Some(&*format!("{remote_ufrag}:{local_ufrag}")));
        let attributes = Attributes {
            priority: Some(priority),
            use_candidate,
            controlling: is_controlling.then_some(tie_breaker),
            controlled: (!is_controlling).then_some(tie_breaker),
            ..Attributes::default()
        };
        prop_assert_eq!(scanned.authenticate(&password), Ok(Authenticated { attributes, unknown: vec![] }));
    }

    #[test]
    fn success_responses_round_trip(transaction_id: [u8; 12], mapped: SocketAddr) {
        let mapped = SocketAddr::new(mapped.ip(), mapped.port());
        let mut buffer = BytesMut::new();
        prop_assert!(write_success(transaction_id, mapped, PASSWORD, &mut buffer));
        let authenticated = read(&buffer, PASSWORD).unwrap();
        prop_assert_eq!(authenticated.attributes.mapped_address, Some(mapped));
    }

    /// Any flipped bit before the fingerprint is noticed by integrity or structure.
    #[test]
    fn any_flipped_bit_is_noticed(bit in 0..(request(true).len() - 8) * 8) {
        let mut datagram = request(true);
        datagram[bit / 8] ^= 1 << (bit % 8);
        prop_assert!(read(&datagram, PASSWORD).is_err());
    }

    /// The peer itself is hostile: any attributes at all, well sealed.
    #[test]
    fn authentic_rubbish_never_panics(
        kind in prop_oneof![Just(0x0001_u16), Just(0x0101), Just(0x0111)],
        attributes in proptest::collection::vec(
            (prop_oneof![
                proptest::sample::select(&COMPREHENDED[..]), proptest::sample::select(&[0x8029_u16, 0x802a, 0x8028][..]),
                any::<u16>(),
            ], proptest::collection::vec(any::<u8>(), 0..24)),
            0..12,
        ),
        is_controlling: bool,
    ) {
        let now = std::time::Instant::now();
        let keys = [1, 2].map(|seed| crate::Agent::new(crate::Config::default(), [seed; 32], now).local_credentials().clone());
        let [to, from] = if is_controlling { [&keys[0], &keys[1]] } else { [&keys[1], &keys[0]] };
        let mut bytes = header(kind);
        push(&mut bytes, Username::CODEPOINT, format!("{}:{}", to.ufrag, from.ufrag).as_bytes());
        attributes.iter().for_each(|(kind, value)| push(&mut bytes, *kind, value));
        crate::fuzzing::stun_message(&seal_with(bytes, &to.password));
    }

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut datagram = header(1);
        datagram.extend(bytes);
        set_len(&mut datagram, 0);
        _ = read(&datagram, PASSWORD);
        _ = read(&seal_by_hand(datagram), PASSWORD);
    }
}
