//! Where Straits leaves an RFC: every MUST and SHOULD that is not followed, with its reason.
//!
//! The README tells users what follows from the ones they can notice.

/// A rule and what is done instead.
struct Deviation {
    /// RFC and section.
    source: &'static str,
    /// The rule in its own words.
    rule: &'static str,
    /// What Straits does, and why.
    instead: &'static str,
}

/// Sorted by source and rule, as text.
const DEVIATIONS: &[Deviation] = &[
    Deviation {
        source: "RFC 3758 §3.3.2",
        rule: "MUST NOT send a FORWARD TSN chunk at any time during the",
        instead: "A peer without the parameter that lists FORWARD TSN among its extensions is sent it all the same: RFC 5061 \
                  §4.2.7 binds it to support what it lists, and some deployed stacks say it only there.",
    },
    Deviation {
        source: "RFC 5764 §4.1",
        rule: "This extension MUST only be used when the data being transported is RTP or RTCP",
        instead: "`use_srtp` is offered and answered though no media flow: every data-channel stack does so, and some end \
                  the session when no profile was agreed on.",
    },
    Deviation {
        source: "RFC 6525 §5.1.2",
        rule: "MUST stop assigning new SSNs to new user data provided by the upper layer for the affected streams and queue \
               it.",
        instead: "Messages for a stream that is being reset are refused with `SendError::Resetting`: a queue for them might \
                  never drain, and a data channel is over when its stream is reset.",
    },
    Deviation {
        source: "RFC 6525 §5.1.2",
        rule: "the stream numbers MUST be copied from the Incoming SSN Reset Request Parameter to the Outgoing SSN Reset \
               Request Parameter.",
        instead: "A peer that asks for all streams is answered with those that were used: the others are at 0 already.",
    },
    Deviation {
        source: "RFC 6525 §5.2.2",
        rule: "MUST be marked as acknowledged",
        instead: "The response sequence number of an incoming reset request is not read: deployed stacks put their own \
                  number there.",
    },
    Deviation {
        source: "RFC 6525 §5.2.3",
        rule: "Even in such a situation, the Incoming SSN Reset MUST be processed normally",
        instead: "Streams of our own request that is in flight are not reset a second time when the peer asks for them: by \
                  then they may carry another channel.",
    },
    Deviation {
        source: "RFC 7675 §5.1",
        rule: "Consent expires after 30 seconds.",
        instead: "It expires after 14 s: earlier than allowed harms nobody, and `failed` comes within 15 s.",
    },
    Deviation {
        source: "RFC 7675 §5.1",
        rule: "Implementations MUST NOT set the period between checks to less than 4 seconds.",
        instead: "Between two Straits peers consent is checked every 2 s, so that `disconnected` comes within 5 s of \
                  silence. Both ends have agreed to it by being what they are.",
    },
    Deviation {
        source: "RFC 8445 §6.1.1",
        rule: "In this case, no connectivity checks are ever sent.",
        instead: "Of two lite agents the offerer checks and nominates, and both run consent: without, nothing would \
                  prove the path before DTLS, and a vanished peer would go unnoticed.",
    },
    Deviation {
        source: "RFC 8831 §5",
        rule: "The initial Path MTU at the IP layer SHOULD NOT exceed 1200 bytes for IPv4 and 1280 bytes for IPv6.",
        instead: "Packets are sized for 1280 bytes on both: 1191 bytes of SCTP are at most 1256 over IPv4, which every \
                  path in use carries. `sctp::Config::max_packet_size` takes 1131 for the letter.",
    },
    Deviation {
        source: "RFC 8831 §5",
        rule: "Therefore, SCTP MUST support performing Path MTU discovery",
        instead: "Downwards only: packets are 1191 bytes of SCTP, which every path of 1280 bytes carries. On a narrower \
                  one they become smaller, and what is in flight and too large ends the association with that reason.",
    },
    Deviation {
        source: "RFC 8842 §5.2",
        rule: "the offerer MUST insert in the offer an SDP \"tls-id\" attribute with a unique attribute value",
        instead: "It is read and heeded but never written: no deployed data-channel stack needs it, and without it a \
                  changed fingerprint says the same.",
    },
    Deviation {
        source: "RFC 8842 §5.4",
        rule: "If the offerer becomes DTLS server, it MUST wait for the answerer to establish the DTLS association.",
        instead: "An answer that merely swaps the roles, with the fingerprints and the session id (`o=`) that there were, \
                  establishes nothing new, and the association goes on: Firefox answers `active` whatever it is.",
    },
    Deviation {
        source: "RFC 9260 §16",
        rule: "'RTO.Min' SHOULD be set as described above in this section.",
        instead: "RTO.Initial, Min and Max are 500 ms, 400 ms and 10 s: data-channel users notice a second, and Min stays \
                  above the 200 ms by which a peer may delay its SACK. `Config::strict` follows the text.",
    },
    Deviation {
        source: "RFC 9260 §5.2.1",
        rule: "MUST respond with an INIT ACK chunk using the same parameters it sent in its original INIT chunk (including \
               its Initiate Tag, unchanged).",
        instead: "Zero Checksum Acceptable (RFC 9653) is left out for a peer whose INIT does not have it: some deployed \
                  stacks drop a packet with a parameter that they do not know, and no association would come up.",
    },
    Deviation {
        source: "RFC 9260 §6.2",
        rule: "an acknowledgement SHOULD be generated for at least every second packet",
        instead: "Within one receive batch a SACK may stand for up to 16 packets once the peer's rate has stopped rising, \
                  never with a gap: the packets came together, and so would their SACKs leave.",
    },
    Deviation {
        source: "RFC 9260 §7.2.1",
        rule: "The initial cwnd before data transmission MUST be set to min(4 * PMDCS, max(2 * PMDCS, 4404)) bytes",
        instead: "Ten packets, as TCP does (RFC 6928) and every other data-channel stack. `Config::strict` follows the \
                  text.",
    },
    Deviation {
        source: "RFC 9260 §8.1",
        rule: "MUST be reset each time a DATA chunk sent to that peer endpoint is acknowledged",
        instead: "Not by gap blocks that report a chunk again which the peer had taken back: one that does so by turns would \
                  never be given up, and keep the send buffer for ever.",
    },
    Deviation {
        source: "RFC 9260 §8.3",
        rule: "MUST respond to a HEARTBEAT chunk with a HEARTBEAT ACK chunk",
        instead: "At most 20 are answered in a second (`Limits::heartbeat_answers_per_second`), and none that does not fit \
                  into a packet with its answer's headers: both would be work that a hostile peer has for nothing.",
    },
    Deviation {
        source: "RFC 9260 §8.4",
        rule: "The receiver SHOULD respond to the sender of the OOTB packet with an ABORT chunk.",
        instead: "Packets for a port that is not the association's are dropped silently: one DTLS session carries one \
                  association, so they are nobody's.",
    },
];

/// The table is in order, and every entry says something.
#[test]
fn deviations_are_sorted_and_complete() {
    let keys: Vec<_> = DEVIATIONS.iter().map(|deviation| (deviation.source, deviation.rule)).collect();
    // Strictly: no rule stands twice. Section numbers are compared as text.
    assert!(keys.is_sorted_by(|a, b| a < b), "the table is not sorted by source and rule");
    for deviation in DEVIATIONS {
        assert!(deviation.source.starts_with("RFC "), "{}", deviation.source);
        assert!(deviation.rule.len() > 20 && deviation.instead.ends_with('.'), "{}", deviation.rule);
    }
}

/// What users can notice stands in the README: each RFC of the table is named there.
#[test]
fn the_readme_names_every_deviation() {
    let readme = include_str!("../README.md");
    for deviation in DEVIATIONS {
        let rfc = deviation.source.split(' ').nth(1).unwrap();
        assert!(readme.contains(rfc), "the README does not mention RFC {rfc}");
    }
}
