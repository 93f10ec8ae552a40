//! Partial reliability and interleaving: what is announced, agreed on, and refused (RFC 3758, RFC 5061, RFC 8260).

use super::raw::*;
use crate::number::{Mid, Ppid, StreamId, Tsn};
use crate::wire::{self, Chunk, ForwardTsn, IData, IForwardTsn, List, Parameter, WriteChunk};
use crate::{CloseReason, Config, Reliability, State};
use bytes::Bytes;

/// Established with a peer whose INIT ACK has these parameters.
fn agreed(config: Config, parameters: &[Parameter<'_>]) -> Raw {
    let mut raw = Raw::with(config);
    raw.end.connect(raw.now);
    raw.drain();
    let parameters: Vec<_> = parameters.iter().copied().chain([Parameter::StateCookie(b"cookie")]).collect();
    raw.feed(&init_ack(PEER_TAG, &parameters));
    raw.drain();
    raw.feed(&Chunk::CookieAck);
    raw.drain();
    raw.events();
    assert_eq!(raw.end.state(), State::Established);
    raw
}

fn i_data(tsn: u32) -> IData<'static> {
    IData {
        tsn: Tsn(tsn),
        stream: StreamId(0),
        mid: Mid(0),
        fragment: wire::Fragment::First(Ppid::BINARY),
        end: true,
        unordered: true,
        immediate: false,
        payload: b"payload",
    }
}

fn forward() -> ForwardTsn<'static> {
    ForwardTsn { new_cumulative_tsn: Tsn(PEER_TSN + 5), streams: List::EMPTY }
}

fn i_forward() -> IForwardTsn<'static> {
    IForwardTsn { new_cumulative_tsn: Tsn(PEER_TSN + 5), streams: List::EMPTY }
}

/// The parameters of our INIT and INIT ACK follow the configuration.
#[test]
fn what_is_announced() {
    let cases: [(bool, bool, &[u8]); 4] = [
        (false, false, &[130]),
        (true, false, &[130, 192]),
        (false, true, &[130, 64]),
        (true, true, &[130, 192, 64, 194]),
    ];
    for (partial, interleaving, extensions) in cases {
        let config = Config::default().partial_reliability(partial).interleaving(interleaving);
        let mut raw = Raw::with(config);
        raw.end.connect(raw.now);
        raw.feed_packet(0, &[&init(PEER_TAG)]);
        let sent = raw.drain();
        assert_eq!(sent.len(), 2);
        for packet in sent {
            let (_, mut chunks) = wire::parse(&packet.bytes, false).unwrap();
            let Some(Ok(Chunk::Init(init) | Chunk::InitAck(init))) = chunks.next() else {
                panic!("{packet:?}")
            };
            let parameters: Vec<_> = init.parameters.iter().map(Result::unwrap).collect();
            assert_eq!(parameters.contains(&Parameter::ForwardTsnSupported), partial);
            assert!(parameters.contains(&Parameter::SupportedExtensions(extensions)), "{parameters:?}");
        }
    }
}

/// The INIT of a Pion that drops each packet with a parameter of which it does not know the type, off the wire. What it does
/// know is in its list of types.
#[test]
fn the_init_ack_for_a_peer_that_knows_little() {
    let init = "13881388000000001c90427c0100001a8183163400100000ffffffff0a94913f8008000682c00000";
    let init: Vec<u8> =
        (0..init.len()).step_by(2).map(|at| u8::from_str_radix(&init[at..at + 2], 16).unwrap()).collect();
    let mut raw = Raw::new();
    raw.end.connect(raw.now);
    raw.drain();
    raw.end.handle_packet(raw.now, &init);
    let sent = raw.drain();
    let (_, mut chunks) = wire::parse(&sent[0].bytes, false).unwrap();
    let Some(Ok(Chunk::InitAck(ack))) = chunks.next() else { panic!("{sent:?}") };
    let is_known = |parameter: &Parameter<'_>| {
        matches!(
            parameter,
            Parameter::ForwardTsnSupported | Parameter::SupportedExtensions(_) | Parameter::StateCookie(_)
        )
    };
    assert!(ack.parameters.iter().all(|parameter| is_known(&parameter.unwrap())), "{sent:?}");
    raw.feed(&cookie_echo(&raw.cookie.clone()));
    assert_eq!(raw.end.state(), State::Established);
}

