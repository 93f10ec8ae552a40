//! When candidates are told and taken, gathering in restarts and rollbacks, and the states of ICE.

use super::operations::settle;
use super::restart::stack::{self, Stack, implied, labelled, strangers};
use super::support::{Journal, candidates, end, gathered, line, negotiate, offerer, peer, soon};
use futures_util::future::join3;
use std::time::Duration;
use straits::{
    ErrorName, IceCandidate, IceGatheringState, PeerConnection, SessionDescription, SignalingState,
};
use straits_peer::ice::State;
use straits_peer::{DescriptionKind, Event, PeerState, SdpType};
use straits_sim::{Simulation, seed};

const SECOND: Duration = Duration::from_secs(1);

fn watch_gathering(connection: &PeerConnection, journal: &Journal) {
    let write = journal.clone();
    connection.on_ice_gathering_state_change(move |state| write.write(format!("gathering {state}")));
}

/// Candidates are first told when who awaited the description knows that it is set, and before that it has none; inside
/// the event it has.
#[tokio::test]
async fn ice_19_20_sta_14_the_first_candidate() {
    let (a, b) = (offerer(), peer());
    let journals = [&a, &b].map(|connection| {
        let journal = Journal::default();
        let (write, weak) = (journal.clone(), connection.downgrade());
        connection.on_ice_candidate(move |candidate| {
            let sdp = weak.upgrade().unwrap().local_description().unwrap().sdp;
            let text = candidate.map(|candidate| candidate.candidate).filter(|text| !text.is_empty());
            if let Some(text) = text {
                write.write(format!("candidate {}", sdp.contains(&text)));
            }
        });
        journal
    });
    let has_none = |connection: &PeerConnection| {
        line(&connection.local_description().unwrap(), "a=candidate:").is_none()
    };
    a.set_local_description_implicitly().await.unwrap();
    assert!(has_none(&a));
    journals[0].write("resolved");
    b.set_remote_description(a.local_description().unwrap()).await.unwrap();
    b.set_local_description_implicitly().await.unwrap();
    assert!(has_none(&b));
    journals[1].write("resolved");
    gathered(&a).await;
    gathered(&b).await;
    end([a, b]).await;
    for journal in journals {
        assert_eq!(journal.lines(), ["resolved", "candidate true"]);
    }
}

/// Behind what was called before it.
#[tokio::test]
async fn ice_18_a_candidate_waits_for_its_turn() {
    let (a, b) = (offerer(), peer());
    let offer = a.create_offer().await.unwrap();
    let journal = Journal::of_states(&b);
    let good = IceCandidate {
        candidate: "candidate:1 1 udp 2113937151 192.0.2.9 58041 typ host".into(),
        sdp_mid: Some("0".into()),
        ..IceCandidate::default()
    };
    let set_remote = b.set_remote_description(offer);
    let set_local = b.set_local_description_implicitly();
    let add = async {
        b.add_ice_candidate(good).await?;
        journal.write("added");
        Ok::<_, straits::Error>(())
    };
    let (remote, local, added) = soon("all", join3(set_remote, set_local, add)).await;
    remote.and(local).and(added).unwrap();
    assert_eq!(journal.lines()[..3], ["signaling have-remote-offer", "signaling stable", "added"]);
    end([a, b]).await;
}

/// An offer with its sections on transports of their own: `(mid, fragment)` of each but the data section.
fn with_media(offer: &SessionDescription, media: [(&str, &str); 2]) -> SessionDescription {
    let sdp = with_group(&offer.sdp);
    let mut sections = String::new();
    for (mid, fragment) in media {
        sections += &format!(
            "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=rtpmap:111 opus/48000/2\r\n\
             a=ice-ufrag:{fragment}\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:actpass\r\n\
             a=fingerprint:sha-256 {}\r\n",
            ["AA"; 32].join(":")
        );
    }
    SessionDescription::offer(sdp + &sections)
}

