//! Attacks with data channels: resets, floods of channels, late messages for the next channel of a stream, protocols.

use super::raw_channels::*;
use super::raw_sctp::*;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use straits_sctp::{ChannelEvent, ChannelInit, ChannelState, Config, MessageKind, Role, State};

/// Requests of every kind with every number and TSN, in between data: few answers, and what was not reset is not
/// disturbed.
#[test]
fn attack_24_reset_fuzz_leaves_the_rest_alone() {
    for seed in 0..40 {
        let mut random = ChaCha12Rng::seed_from_u64(seed);
        let mut raw = RawChannels::client();
        let kept = raw.opens(1);
        raw.opens(3);
        let base = raw.peer.tsn;
        let mut said = 0;
        for _ in 0..60 {
            let near = |random: &mut ChaCha12Rng, base: u32| match random.random_range(0..4) {
                0 => random.random(),
                _ => base.wrapping_add(random.random_range(0..6)).wrapping_sub(3),
            };
            let streams: Vec<u16> =
                (0..random.random_range(1..4)).map(|_| 3 + 2 * random.random_range(0..30)).collect();
            let engine = raw.peer.engine_tsn;
            let mut parameters = Vec::new();
            for _ in 0..random.random_range(1..3) {
                parameters.push(match random.random_range(0..6) {
                    0 | 1 => {
                        let last = near(&mut random, base);
                        // Nothing that waits for data to come, which would hold up the resets behind it.
                        let last = if last.wrapping_sub(base).cast_signed() >= 0 {
                            base.wrapping_sub(1)
                        } else {
                            last
                        };
                        outgoing_reset(near(&mut random, 1000), near(&mut random, engine), last, &streams)
                    }
                    2 => tlv(
                        14,
                        &[
                            &near(&mut random, 1000).to_be_bytes()[..],
                            &streams.iter().flat_map(|id| id.to_be_bytes()).collect::<Vec<_>>(),
                        ]
                        .concat(),
                    ),
                    3 => tlv(17, &[&near(&mut random, 1000).to_be_bytes()[..], &[0, 1, 0, 0]].concat()),
                    4 => reconfig_response(near(&mut random, engine), random.random_range(0..8)),
                    _ => tlv(18, &[&near(&mut random, 1000).to_be_bytes()[..], &[0, 1, 0, 0]].concat()),
                });
            }
            raw.peer.send(&[reconfig(&parameters)]);
            let replies = raw.peer.replies();
            let answers = replies.iter().filter(|packet| packet.find(RE_CONFIG).is_some()).count();
            assert!(answers <= 2, "{answers} packets for one");
            if raw.peer.engine.association().state() != State::Established {
                break;
            }
            let chunk = raw.message(1, STRING, b"undisturbed");
            raw.peer.send(&[chunk]);
            said += raw.user_reads(kept).len();
            raw.peer.replies();
        }
        // RFC 6525: what is against its rules may end the association, but nothing is lost or changed before.
        if raw.peer.engine.association().state() == State::Established {
            assert_eq!((said, raw.state(kept)), (60, ChannelState::Open), "seed {seed}");
        }
    }
}

/// A storm of requests to reset what there is and what there is not: one event, one request of ours, no queue.
#[test]
fn attack_24_reset_storms_are_idempotent() {
    let mut raw = RawChannels::client();
    let id = raw.opens(1);
    let request = raw.reset_request(&[1]);
    let mut answers = 0;
    for _ in 0..1000 {
        raw.peer.send(std::slice::from_ref(&request));
        answers += raw
            .peer
            .replies()
            .iter()
            .flat_map(|packet| &packet.chunks)
            .filter(|chunk| chunk.kind == RE_CONFIG)
            .count();
    }
    assert!(answers <= 2001, "{answers}");
    let events = raw.events();
    assert_eq!(events.iter().filter(|event| **event == ChannelEvent::Closing(id)).count(), 1, "{events:?}");
    // Requests of which the numbers run ahead are refused and open nothing.
    for number in 2..500_u32 {
        let chunk = reconfig(&[outgoing_reset(number * 1000, 0, raw.peer.tsn - 1, &[3, 5, 7])]);
        raw.peer.send(&[chunk]);
    }
    assert!(raw.peer.replies().len() <= 64);
    let association = raw.peer.engine.association();
    assert_eq!((association.state(), association.stats().local_rwnd), (State::Established, 4 << 20));
}

