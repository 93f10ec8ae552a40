//! What descriptions say, and what of the peer's is understood.

use super::descriptions::offer;
use super::support::{end, gathered, line, negotiate_with, offerer, peer, soon, trickle, with_lines};
use straits::{DataChannelInit, ErrorName, PeerConnection, SessionDescription, SignalingState};

#[tokio::test]
async fn sdp_01_02_03_what_an_offer_says() {
    let (a, b) = (offerer(), peer());
    let offer = a.create_offer().await.unwrap();
    b.set_remote_description(offer.clone()).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    for sdp in [&offer.sdp, &answer.sdp] {
        let lines: Vec<&str> = sdp.split("\r\n").collect();
        assert_eq!((lines[0], lines.last()), ("v=0", Some(&"")));
        let origin: Vec<&str> = lines[1].split(' ').collect();
        assert_eq!((origin[0], &origin[3..5]), ("o=-", &["IN", "IP4"][..]));
        assert!(["0.0.0.0", "127.0.0.1"].contains(&origin[5]), "{origin:?}");
        assert!(origin[1].parse::<u64>().is_ok() && origin[2].parse::<u64>().unwrap() < 1 << 62);
        assert!(lines[2].starts_with("s="));
        let sections: Vec<_> = lines.iter().filter(|line| line.starts_with("m=")).collect();
        let fields: Vec<&str> = sections[0].split(' ').collect();
        assert_eq!((sections.len(), fields[0]), (1, "m=application"));
        assert_eq!(fields[2..], ["UDP/DTLS/SCTP", "webrtc-datachannel"]);
        for attribute in ["a=sctp-port:", "a=mid:", "a=max-message-size:", "a=ice-options:"] {
            assert!(lines.iter().any(|line| line.starts_with(attribute)), "{attribute} {sdp}");
        }
        let options = lines.iter().find_map(|line| line.strip_prefix("a=ice-options:")).unwrap();
        assert!(options.split(' ').any(|option| option == "trickle"), "{options}");
    }
    end([a, b]).await;
}

#[tokio::test]
async fn sdp_05_07_bare_and_with_other_line_ends() {
    let (a, b) = (offerer(), peer());
    let mut offer = a.create_offer().await.unwrap();
    a.set_local_description(offer.clone()).await.unwrap();
    let kept = offer.sdp.lines().filter(|line| !line.starts_with("a=mid:") && !line.starts_with("a=group:"));
    offer.sdp = kept.map(|line| format!("{line}\n")).collect();
    b.set_remote_description(offer).await.unwrap();
    let answer = b.create_answer().await.unwrap();
    assert!(answer.sdp.contains("m=application"), "{}", answer.sdp);
    end([a, b]).await;
}

#[tokio::test]
async fn sdp_08_09_media_is_rejected_in_its_place() {
    let connection = peer();
    let offer = offer().await.sdp;
    let (session, data) = offer.split_at(offer.find("m=application").unwrap());
    let media = |kind: &str, mid: &str| {
        format!(
            "m={kind} 9 UDP/TLS/RTP/SAVPF 96\r\nc=IN IP4 0.0.0.0\r\na=mid:{mid}\r\na=rtpmap:96 x/90000\r\n\
             a=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\na=setup:actpass\r\na=fingerprint:sha-256 {}\r\n",
            ["AA"; 32].join(":")
        )
    };
    let mid = data.lines().find_map(|line| line.strip_prefix("a=mid:")).unwrap();
    let session = session.replace(&format!("BUNDLE {mid}"), &format!("BUNDLE a {mid} v w"));
    let sections = [&media("audio", "a"), data, &media("video", "v"), &media("whatever", "w")].concat();
    connection.set_remote_description(SessionDescription::offer(session + &sections)).await.unwrap();
    let answer = connection.create_answer().await.unwrap();
    let sections: Vec<_> = answer.sdp.lines().filter(|line| line.starts_with("m=")).collect();
    let starts = ["m=audio 0 ", "m=application 9 ", "m=video 0 ", "m=whatever 0 "];
    assert!(sections.iter().zip(starts).all(|(line, start)| line.starts_with(start)), "{sections:?}");
    assert_eq!(sections.len(), 4);
    let bundle = answer.sdp.lines().find_map(|line| line.strip_prefix("a=group:BUNDLE "));
    assert_eq!(bundle, Some(mid));
    end([connection]).await;
}