/// Without the group: each section is for itself.
fn with_group(sdp: &str) -> String {
    let kept = sdp.lines().filter(|line| !line.starts_with("a=group:"));
    kept.map(|line| format!("{line}\r\n")).collect()
}

/// Sections of the text by their mids.
fn section(sdp: &str, mid: &str) -> String {
    let mid = format!("a=mid:{mid}\r\n");
    sdp.split("m=").find(|section| section.contains(&mid)).unwrap().to_owned()
}

/// Those for media are taken, too, and shown where they belong; a fragment counts in its own section.
#[tokio::test]
async fn ice_10_16_candidates_of_several_sections() {
    let (a, b) = (offerer(), peer());
    let offer = with_media(&a.create_offer().await.unwrap(), [("audio", "aaaa"), ("video", "vvvv")]);
    b.set_remote_description(offer.clone()).await.unwrap();
    let of = |mid: &str, host: u8, fragment: Option<&str>| IceCandidate {
        candidate: format!("candidate:1 1 udp 2113937151 192.0.2.{host} 58041 typ host"),
        sdp_mid: Some(mid.into()),
        username_fragment: fragment.map(str::to_owned),
        ..IceCandidate::default()
    };
    let data = line(&offer, "a=ice-ufrag:").unwrap();
    let sections = [("0", data), ("audio", "aaaa"), ("video", "vvvv")];
    for (host, (mid, fragment)) in (1..).zip(sections) {
        b.add_ice_candidate(of(mid, host, None)).await.unwrap();
        b.add_ice_candidate(of(mid, 10 + host, Some(fragment))).await.unwrap();
    }
    for (mid, fragment) in [("0", "aaaa"), ("audio", data), ("audio", "vvvv"), ("video", "aaaa")] {
        let refused = b.add_ice_candidate(of(mid, 99, Some(fragment))).await.unwrap_err();
        assert_eq!(refused.name(), ErrorName::OperationError, "{refused}");
    }
    for (mid, _) in &sections[..2] {
        let last = IceCandidate { candidate: String::new(), ..of(mid, 0, None) };
        b.add_ice_candidate(last).await.unwrap();
    }
    let sdp = b.remote_description().unwrap().sdp;
    for (host, (mid, _)) in (1_u8..).zip(sections) {
        let section = section(&sdp, mid);
        let found: Vec<_> = section.lines().filter(|line| line.starts_with("a=candidate:")).collect();
        let expected = [host, 10 + host];
        assert_eq!(found.len(), 2, "{section}");
        for (line, host) in found.iter().zip(expected) {
            assert!(line.contains(&format!(" 192.0.2.{host} ")), "{section}");
        }
        assert_eq!(section.contains("a=end-of-candidates\r\n"), mid != "video", "{section}");
    }
    end([a, b]).await;
}

#[tokio::test]
async fn gat_07_a_restart_gathers_anew() {
    let (a, b) = (offerer(), peer());
    let journal = Journal::default();
    watch_gathering(&a, &journal);
    negotiate(&a, &b).await;
    gathered(&a).await;
    let mut found = candidates(&a);
    a.restart_ice();
    negotiate(&a, &b).await;
    let candidate = soon("a candidate of the restart", async {
        let fragment = line(&a.local_description().unwrap(), "a=ice-ufrag:").map(str::to_owned);
        loop {
            let candidate = found.recv().await.unwrap();
            if candidate.username_fragment == fragment {
                return candidate;
            }
        }
    })
    .await;
    gathered(&a).await;
    let sdp = a.local_description().unwrap().sdp;
    assert!(sdp.contains(&candidate.candidate) && sdp.contains("a=end-of-candidates\r\n"), "{sdp}");
    end([a, b]).await;
    assert_eq!(journal.lines(), ["gathering gathering", "gathering complete"].repeat(2));
}