/// A reset that waits for data which never comes is no second buffer: what is behind it counts against the window.
#[test]
fn attack_24_deferred_resets_hold_no_uncounted_data() {
    let mut raw = RawChannels::established(Config::default().receive_window(50_000), Role::Client);
    raw.opens(1);
    let base = raw.peer.tsn;
    let number = 1000;
    // Up to a TSN that is left out.
    let chunk = reconfig(&[outgoing_reset(number, 0, base, &[1])]);
    raw.peer.send(&[chunk]);
    for n in 1..2000_u32 {
        let chunk = data(base + n, WHOLE, 1, u16::try_from(n).unwrap(), &[7; 1000]);
        raw.peer.send(&[chunk]);
        raw.peer.replies();
    }
    let stats = raw.peer.engine.association().stats();
    let held = 50_000 - stats.local_rwnd;
    let refused = stats.drops.buffer_full + stats.drops.beyond_tsn_distance;
    assert!(held > 40_000 && refused > 1900, "{stats:?}");
}

/// More channels than there may be, with names as long as there are: those beyond are closed at once, and counted.
#[test]
fn attack_25_channel_floods_are_bounded() {
    let mut raw = RawChannels::established(Config::default().max_opens_per_second(u32::MAX), Role::Client);
    for n in 0..3000_u16 {
        raw.say(2 * n + 1, DCEP, &plain_open());
        raw.heard.clear();
        raw.asked.clear();
        raw.events();
    }
    let stats = raw.peer.engine.stats();
    assert_eq!((stats.incoming_channels, stats.refused_channel_count), (1024, 3000 - 1024));

    let mut raw = RawChannels::client();
    let name = [b'n'; 30_000];
    for n in 0..60 {
        raw.say(2 * n + 1, DCEP, &open_message(0, 256, 0, &name, &name));
        raw.heard.clear();
    }
    let stats = raw.peer.engine.stats();
    assert_eq!((stats.incoming_channels, stats.incoming_name_bytes), (17, 17 * 60_000));
    assert_eq!(stats.refused_name_bytes, 60 - 17);

    // A thousand a second; opening and closing again does not help.
    let mut raw = RawChannels::client();
    for n in 0..1500_u16 {
        raw.say(2 * n + 1, DCEP, &open_message(0, 256, 0, b"", b""));
        raw.heard.clear();
        raw.asked.clear();
        raw.events();
    }
    let stats = raw.peer.engine.stats();
    assert_eq!((stats.incoming_channels, stats.refused_open_rate), (1000, 500));
}

/// Data on streams without a channel is kept for two seconds and 64 KiB a stream, 1 MiB in all.
#[test]
fn attack_25_data_before_its_channel_is_bounded() {
    let mut raw = RawChannels::client();
    for n in 0..200_u16 {
        for _ in 0..10 {
            raw.say(2 * n + 1, BINARY, &[1; 8000]);
        }
        raw.heard.clear();
        assert!(raw.peer.engine.stats().early_bytes <= 1 << 20);
    }
    assert!(raw.peer.engine.stats().refused_early_bytes > 0);
    raw.run_for(secs(3));
    assert_eq!(raw.peer.engine.stats().early_bytes, 0);
    assert!(raw.events().is_empty(), "no channel came of it");
}