/// A section of audio with a transport of its own.
const AUDIO: &str = "m=audio 9 UDP/TLS/RTP/SAVPF 111\r\nc=IN IP4 0.0.0.0\r\na=mid:audio\r\n\
    a=rtpmap:111 opus/48000/2\r\na=setup:actpass\r\na=ice-ufrag:abcd\r\na=ice-pwd:abcdefghijklmnopqrstuv\r\n\
    a=fingerprint:sha-256 AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA:AA\r\n";

/// As JSON a description has a type, and one that there is; in Rust there is no other.
#[test]
fn srd_01_the_type_of_a_description() {
    let read = |json: &str| serde_json::from_str::<SessionDescription>(json);
    for kind in ["offer", "pranswer", "answer", "rollback"] {
        assert_eq!(read(&format!(r#"{{"type":"{kind}"}}"#)).unwrap().kind.as_str(), kind);
    }
    for wrong in [r#"{"type":"other","sdp":""}"#, r#"{"type":"Offer","sdp":""}"#, r#"{"type":null}"#, "{}"] {
        assert!(read(wrong).is_err(), "{wrong}");
    }
}

#[tokio::test]
async fn sdp_04_characters_that_credentials_do_not_have() {
    for start in ["a=ice-ufrag:", "a=ice-pwd:"] {
        for wrong in ['-', '_', '=', ' ', '\u{e9}'] {
            let falsify = |description| {
                with_lines(description, start, |own| {
                    Some(format!("{start}{}{wrong}{}", &own[..2], &own[2..]))
                })
            };
            let (a, b) = (offerer(), peer());
            let offer = a.create_offer().await.unwrap();
            let error = b.set_remote_description(falsify(offer.clone())).await.unwrap_err();
            assert_eq!(error.name(), ErrorName::InvalidAccessError, "{start} {wrong} {error}");
            a.set_local_description(offer.clone()).await.unwrap();
            b.set_remote_description(offer).await.unwrap();
            let answer = b.create_answer().await.unwrap();
            let error = a.set_remote_description(falsify(answer)).await.unwrap_err();
            assert_eq!(error.name(), ErrorName::InvalidAccessError, "{start} {wrong} {error}");
            assert_eq!(a.signaling_state(), SignalingState::HaveLocalOffer);
            end([a, b]).await;
        }
    }
}

/// The data section says nothing of a transport: it is that of the audio section, which is refused and lends it all
/// the same.
#[tokio::test]
async fn sdp_06_a_bundled_section_without_a_transport() {
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel("", DataChannelInit::default()).unwrap();
    trickle(&b, &a);
    let offer = a.create_offer().await.unwrap();
    a.set_local_description(offer.clone()).await.unwrap();
    let (session, data) = offer.sdp.split_at(offer.sdp.find("m=").unwrap());
    let of_transport = ["a=ice-ufrag:", "a=ice-pwd:", "a=fingerprint:", "a=setup:"];
    let is_of_transport = |line: &&str| of_transport.iter().any(|start| line.starts_with(start));
    let (transport, bare): (Vec<&str>, Vec<&str>) = data.lines().partition(is_of_transport);
    let lines = |lines: Vec<&str>| lines.into_iter().map(|line| format!("{line}\r\n")).collect::<String>();
    let audio = AUDIO.lines().filter(|line| !is_of_transport(line)).chain(transport).collect();
    let bare = lines(bare).replace("m=application 9", "m=application 0") + "a=bundle-only\r\n";
    let session = session.replace("BUNDLE 0", "BUNDLE audio 0");
    b.set_remote_description(SessionDescription::offer(session + &lines(audio) + &bare)).await.unwrap();
    b.set_local_description_implicitly().await.unwrap();
    let answer = b.local_description().unwrap().sdp;
    assert!(answer.contains("m=audio 0 ") && answer.contains("m=application 9 "), "{answer}");
    a.set_remote_description(without_section(&answer, "audio", SessionDescription::answer)).await.unwrap();
    soon("it to open", channel.opened()).await.unwrap();
    end([a, b]).await;
}

/// The description without the section of this mid.
fn without_section(
    sdp: &str,
    mid: &str,
    of: impl FnOnce(String) -> SessionDescription,
) -> SessionDescription {
    let mut parts = sdp.split("m=");
    let session = parts.next().unwrap().to_owned();
    let kept = parts.filter(|part| !part.contains(&format!("a=mid:{mid}\r\n")));
    of(kept.fold(session, |text, part| text + "m=" + part))
}

/// Offers of two connections in one, taken by two: each answers one section, and refuses the other without harm.
#[tokio::test]
async fn sdp_10_an_offer_split_between_two() {
    let offerers = [peer(), peer()];
    let answerers = [peer(), peer()];
    let init = DataChannelInit::default;
    let channels =
        [0, 1].map(|index: usize| offerers[index].create_data_channel(index.to_string(), init()).unwrap());
    let mut sections = Vec::new();
    let mut session = String::new();
    for (index, offerer) in offerers.iter().enumerate() {
        offerer.set_local_description_implicitly().await.unwrap();
        let offer = whole(offerer).await.sdp;
        let (head, data) = offer.split_at(offer.find("m=").unwrap());
        session = head.replace("a=group:BUNDLE 0\r\n", "");
        sections.push(data.replace("a=mid:0\r\n", &format!("a=mid:{index}\r\n")));
    }
    for (index, answerer) in answerers.iter().enumerate() {
        let other = format!("a=mid:{}\r\n", 1 - index);
        let text = sections.iter().fold(session.clone(), |text, section| {
            let refused = section.contains(&other);
            let fields = section.splitn(3, ' ').nth(2).unwrap();
            text + &if refused { format!("m=application 0 {fields}") } else { section.clone() }
        });
        answerer.set_remote_description(SessionDescription::offer(text)).await.unwrap();
        answerer.set_local_description_implicitly().await.unwrap();
        let answer = whole(answerer).await.sdp;
        let ports: Vec<&str> = answer.lines().filter(|line| line.starts_with("m=")).collect();
        let is_refused = |section: &str| section.starts_with("m=application 0 ");
        assert!(!is_refused(ports[index]) && is_refused(ports[1 - index]), "{answer}");
        let answer = answer.replace(&format!("BUNDLE {index}"), "BUNDLE 0");
        let own = without_section(&answer, &(1 - index).to_string(), SessionDescription::answer);
        let own = with_lines(own, "a=mid:", |_| Some("a=mid:0".into()));
        offerers[index].set_remote_description(own).await.unwrap();
    }
    for (index, channel) in channels.iter().enumerate() {
        soon("it to open", channel.opened()).await.unwrap();
        let other = soon("the channel", answerers[index].accept_channel()).await.unwrap();
        assert_eq!(other.label(), index.to_string());
    }
    end(offerers).await;
    end(answerers).await;
}

/// The local description once it has all its candidates.
async fn whole(connection: &PeerConnection) -> SessionDescription {
    gathered(connection).await;
    connection.local_description().unwrap()
}

/// Each exchange counts, for what may be sent and for what the getter says.
#[tokio::test]
async fn sct_11_the_message_size_follows_negotiation() {
    let (a, b) = (offerer(), peer());
    for (said, expected) in [("1", Some(1)), ("2", Some(2)), ("0", None), ("1", Some(1))] {
        negotiate_with(&a, &b, |answer| {
            assert!(line(&answer, "a=max-message-size:").is_some());
            with_lines(answer, "a=max-message-size:", |_| Some(format!("a=max-message-size:{said}")))
        })
        .await;
        assert_eq!(a.max_message_size(), expected);
    }
    end([a, b]).await;
}
