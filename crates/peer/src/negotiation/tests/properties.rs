//! What holds for any input.

use super::*;
use proptest::prelude::*;

fn locals() -> impl Strategy<Value = LocalTransport> {
    let credentials = ("[A-Za-z0-9+/]{4,256}", "[A-Za-z0-9+/]{22,256}");
    let fingerprints = proptest::collection::vec(proptest::collection::vec(any::<u8>(), 32), 1..4);
    let candidates = proptest::collection::vec((any::<u32>(), any::<std::net::IpAddr>(), 1_u16..), 0..10);
    let numbers = (1_u16.., any::<u32>(), any::<bool>(), any::<bool>());
    (credentials, fingerprints, candidates, numbers).prop_map(
        |((ufrag, password), fingerprints, candidates, (sctp_port, size, lite, end))| LocalTransport {
            credentials: Credentials { ufrag, password },
            mode: if lite { ice::Mode::Lite } else { ice::Mode::Full },
            fingerprints: fingerprints
                .into_iter()
                .map(|value| Fingerprint { function: HashFunction::Sha256, value })
                .collect(),
            sctp_port,
            max_message_size: usize::try_from(size).unwrap(),
            wants_data: true,
            candidates: candidates
                .into_iter()
                .map(|(priority, address, port)| {
                    format!("candidate:1 1 udp {priority} {address} {port} typ host").parse().unwrap()
                })
                .collect(),
            end_of_candidates: end,
        },
    )
}

fn said(local: &LocalTransport, setup: Setup) -> RemoteTransport {
    RemoteTransport {
        credentials: local.credentials.clone(),
        mode: local.mode,
        fingerprints: local.fingerprints.clone(),
        setup,
        sctp_port: local.sctp_port,
        max_message_size: Some(local.max_message_size).filter(|size| *size != 0),
        candidates: local.candidates.clone(),
        end_of_candidates: local.end_of_candidates,
        trickle: true,
        tls_id: None,
        mid: Some("0".into()),
        mline_index: 0,
    }
}

proptest! {
    /// What one side writes the other reads, in offers and answers.
    #[test]
    fn round_trip(ours in locals(), theirs in locals(), seed in any::<u64>()) {
        let (mut a, mut b) = (Negotiation::new(seed), Negotiation::new(!seed));
        let offer = a.create_offer(&ours).unwrap();
        a.set_local(&ours, &offer).unwrap();
        let change = b.set_remote(&offer).unwrap();
        prop_assert_eq!(change.remote, Some(said(&ours, Setup::ActPass)));
        let answer = b.create_answer(&theirs).unwrap();
        b.set_local(&theirs, &answer).unwrap();
        let change = a.set_remote(&answer).unwrap();
        prop_assert_eq!(change.remote, Some(said(&theirs, Setup::Active)));
    }

    /// Any text is refused with the state unchanged, or answered.
    #[test]
    fn mutated_texts(
        cut in any::<prop::sample::Index>(),
        len in 0_usize..40,
        insert in "[ -~\r\n]{0,20}",
        audio in any::<bool>(),
    ) {
        let offer = if audio { exchange::AUDIO_VIDEO_DATA.to_owned() } else { Side::new('a').offer().sdp };
        let start = cut.index(offer.len());
        let end = (start + len).min(offer.len());
        let text = format!("{}{insert}{}", &offer[..start], &offer[end..]);
        let mut b = Side::new('b');
        match b.set_remote(SdpType::Offer, &text) {
            Ok(_) => { b.set_local(SdpType::Answer, "").unwrap(); }
            Err(_) => prop_assert_eq!(b.state(), SignalingState::Stable),
        }
    }

    /// Two sides that exchange at random, with glare, rollbacks and restarts, always come to agree again.
    #[test]
    fn random_exchanges(steps in proptest::collection::vec((any::<bool>(), 0_u8..6), 1..40)) {
        let (mut a, mut b) = (Side::new('a'), Side::new('b'));
        let mut tags = ('c'..='z').cycle();
        for (mirrored, action) in steps {
            let (x, y) = if mirrored { (&mut b, &mut a) } else { (&mut a, &mut b) };
            match action {
                0 | 1 => { exchange(x, y); }
                2 => {
                    x.negotiation.request_restart();
                    x.renew(tags.next().unwrap());
                    exchange(x, y);
                    prop_assert!(!x.negotiation.restart_wanted());
                }
                3 => {
                    x.set_local(SdpType::Offer, "").unwrap();
                    x.set_local(SdpType::Rollback, "").unwrap();
                }
                4 => {
                    // Glare: x is polite.
                    x.set_local(SdpType::Offer, "").unwrap();
                    y.set_local(SdpType::Offer, "").unwrap();
                    let offer = y.text(DescriptionKind::PendingLocal).unwrap().1;
                    x.set_remote(SdpType::Offer, &offer).unwrap();
                    x.set_local(SdpType::Answer, "").unwrap();
                    let answer = x.text(DescriptionKind::CurrentLocal).unwrap().1;
                    y.set_remote(SdpType::Answer, &answer).unwrap();
                }
                _ => {
                    y.set_local(SdpType::Offer, "").unwrap();
                    let offer = y.text(DescriptionKind::PendingLocal).unwrap().1;
                    x.set_remote(SdpType::Offer, &offer).unwrap();
                    x.set_remote(SdpType::Rollback, "").unwrap();
                    y.set_local(SdpType::Rollback, "").unwrap();
                }
            }
            prop_assert_eq!((x.state(), y.state()), (SignalingState::Stable, SignalingState::Stable));
        }
        let (ours, theirs) = exchange(&mut a, &mut b);
        let (ours, theirs) = (ours.agreement.unwrap(), theirs.agreement.unwrap());
        prop_assert_ne!(ours.dtls_role, theirs.dtls_role);
        prop_assert_ne!(ours.ice_role, theirs.ice_role);
        prop_assert!(!ours.new_association && !theirs.new_association);
        prop_assert_eq!(&a.negotiation.remote().unwrap().credentials, &b.local.credentials);
    }
}