/// Channel messages that are late, repeated, of the wrong parity or for a stream whose channel is gone do nothing to the next
/// channel there.
#[test]
fn attack_26_late_channel_messages_miss_the_next_channel() {
    let mut raw = RawChannels::client();
    let first = raw.opens(1);
    let late_open = raw.message(1, DCEP, &plain_open());
    let late_data = raw.message(1, STRING, b"late");
    raw.deliver(&[late_open.clone(), late_data.clone()]);
    raw.close_both(1);
    assert_eq!(raw.state(first), ChannelState::Closed);
    raw.events();
    raw.heard.clear();
    let second = raw.opens(1);
    assert_ne!(first, second);
    // The old packets again, and the reset again.
    raw.deliver(&[late_open, late_data]);
    let number = 1000;
    let repeated = reconfig(&[outgoing_reset(number, 0, raw.peer.tsn - 3, &[1])]);
    raw.deliver(&[repeated]);
    // An ACK that nobody waits for.
    raw.say(1, DCEP, &ACK);
    assert_eq!((raw.state(second), raw.user_reads(second)), (ChannelState::Open, vec![]));
    raw.say(1, STRING, b"new");
    assert_eq!(raw.user_reads(second), [(MessageKind::Text, bytes::Bytes::from("new"))]);
}

/// RFC 8832 §6: the peer opens on its parity only, and never over a channel that is there.
#[test]
fn attack_26_streams_of_our_parity_cannot_be_taken() {
    let mut raw = RawChannels::client();
    let (own, stream) = raw.user_opens_answered(ChannelInit::default());
    assert_eq!(stream, 0);
    raw.say(0, DCEP, &open_message(0, 256, 0, b"hijacked", b""));
    raw.say(2, DCEP, &open_message(0, 256, 0, b"of our parity", b""));
    let events = raw.events();
    assert!(!events.iter().any(|event| matches!(event, ChannelEvent::Incoming(_))), "{events:?}");
    assert_eq!(raw.channel(own).init().label, "");
    assert!(raw.peer.engine.stats().violations >= 1);
    // A stream id is ours again only when both directions were reset.
    let mut raw = RawChannels::client();
    let (own, _) = raw.user_opens_answered(ChannelInit::default());
    raw.user_closes(own);
    raw.answers(PERFORMED);
    let next = raw.user_opens(ChannelInit::default());
    assert_eq!(raw.channel(next).stream_id(), Some(2), "the peer has not reset stream 0");
}

/// Control messages that are none, data with a protocol that is none, messages in parts that the old rules had: the
/// channel closes, and nothing is put together without a bound.
#[test]
fn attack_27_payload_protocols_cannot_be_abused() {
    for (protocol, payload) in [
        (DCEP, &b"user data"[..]),
        (DCEP, &[0xff; 100]),
        (DCEP, &plain_open()[..5]),
        (BINARY_PARTIAL, b"part"),
        (STRING_PARTIAL, b"part"),
        (0, b"none"),
        (46, b"WebRTC has no such"),
        (u32::MAX, b"all bits"),
    ] {
        let mut raw = RawChannels::client();
        let [id, witness] = [1, 3].map(|stream| raw.opens(stream));
        raw.say(1, protocol, payload);
        assert_ne!(raw.state(id), ChannelState::Open, "{protocol}");
        assert_eq!(raw.user_reads(id), [], "{protocol}");
        assert_eq!(raw.state(witness), ChannelState::Open, "{protocol}");
        assert!(raw.peer.engine.stats().violations >= 1);
    }
    // Parts without end.
    let mut raw = RawChannels::client();
    raw.opens(1);
    let window = raw.peer.engine.association().stats().local_rwnd;
    for _ in 0..2000 {
        let chunk = raw.message(1, BINARY_PARTIAL, &[7; 1000]);
        raw.peer.send(&[chunk]);
        raw.peer.replies();
    }
    let left = raw.peer.engine.association().stats().local_rwnd;
    assert!(window - left < 10_000, "{}", window - left);
    // A message over the limit that is announced.
    let mut raw = RawChannels::established(Config::default().max_receive_message_size(10_000), Role::Client);
    let id = raw.opens(1);
    raw.say(1, BINARY, &[7; 20_000]);
    raw.events();
    assert_eq!(raw.user_reads(id), []);
    assert_ne!(raw.state(id), ChannelState::Open);
    assert_eq!(raw.peer.engine.association().stats().drops.oversized_messages, 1);
}
