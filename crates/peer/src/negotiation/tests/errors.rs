//! Errors name the line and the problem.

use super::*;

fn error(text: &str) -> DescriptionError {
    let mut side = Side::new('b');
    let error = side.set_remote(SdpType::Offer, text).unwrap_err();
    assert_eq!(side.state(), SignalingState::Stable);
    assert!(side.negotiation.remote().is_none());
    error
}

fn syntax(line: usize, problem: &'static str) -> DescriptionError {
    DescriptionError::Syntax { line, problem }
}

fn unacceptable(line: usize, problem: &'static str) -> DescriptionError {
    DescriptionError::Unacceptable { line, problem }
}

#[test]
fn form() {
    let offer = Side::new('a').offer().sdp;
    let with = |start: &str, line: &str| replace_line(&offer, start, line);
    assert_eq!(error(""), syntax(1, "a description starts with `v=0`"));
    assert_eq!(error("v=1\r\n"), syntax(1, "a description starts with `v=0`"));
    assert_eq!(error("v=0\r\n"), syntax(2, "the second line must be `o=`"));
    assert_eq!(error(&with("o=", "o=- 1 1 IN IP4")), syntax(2, "`o=` has six fields"));
    assert_eq!(
        error(&with("o=", "o=- x 1 IN IP4 0.0.0.0")),
        syntax(2, "`o=` has a bad session id or version")
    );
    assert_eq!(error(&with("s=", "")), syntax(3, "the third line must be `s=`"));
    assert_eq!(error(&with("t=", "")), syntax(7, "no `t=` before the first `m=`"));
    assert_eq!(error("v=0\no=- 1 1 IN IP4 0.0.0.0\ns=-\n"), syntax(3, "no `t=`"));
    assert_eq!(error(&with("m=", "m=application")), syntax(8, "`m=` has no port"));
    assert_eq!(error(&with("m=", "m=application 70000 x y")), syntax(8, "`m=` has a bad port"));
    for spaces in [" ", "   "] {
        let line = format!("m=application 9 x{spaces}");
        assert_eq!(error(&with("m=", &line)), syntax(8, "`m=` has no format"));
    }
    assert_eq!(error(&with("c=", "c=IN IP4")), syntax(9, "`c=` has three fields"));
    assert_eq!(error(&with("c=", "b=AS")), syntax(9, "`b=` needs a type and a value"));
    assert_eq!(error(&with("c=", "t=0 0")), syntax(9, "this line may not stand in a media section"));
    assert_eq!(error(&with("c=", "v=0")), syntax(9, "this line may stand only at the top"));
    assert_eq!(error(&with("c=", "x=0")), syntax(9, "unknown line type"));
    assert_eq!(error(&with("c=", "a=:value")), syntax(9, "an attribute has no name"));
    assert_eq!(error(&with("c=", "hello")), syntax(9, "no `=` in the line"));
    assert_eq!(error(&with("c=", "hello")).to_string(), "SDP line 9: no `=` in the line");
}

#[test]
fn attributes() {
    let offer = Side::new('a').offer().sdp;
    let with = |start: &str, line: &str| error(&replace_line(&offer, start, line));
    assert_eq!(with("a=mid", "a=mid:"), syntax(14, "`a=mid` must be one word"));
    assert_eq!(with("a=mid", "a=mid:a b"), syntax(14, "`a=mid` must be one word"));
    assert_eq!(with("a=mid", "a=setup:active"), syntax(14, "this attribute may stand only once"));
    assert_eq!(with("a=setup", "a=setup:now"), syntax(13, "`a=setup` has an unknown value"));
    assert_eq!(with("a=setup", "a=setup:holdconn"), unacceptable(13, "`holdconn` is not supported"));
    assert_eq!(with("a=sctp-port", "a=sctp-port:x"), syntax(15, "bad SCTP port"));
    assert_eq!(with("a=sctp-port", "a=sctp-port:65536"), syntax(15, "bad SCTP port"));
    assert_eq!(with("a=sctp-port", "a=sctp-port:0"), unacceptable(15, "SCTP port 0 closes the association"));
    assert_eq!(with("a=max", "a=max-message-size:-1"), syntax(16, "`a=max-message-size` must be a number"));
    assert_eq!(with("a=max", "a=max-message-size"), syntax(16, "`a=max-message-size` must be a number"));
    assert_eq!(with("a=max", "a=candidate:1 1 udp"), syntax(16, "malformed candidate"));
    assert_eq!(
        with("a=max", "a=tls-id:short"),
        syntax(16, "`a=tls-id` has 20 to 255 characters of its own set")
    );
}

