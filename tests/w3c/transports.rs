//! DTLS and SCTP as descriptions show and settle them.

use super::support::{
    connect, end, line, negotiate, negotiate_with, offerer, peer, soon, trickle, with_lines,
};
use straits::{
    CloseReason, DataChannelInit, ErrorDetail, ErrorName, PeerConnectionState, SessionDescription, dtls,
};

/// A certificate that is not the one of the description ends both connections.
#[tokio::test]
async fn dtl_03_a_wrong_fingerprint_fails_both_sides() {
    let (a, b) = (peer(), peer());
    let channel = a.create_data_channel("", DataChannelInit::default()).unwrap();
    trickle(&a, &b);
    trickle(&b, &a);
    let falsify = |answer: SessionDescription| {
        with_lines(answer, "a=fingerprint:", |own| {
            let (kept, last) = own.split_at(own.len() - 2);
            Some(format!("a=fingerprint:{kept}{}", if last == "00" { "01" } else { "00" }))
        })
    };
    negotiate_with(&a, &b, falsify).await;
    let error = soon("a failure", a.connected()).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::OperationError, "{error}");
    assert_eq!(error.detail(), Some(ErrorDetail::FingerprintFailure));
    assert_eq!(a.close_reason(), Some(CloseReason::Dtls(dtls::CloseReason::FingerprintMismatch)));
    soon("the channel", channel.opened()).await.unwrap_err();
    soon("a failure", b.connected()).await.unwrap_err();
    let states = [&a, &b].map(|connection| connection.connection_state());
    assert_eq!(states, [PeerConnectionState::Failed; 2]);
}

#[tokio::test]
async fn dtl_05_fingerprints_of_several_functions() {
    let (a, b) = (offerer(), peer());
    trickle(&a, &b);
    trickle(&b, &a);
    let more = |answer: SessionDescription| {
        with_lines(answer, "a=fingerprint:", |own| {
            let of = |name: &str, len| format!("a=fingerprint:{name} {}", vec!["00"; len].join(":"));
            let others = [of("sha-1", 20), of("sha-384", 48), of("sha-512", 64)].join("\r\n");
            Some(format!("{others}\r\na=fingerprint:{own}"))
        })
    };
    negotiate_with(&a, &b, more).await;
    soon("to connect", a.connected()).await.unwrap();
    end([a, b]).await;
}

#[tokio::test]
async fn dtl_06_the_roles_of_the_answer() {
    for (offered, answered) in [("actpass", "active"), ("active", "passive"), ("passive", "active")] {
        let (a, b) = (offerer(), peer());
        let offer = a.create_offer().await.unwrap();
        assert_eq!(line(&offer, "a=setup:"), Some("actpass"));
        let offer = with_lines(offer, "a=setup:", |_| Some(format!("a=setup:{offered}")));
        b.set_remote_description(offer).await.unwrap();
        let answer = b.create_answer().await.unwrap();
        assert_eq!(line(&answer, "a=setup:"), Some(answered));
        end([a, b]).await;
    }
}

#[tokio::test]
async fn dtl_10_an_offer_without_a_fingerprint() {
    let (a, b) = (offerer(), peer());
    let offer = a.create_offer().await.unwrap();
    assert!(!offer.sdp.contains("a=crypto"));
    let bare = with_lines(offer, "a=fingerprint:", |_| None);
    let error = b.set_remote_description(bare).await.unwrap_err();
    assert_eq!(error.name(), ErrorName::InvalidAccessError, "{error}");
    end([a, b]).await;
}

/// What `a` may send when the answer says this.
async fn max_message_size(line: Option<&str>) -> Option<usize> {
    let (a, b) = (offerer(), peer());
    assert_eq!(a.max_message_size(), None);
    negotiate_with(&a, &b, |answer| {
        with_lines(answer, "a=max-message-size:", |_| line.map(|value| format!("a=max-message-size:{value}")))
    })
    .await;
    let size = a.max_message_size();
    end([a, b]).await;
    size
}

#[tokio::test]
async fn sct_05_06_both_sides_say_what_they_take() {
    let (a, b) = (offerer(), peer());
    negotiate(&a, &b).await;
    for description in [a.local_description().unwrap(), b.local_description().unwrap()] {
        assert!(line(&description, "a=max-message-size:").is_some(), "{}", description.sdp);
    }
    assert_eq!(a.max_message_size(), b.max_message_size());
    assert!(a.max_message_size().unwrap() > 0);
    end([a, b]).await;
}

#[tokio::test]
async fn sct_07_08_09_10_what_the_peer_takes() {
    assert_eq!(max_message_size(None).await, Some(65536));
    assert_eq!(max_message_size(Some("1")).await, Some(1));
    assert_eq!(max_message_size(Some("2")).await, Some(2));
    // We have no limit of our own, so that of the peer counts, or none.
    assert_eq!(max_message_size(Some("10000000")).await, Some(10_000_000));
    assert_eq!(max_message_size(Some("0")).await, None);
}

#[tokio::test]
async fn e2e_01_a_negotiated_channel_alone() {
    let (a, b) = (peer(), peer());
    let init = || DataChannelInit::default().negotiated(true).id(1);
    let channels = [&a, &b].map(|connection| connection.create_data_channel("", init()).unwrap());
    connect(&a, &b).await;
    for channel in &channels {
        soon("it to open", channel.opened()).await.unwrap();
    }
    soon("both to connect", async { tokio::try_join!(a.connected(), b.connected()) }).await.unwrap();
    end([a, b]).await;
}

#[test]
fn err_01_what_an_error_carries() {
    let details = [
        ErrorDetail::DataChannelFailure,
        ErrorDetail::DtlsFailure { received_alert: Some(0), sent_alert: None },
        ErrorDetail::FingerprintFailure,
        ErrorDetail::SctpFailure { cause_code: Some(12) },
        ErrorDetail::SdpSyntaxError { line: 1 },
    ];
    let names = details.map(|detail| detail.to_string());
    let expected =
        ["data-channel-failure", "dtls-failure", "fingerprint-failure", "sctp-failure", "sdp-syntax-error"];
    assert_eq!(names, expected);
}