/// What the first message leaves as, and whether it is given up after one loss.
fn used(raw: &mut Raw) -> (&'static str, bool) {
    let data = Bytes::from_static(b"once");
    raw.end.send(raw.now, StreamId(0), Ppid::BINARY, data, true, Reliability::MaxRetransmits(0)).unwrap();
    let first = raw.names().concat();
    let kind = if first == ["DATA"] {
        "DATA"
    } else {
        assert_eq!(first, ["I-DATA"]);
        "I-DATA"
    };
    while raw.end.stats().t3_expirations == 0 {
        raw.fire();
    }
    let next = raw.names().concat();
    let forwarded = next != [kind];
    let forward = if kind == "DATA" { "FORWARD-TSN" } else { "I-FORWARD-TSN" };
    assert_eq!(next, [if forwarded { forward } else { kind }]);
    (kind, forwarded)
}

/// RFC 3758 §3.3.2: the parameter says it; RFC 5061 §4.2.7: so does the list. RFC 8260 §2.2.1 and §2.3.1: both sides must
/// list the chunks.
#[test]
fn what_is_agreed_on() {
    let both = |types| vec![Parameter::ForwardTsnSupported, Parameter::SupportedExtensions(types)];
    let on = Config::default;
    for (config, parameters, expected) in [
        (on(), vec![], ("DATA", false)),
        (on(), vec![Parameter::ForwardTsnSupported], ("DATA", true)),
        (on(), vec![Parameter::SupportedExtensions(&[130, 192])], ("DATA", true)),
        (on(), both(&[130, 192]), ("DATA", true)),
        (on(), both(&[130, 192, 194]), ("DATA", true)),
        (on(), both(&[64]), ("I-DATA", false)),
        (on(), both(&[64, 194]), ("I-DATA", true)),
        (on(), vec![Parameter::SupportedExtensions(&[64, 194])], ("I-DATA", false)),
        (on().interleaving(false), both(&[64, 192, 194]), ("DATA", true)),
        (on().partial_reliability(false), both(&[64, 192, 194]), ("I-DATA", false)),
        (on().partial_reliability(false).interleaving(false), both(&[64, 192, 194]), ("DATA", false)),
    ] {
        let described = format!("{parameters:?}");
        assert_eq!(used(&mut agreed(config, &parameters)), expected, "{described}");
    }
}

/// The side that answers reads it all from the cookie.
#[test]
fn what_the_cookie_says() {
    let mut raw = Raw::new();
    let parameters = [Parameter::ForwardTsnSupported, Parameter::SupportedExtensions(&[64, 194])];
    raw.feed_packet(0, &[&init_with(PEER_TAG, &parameters)]);
    raw.drain();
    raw.feed(&cookie_echo(&raw.cookie.clone()));
    raw.drain();
    assert_eq!(used(&mut raw), ("I-DATA", true));
}

/// RFC 8260 §2.2.3, §2.3.1: the wrong kind of chunk ends the association. RFC 3758 §3.3.2: FORWARD TSN that was not agreed on
/// is reported, and counts for nothing.
#[test]
fn what_was_not_agreed_on() {
    let plain: &[Parameter<'_>] = &[];
    let interleaved: &[Parameter<'_>] =
        &[Parameter::ForwardTsnSupported, Parameter::SupportedExtensions(&[64, 192, 194])];
    let data = data(PEER_TSN);
    let cases: [(&[Parameter<'_>], &dyn WriteChunk, &str); 5] = [
        (plain, &i_data(PEER_TSN), "I-DATA in place of DATA"),
        (plain, &i_forward(), "I-FORWARD-TSN in place of FORWARD TSN"),
        (interleaved, &data, "DATA in place of I-DATA"),
        (interleaved, &forward(), "FORWARD TSN in place of I-FORWARD-TSN"),
        (&[Parameter::ForwardTsnSupported], &i_forward(), "I-FORWARD-TSN in place of FORWARD TSN"),
    ];
    for (parameters, chunk, what) in cases {
        let mut raw = agreed(Config::default(), parameters);
        raw.feed_packet(raw.tag, &[chunk]);
        assert_eq!(raw.names(), [["ABORT"]]);
        assert_eq!(raw.end.close_reason(), Some(&CloseReason::RemoteViolation(what)));
    }
    for (parameters, chunk) in
        [(plain, &forward() as &dyn WriteChunk), (&[Parameter::SupportedExtensions(&[64])], &i_forward())]
    {
        let mut raw = agreed(Config::default(), parameters);
        raw.feed_packet(raw.tag, &[chunk]);
        assert_eq!(raw.names(), [["ERROR"]]);
        assert_eq!(raw.end.state(), State::Established);
    }
}