/// SDP-04: ufrag and password (RFC 8839 §5.4).
#[test]
fn credentials_are_checked() {
    let offer = Side::new('a').offer().sdp;
    let with = |start: &str, line: &str| error(&replace_line(&offer, start, line));
    let credentials = |line, problem| DescriptionError::InvalidCredentials { line, problem };
    let length = "an ufrag has 4 to 256 characters, a password 22 to 256";
    let character = "a character that is no ice-char";
    assert_eq!(with("a=ice-ufrag", ""), unacceptable(8, "the data section has no `a=ice-ufrag`"));
    assert_eq!(with("a=ice-pwd", ""), unacceptable(8, "the data section has no `a=ice-pwd`"));
    assert_eq!(with("a=ice-ufrag", "a=ice-ufrag:abc"), credentials(10, length));
    assert_eq!(with("a=ice-ufrag", &format!("a=ice-ufrag:{}", "a".repeat(257))), credentials(10, length));
    assert_eq!(with("a=ice-ufrag", "a=ice-ufrag:ab:c"), credentials(10, character));
    assert_eq!(with("a=ice-pwd", &format!("a=ice-pwd:{}", "a".repeat(21))), credentials(11, length));
    assert_eq!(with("a=ice-pwd", &format!("a=ice-pwd:{}é", "a".repeat(22))), credentials(11, character));
}

/// RFC 8122 §5: md5 and sha-1 are not accepted; beside others they do no harm.
#[test]
fn fingerprints_are_checked() {
    let offer = Side::new('a').offer().sdp;
    let sha1 = format!("a=fingerprint:sha-1 {}", ["AB"; 20].join(":"));
    let with = |line: &str| replace_line(&offer, "a=fingerprint", line);
    assert_eq!(error(&with("")), unacceptable(8, "the data section has no `a=fingerprint`"));
    assert_eq!(error(&with(&sha1)), unacceptable(12, "no fingerprint with sha-256, sha-384 or sha-512"));
    assert_eq!(error(&with("a=fingerprint:sha-256")), syntax(12, "malformed fingerprint"));
    let short = format!("a=fingerprint:sha-256 {}", ["AB"; 20].join(":"));
    let wrong_length = "the fingerprint has the wrong length for its hash function";
    assert_eq!(error(&with(&short)), syntax(12, wrong_length));
    let several = format!("{sha1}\r\na=fingerprint:SHA-256 {}", ["ab"; 32].join(":"));
    let remote = Side::new('b').set_remote(SdpType::Offer, &with(&several)).unwrap().remote.unwrap();
    assert_eq!(remote.fingerprints, [fingerprint(0xab)]);
}

#[test]
fn sections_must_fit() {
    let offer = Side::new('a').offer().sdp;
    let section = offer.split("m=application").nth(1).unwrap();
    let twice = format!("{offer}m=application{section}");
    assert_eq!(error(&twice), DescriptionError::DuplicateMid { line: 17 });
    let mut a = Side::new('a');
    a.set_local(SdpType::Offer, "").unwrap();
    let answer = replace_line(&Side::new('b').offer().sdp, "a=setup", "a=setup:active");
    let mut refused = |text: &str| a.set_remote(SdpType::Answer, text).unwrap_err();
    assert_eq!(
        refused(&answer.replace("a=setup:active", "a=setup:actpass")),
        unacceptable(13, "an answer cannot leave the role open")
    );
    assert_eq!(
        refused(&format!("{answer}m=audio 9 RTP/AVP 0\r\n")),
        unacceptable(17, "the answer has more sections than the offer")
    );
    assert_eq!(
        refused(answer.split("m=").next().unwrap()),
        unacceptable(7, "the answer has fewer sections than the offer")
    );
    assert_eq!(
        refused(&answer.replace("m=application", "m=audio")),
        unacceptable(8, "this must be the data section")
    );
    assert_eq!(
        refused(&answer.replace("a=mid:0", "a=mid:1")),
        unacceptable(8, "the answer has another mid here than the offer")
    );
    assert_eq!(
        refused(&answer.replace("m=application 9", "m=audio 0")),
        unacceptable(8, "the answer has another kind of section here than the offer")
    );
    assert_eq!(a.state(), SignalingState::HaveLocalOffer);
    a.set_remote(SdpType::Answer, &answer).unwrap();
}