/// What was gathered for the restart is forgotten; that all is gathered stays true, and the candidates of the
/// description that is in force again are the old ones.
#[tokio::test]
async fn gat_11_a_restart_taken_back() {
    let (a, b) = (offerer(), peer());
    negotiate(&a, &b).await;
    gathered(&a).await;
    let before = a.local_description();
    a.restart_ice();
    let journal = Journal::default();
    watch_gathering(&a, &journal);
    a.set_local_description_implicitly().await.unwrap();
    soon("the candidates of the restart", async {
        while journal.lines().len() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    a.set_local_description(SessionDescription::rollback()).await.unwrap();
    assert_eq!(a.ice_gathering_state(), IceGatheringState::Complete);
    assert_eq!(a.local_description(), before);
    settle().await;
    end([a, b]).await;
    assert_eq!(journal.lines(), ["gathering gathering", "gathering complete"]);
}

/// From complete, and from gathering: what is on its way then may still be told before.
#[tokio::test]
async fn gat_12_the_first_offer_taken_back() {
    let a = offerer();
    a.set_local_description_implicitly().await.unwrap();
    gathered(&a).await;
    let journal = Journal::default();
    watch_gathering(&a, &journal);
    a.set_local_description(SessionDescription::rollback()).await.unwrap();
    assert_eq!(a.ice_gathering_state(), IceGatheringState::New);
    assert_eq!(journal.lines(), ["gathering new"]);
    a.set_local_description_implicitly().await.unwrap();
    gathered(&a).await;
    assert_eq!(journal.lines()[1..], ["gathering gathering", "gathering complete"]);
    assert!(line(&a.local_description().unwrap(), "a=candidate:").is_some());

    let b = offerer();
    let journal = Journal::default();
    let (write, weak) = (journal.clone(), b.downgrade());
    b.on_ice_gathering_state_change(move |state| {
        write.write(format!("gathering {state}"));
        if state == IceGatheringState::Gathering {
            let connection = weak.upgrade().unwrap();
            tokio::spawn(async move {
                connection.set_local_description(SessionDescription::rollback()).await.unwrap();
            });
        }
    });
    b.set_local_description_implicitly().await.unwrap();
    soon("the rollback", async {
        while b.signaling_state() != SignalingState::Stable
            || b.ice_gathering_state() != IceGatheringState::New
        {
            tokio::task::yield_now().await;
        }
    })
    .await;
    settle().await;
    end([a, b]).await;
    let lines = journal.lines();
    let between = &lines[1..lines.len() - 1];
    assert_eq!((&lines[0][..], &lines[lines.len() - 1][..]), ("gathering gathering", "gathering new"));
    assert!(between.is_empty() || between == ["gathering complete"], "{lines:?}");
}

/// The states of ICE so far.
fn ice_states(stack: &Stack) -> Vec<State> {
    let state = |event: &Event| match event {
        Event::IceStateChanged(state) => Some(*state),
        _ => None,
    };
    stack.events.iter().filter_map(state).collect()
}

/// A second each time, in which nothing happens.
#[test]
fn sta_07_when_checking_starts() {
    let mut net = strangers(seed());
    let now = net.now();
    net.a.peer.open_channel(now, labelled("late")).unwrap();
    let offer = net.a.peer.create_offer(now).unwrap();
    net.a.peer.set_local_description(now, &offer).unwrap();
    net.a.pump(now);
    net.b.peer.set_remote_description(now, &offer).unwrap();
    net.b.peer.set_local_description(now, &implied(SdpType::Answer)).unwrap();
    net.b.pump(now);
    let candidate = net.b.events.iter().find_map(|event| match event {
        Event::IceCandidate(Some(candidate)) => Some(candidate.clone()),
        _ => None,
    });
    net.run_for(SECOND);
    assert_eq!(ice_states(&net.a), [], "no answer");
    let now = net.now();
    let answer = net.b.peer.description(DescriptionKind::CurrentLocal).unwrap();
    let bare =
        answer.sdp.lines().filter(|line| !line.contains("candidate")).map(|line| format!("{line}\r\n"));
    let bare = straits_peer::SessionDescription { sdp: bare.collect(), ..answer };
    net.a.peer.set_remote_description(now, &bare).unwrap();
    net.run_for(SECOND);
    assert_eq!((ice_states(&net.a), net.trace().len()), (vec![], 0), "no candidate");
    let now = net.now();
    net.a.peer.add_remote_candidate(now, candidate).unwrap();
    net.a.pump(now);
    assert_eq!(ice_states(&net.a), [State::Checking]);
    net.run_for(SECOND);
    assert_eq!(ice_states(&net.a), [State::Checking, State::Connected]);
}

/// Then a restart, over signalling that still works, finds it again.
#[test]
fn sta_09_10_18_the_peer_goes_away_and_is_found_again() {
    let (mut net, ours, _) = stack::connected(seed());
    net.set_blackout(true);
    net.run_for(5 * SECOND);
    let mut expected = vec![State::Checking, State::Connected, State::Disconnected];
    assert_eq!([ice_states(&net.a), ice_states(&net.b)], [expected.clone(), expected.clone()]);
    let now = net.now();
    net.a.peer.restart_ice(now);
    stack::negotiate(&mut net);
    expected.push(State::Checking);
    assert_eq!([ice_states(&net.a), ice_states(&net.b)], [expected.clone(), expected.clone()]);
    net.set_blackout(false);
    net.run_for(5 * SECOND);
    expected.push(State::Connected);
    assert_eq!([ice_states(&net.a), ice_states(&net.b)], [expected.clone(), expected]);
    let now = net.now();
    net.a.send(now, ours, "back");
    net.run_for(SECOND);
    assert_eq!(net.b.texts(), ["back"]);
    // Without a restart in time it is lost.
    net.set_blackout(true);
    net.run_for(20 * SECOND);
    assert_eq!(ice_states(&net.a).last(), Some(&State::Failed));
    assert_eq!(ice_states(&net.b).last(), Some(&State::Failed));
}

/// One candidate, with nobody there, of a peer that may have more. Another one that works follows.
#[test]
fn sta_12_a_candidate_that_cannot_be_reached() {
    let mut net = strangers(seed());
    let now = net.now();
    let ours = net.a.peer.open_channel(now, labelled("later")).unwrap();
    let mut found = Vec::new();
    stack::negotiate_with(&mut net, |description| {
        let (candidates, kept): (Vec<&str>, Vec<&str>) =
            description.sdp.lines().partition(|line| line.contains("candidate"));
        found = candidates.into_iter().map(|line| line.trim_start_matches("a=").to_owned()).collect();
        let sdp = kept.into_iter().map(|line| format!("{line}\r\n")).collect();
        straits_peer::SessionDescription { sdp, ..description }
    });
    let add = |stack: &mut Stack, now, candidate: &str| {
        let candidate = candidate.to_owned();
        let candidate =
            straits_peer::IceCandidate { candidate, sdp_mid: Some("0".into()), ..Default::default() };
        stack.peer.add_remote_candidate(now, Some(candidate)).unwrap();
        stack.pump(now);
    };
    net.set_blackout(true);
    let now = net.now();
    add(&mut net.a, now, "candidate:9 1 udp 1 198.51.100.9 9 typ host");
    net.run_for(20 * SECOND);
    assert_eq!(ice_states(&net.a), [State::Checking, State::Disconnected]);
    assert_eq!(net.a.states(), [PeerState::Connecting, PeerState::Disconnected]);
    net.set_blackout(false);
    let now = net.now();
    add(&mut net.a, now, &found[0]);
    assert_eq!(ice_states(&net.a)[2..], [State::Checking]);
    net.run_for(5 * SECOND);
    assert_eq!(ice_states(&net.a)[2..], [State::Checking, State::Connected]);
    assert!(net.a.saw(&Event::Channel(straits_peer::sctp::ChannelEvent::Open(ours))));
}
