use crate::{Candidate, CandidateAddress, CandidateError, CandidateKind, Transport};
use proptest::prelude::*;

fn parse(text: &str) -> Result<Candidate, CandidateError> {
    text.parse()
}

/// RFC 8839 §5.1, the example.
#[test]
fn from_the_rfc() {
    let text = "a=candidate:2 1 UDP 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998";
    let candidate = Candidate {
        foundation: "2".into(),
        component: 1,
        transport: Transport::Udp,
        priority: 1_694_498_815,
        address: CandidateAddress::Ip("192.0.2.3".parse().unwrap()),
        port: 45664,
        kind: CandidateKind::ServerReflexive,
        related: Some((CandidateAddress::Ip("203.0.113.141".parse().unwrap()), 8998)),
        tcp_type: None,
        ufrag: None,
        extensions: vec![],
    };
    assert_eq!(parse(text), Ok(candidate.clone()));
    assert_eq!(parse(&text[2..]), Ok(candidate.clone()));
    assert_eq!(parse(&text[12..]), Ok(candidate.clone()));
    assert_eq!(
        candidate.to_string(),
        "candidate:2 1 udp 1694498815 192.0.2.3 45664 typ srflx raddr 203.0.113.141 rport 8998"
    );
}

#[test]
fn from_browsers() {
    let mdns = parse(
        "candidate:868504852 1 udp 2113937151 a54b42b3-ade3-40c0-91b5-e63673dad27b.local 36265 typ host \
         generation 0 ufrag jJ/a network-cost 999\r\n",
    );
    let mdns = mdns.unwrap();
    assert_eq!(mdns.address, CandidateAddress::Name("a54b42b3-ade3-40c0-91b5-e63673dad27b.local".into()));
    assert_eq!(mdns.ufrag.as_deref(), Some("jJ/a"));
    let extensions =
        [("generation".to_owned(), "0".to_owned()), ("network-cost".to_owned(), "999".to_owned())].to_vec();
    assert_eq!(mdns.extensions, extensions);
    let tcp = parse("candidate:2 1 TCP 2105458943 198.51.100.1 9 typ host tcptype active").unwrap();
    assert_eq!((tcp.transport, tcp.tcp_type.as_deref()), (Transport::Other("tcp".into()), Some("active")));
    let hidden = parse("candidate:1 1 udp 1 192.0.2.3 1 typ relay raddr 0.0.0.0 rport 0").unwrap();
    assert_eq!(hidden.related, Some((CandidateAddress::Ip("0.0.0.0".parse().unwrap()), 0)));
}

#[test]
fn every_line_of_other_stacks_parses_and_survives() {
    let mut count = 0;
    for line in include_str!("data/candidates.txt").lines().filter(|line| !line.starts_with('#')) {
        let candidate = parse(line).unwrap();
        assert_eq!(parse(&candidate.to_string()), Ok(candidate), "{line}");
        count += 1;
    }
    assert_eq!(count, 58);
}

#[test]
fn the_malformed_field_is_named() {
    let field = |text: &str| match parse(text) {
        Err(CandidateError::Malformed { field }) => field,
        other => panic!("{text}: {other:?}"),
    };
    assert_eq!(field(""), "foundation");
    assert_eq!(field("candidate:"), "foundation");
    assert_eq!(field("candidate:é 1 udp 1 192.0.2.1 1 typ host"), "foundation");
    assert_eq!(field(&format!("candidate:{} 1 udp 1 192.0.2.1 1 typ host", "1".repeat(33))), "foundation");
    assert_eq!(field("candidate:1 0 udp 1 192.0.2.1 1 typ host"), "component");
    assert_eq!(field("candidate:1 257 udp 1 192.0.2.1 1 typ host"), "component");
    assert_eq!(field("candidate:1 1"), "transport");
    assert_eq!(field("candidate:1 1 udp +1 192.0.2.1 1 typ host"), "priority");
    assert_eq!(field("candidate:1 1 udp 4294967296 192.0.2.1 1 typ host"), "priority");
    assert_eq!(field("candidate:1 1 udp 1"), "address");
    assert_eq!(field("candidate:1 1 udp 1 192.0.2.1 65536 typ host"), "port");
    assert_eq!(field("candidate:1 1 udp 1 192.0.2.1 1 host"), "typ");
    assert_eq!(field("candidate:1 1 udp 1 192.0.2.1 1 typ guess"), "typ");
    assert_eq!(field("candidate:1 1 udp 1 192.0.2.1 1 typ srflx raddr 1.2.3.4"), "rport");
    assert_eq!(field("candidate:1 1 udp 1 192.0.2.1 1 typ srflx raddr 1.2.3.4 rport x"), "rport");
    assert_eq!(field("candidate:1 1 udp 1 192.0.2.1 1 typ host generation"), "extension");
    assert_eq!(field("candidate:1 1 udp 1 192.0.2.1 1 typ host\r\na=x y"), "line");
    assert_eq!(field(&format!("candidate:1 1 udp 1 {} 1 typ host", "y".repeat(257))), "address");
    assert_eq!(
        field(&format!("candidate:1 1 udp 1 192.0.2.1 1 typ host x {}", "y".repeat(257))),
        "extension"
    );
    assert_eq!(field(&format!("candidate:1 1 udp 1 192.0.2.1 1 typ host{}", " x y".repeat(33))), "extension");
}