#[test]
fn limits() {
    let offer = Side::new('a').offer().sdp;
    let long = format!("{offer}a=x:{}\r\n", "x".repeat(64 * 1024));
    assert_eq!(error(&long), DescriptionError::TooLarge { what: "bytes", max: 65536 });
    let many = format!("{offer}{}", "m=audio 0 RTP/AVP 0\r\n".repeat(100));
    assert_eq!(error(&many), DescriptionError::TooLarge { what: "media sections", max: 100 });
    assert_eq!(error(&many).to_string(), "the description has more than 100 media sections");
    let candidates = format!("{offer}{}", "a=candidate:1 1 udp 1 198.51.100.1 4000 typ host\r\n".repeat(101));
    assert_eq!(error(&candidates), DescriptionError::TooLarge { what: "candidates in a section", max: 100 });
}

/// RFC 8866 §5.13: "If an attribute is received that is not understood, it MUST be ignored by the receiver." So is what
/// sections hold that we do not use.
#[test]
fn what_does_not_concern_us_is_ignored() {
    let offer = Side::new('a').offer().sdp;
    let plain = Side::new('b').set_remote(SdpType::Offer, &offer).unwrap();
    let decorated =
        offer.replace("t=0 0\r\n", "t=0 0\r\na=ice-mismatch\r\na=extmap-allow-mixed\r\na=x:y:z=1\r\n");
    let decorated = decorated
        .replace("c=IN IP4 0.0.0.0\r\n", "c=IN IP4 0.0.0.0\r\na=sendrecv\r\na=ice-mismatch\r\na=x\r\n");
    let decorated = format!("{decorated}m=audio 9 RTP/AVP 0\r\na=candidate:nonsense\r\na=setup:never\r\n");
    let change = Side::new('b').set_remote(SdpType::Offer, &decorated).unwrap();
    assert_eq!(change, plain);
}

/// RFC 8839 §5.4, RFC 8122 §5, RFC 8842 §5: attributes of the session are those of each section that has none.
#[test]
fn session_level_attributes() {
    let mut a = Side::new('a');
    a.local.candidates.push("candidate:1 1 udp 1 198.51.100.1 4000 typ host".parse().unwrap());
    let offer = a.offer().sdp;
    let plain = Side::new('b').set_remote(SdpType::Offer, &offer).unwrap();
    let moved = ["a=ice-ufrag", "a=ice-pwd", "a=fingerprint", "a=setup"];
    let is_moved = |line: &&str| moved.iter().any(|start| line.starts_with(start));
    let (up, rest): (Vec<&str>, Vec<&str>) = offer.lines().partition(is_moved);
    let text = rest.join("\n").replace("t=0 0", &format!("t=0 0\n{}", up.join("\n")));
    assert_eq!(Side::new('b').set_remote(SdpType::Offer, &text).unwrap(), plain);
    // The section's own come first.
    let other = format!("t=0 0\r\na=ice-ufrag:zzzz\r\na=fingerprint:sha-256 {}\r\n", ["00"; 32].join(":"));
    let both = offer.replace("t=0 0\r\n", &other);
    assert_eq!(Side::new('b').set_remote(SdpType::Offer, &both).unwrap(), plain);
}