#[test]
fn every_truncation_is_an_error_or_valid() {
    for line in include_str!("data/candidates.txt").lines().filter(|line| !line.starts_with('#')) {
        for len in 0..line.len() {
            if let Ok(candidate) = parse(&line[..len]) {
                assert!(line[..len].contains(" typ "), "{}", &line[..len]);
                assert_eq!(parse(&candidate.to_string()), Ok(candidate));
            }
        }
    }
}

#[test]
fn only_reachable_udp_addresses_are_used() {
    let usable = |middle: &str| parse(&format!("candidate:1 {middle} typ host")).unwrap().udp_address();
    assert_eq!(usable("1 udp 1 192.0.2.1 5000"), Some("192.0.2.1:5000".parse().unwrap()));
    assert_eq!(usable("1 UDP 1 2001:db8::1 5000"), Some("[2001:db8::1]:5000".parse().unwrap()));
    for refused in [
        "2 udp 1 192.0.2.1 5000",
        "1 tcp 1 192.0.2.1 5000",
        "1 udp 1 192.0.2.1 0",
        "1 udp 1 0.0.0.0 5000",
        "1 udp 1 :: 5000",
        "1 udp 1 224.0.0.251 5353",
        "1 udp 1 ff02::fb 5353",
        "1 udp 1 255.255.255.255 5000",
        "1 udp 1 ::ffff:192.0.2.1 5000",
        "1 udp 1 name.local 5000",
        "1 udp 1 fe80::1%eth0 5000",
    ] {
        assert_eq!(usable(refused), None, "{refused}");
    }
}

fn address() -> impl Strategy<Value = CandidateAddress> {
    prop_oneof![
        any::<std::net::IpAddr>().prop_map(CandidateAddress::Ip),
        "[a-f0-9-]{8}\\.local".prop_map(CandidateAddress::Name),
    ]
}

prop_compose! {
    fn candidate()(
        foundation in "[A-Za-z0-9+/]{1,32}",
        component in 1..=256_u16,
        transport in prop_oneof![Just(Transport::Udp), Just(Transport::Other("tcp".into()))],
        priority: u32,
        address in address(),
        port: u16,
        kind in prop_oneof![
            Just(CandidateKind::Host), Just(CandidateKind::ServerReflexive),
            Just(CandidateKind::PeerReflexive), Just(CandidateKind::Relayed),
        ],
        related in proptest::option::of((address(), any::<u16>())),
        tcp_type in proptest::option::of("active|passive|so"),
        ufrag in proptest::option::of("[A-Za-z0-9+/]{4,8}"),
        extensions in proptest::collection::vec(("network-[a-z]{1,8}", "[!-~]{1,12}"), 0..4),
    ) -> Candidate {
        Candidate {
            foundation, component, transport, priority, address, port, kind, related, tcp_type, ufrag, extensions,
        }
    }
}

proptest! {
    #[test]
    fn round_trip(candidate in candidate()) {
        prop_assert_eq!(parse(&candidate.to_string()), Ok(candidate));
    }

    #[test]
    fn any_text_is_an_error_or_round_trips(text in "(candidate:)?([ -~]{0,12} ){0,12}") {
        if let Ok(candidate) = parse(&text) {
            prop_assert_eq!(parse(&candidate.to_string()), Ok(candidate));
        }
    }
}
