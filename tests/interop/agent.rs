//! The interoperability agent: two processes play what an orchestrator asks of any two stacks.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

#[path = "../support/agents.rs"]
mod support;

use data_encoding::{BASE64, HEXLOWER};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use support::{Agent, Call};

fn agents() -> [Agent; 2] {
    ["offerer", "answerer"].map(Agent::start)
}

fn sha256(data: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(data))
}

fn line<'a>(sdp: &'a str, start: &str) -> &'a str {
    sdp.lines().find_map(|line| line.strip_prefix(start)).unwrap()
}

#[test]
fn a_whole_conversation() {
    let [mut a, mut b] = agents();
    let mut call = Call::create(&mut a, &mut b, "p1");
    let create = json!({"cmd": "create_channel", "pc": "p1", "ch": "c0", "label": "chat"});
    assert_eq!(call.offerer.call(create)["stream_id"], Value::Null);
    let [offer, answer] = call.negotiate(false);
    assert!(offer.contains("a=setup:actpass") && answer.contains("a=setup:active"), "{offer}{answer}");
    call.trickle();
    call.offerer.event(json!({"event": "open", "pc": "p1", "ch": "c0", "stream_id": 1}));
    call.answerer.event(json!({
        "event": "channel", "pc": "p1", "ch": "in0", "label": "chat", "protocol": "", "ordered": true,
        "max_retransmits": null, "max_packet_life_time": null, "negotiated": false, "stream_id": 1, "state": "open",
    }));
    call.answerer.event(json!({"event": "open", "pc": "p1", "ch": "in0", "stream_id": 1}));
    for agent in [&mut *call.offerer, &mut *call.answerer] {
        agent.event(json!({"event": "connection_state", "pc": "p1", "state": "connected"}));
    }

    call.offerer.call(json!({"cmd": "send", "pc": "p1", "ch": "c0", "text": "hi"}));
    let hash = "8f434346648f6b96df89dda901c5176b10a6d83961dd3c1ac88b59b2dc327aa4";
    call.answerer.event(json!({
        "event": "message", "pc": "p1", "ch": "in0", "kind": "text", "size": 2, "sha256": hash, "text": "hi",
    }));
    let data = [0, 1, 254, 255];
    call.answerer.call(json!({"cmd": "send", "pc": "p1", "ch": "in0", "base64": BASE64.encode(&data)}));
    call.offerer.event(json!({
        "event": "message", "pc": "p1", "ch": "c0", "kind": "binary", "size": 4, "sha256": sha256(&data),
        "base64": BASE64.encode(&data),
    }));
    let long = "é".repeat(128 << 10);
    call.offerer.call(json!({"cmd": "send", "pc": "p1", "ch": "c0", "text": long}));
    let message = call.answerer.event(json!({
        "event": "message", "pc": "p1", "ch": "in0", "kind": "text", "size": 256 << 10,
        "sha256": sha256(long.as_bytes()),
    }));
    assert_eq!(message.get("text"), None, "long ones are not repeated");

    call.answerer.call(json!({"cmd": "close_channel", "pc": "p1", "ch": "in0"}));
    call.offerer.event(json!({"event": "channel_closed", "pc": "p1", "ch": "c0"}));
    call.answerer.event(json!({"event": "channel_closed", "pc": "p1", "ch": "in0"}));
    a.call(json!({"cmd": "close", "pc": "p1"}));
    assert!(a.quit().success());
    assert!(b.end_input().success());
}

#[test]
fn a_fill_arrives_as_the_batch_that_was_expected() {
    let [mut a, mut b] = agents();
    let mut call = Call::create(&mut a, &mut b, "p1");
    call.connect();
    // The sum that PROTOCOL.md has for three messages of 1000 bytes and the seed 7.
    call.answerer.call(json!({"cmd": "expect", "pc": "p1", "ch": "in0", "count": 3}));
    let fill = json!({"size": 1000, "count": 3, "seed": 7});
    call.offerer.call(json!({"cmd": "send", "pc": "p1", "ch": "c0", "fill": fill}));
    let sum = "e0c8a1b15a1b59746f771d660157c744384af5e8162d5e8eaa8f173bf217432d";
    call.answerer
        .event(json!({"event": "batch", "pc": "p1", "ch": "in0", "count": 3, "bytes": 3000, "sha256": sum}));

    call.answerer.call(json!({"cmd": "expect", "pc": "p1", "ch": "in0", "count": 400}));
    let fill = json!({"size": 16384, "count": 400, "seed": 1});
    let send = json!({"cmd": "send", "pc": "p1", "ch": "c0", "fill": fill, "high": 262_144, "low": 65536});
    let reply = call.offerer.call(send);
    assert_eq!(reply["sent"], 400);
    let number = |name: &str| reply[name].as_u64().unwrap();
    assert!(number("waits") > 0 && number("buffered_low_events") >= number("waits"), "{reply}");
    assert!((262_144..=262_144 + 16384).contains(&number("max_buffered")), "{reply}");
    let batch = json!({"event": "batch", "pc": "p1", "ch": "in0", "count": 400, "bytes": 400 * 16384});
    call.answerer.event(batch);
    // What was summed up was not reported, and what comes after is.
    assert_eq!(call.answerer.rest(json!({"event": "message"})), Vec::<Value>::new());
    call.exchange("c0", "in0");
}

#[test]
fn a_fill_that_never_ends_holds_up_nothing_and_ends_with_its_channel() {
    let [mut a, mut b] = agents();
    let mut call = Call::create(&mut a, &mut b, "p1");
    call.connect();
    call.answerer.call(json!({"cmd": "expect", "pc": "p1", "ch": "in0", "count": u64::MAX}));
    let fill = json!({"size": 1000, "count": u64::MAX, "seed": 1});
    let endless = call.offerer.begin(json!({"cmd": "send", "pc": "p1", "ch": "c0", "fill": fill}));
    let waiting = call.offerer.begin(json!({"cmd": "send", "pc": "p1", "ch": "c0", "fill": fill}));
    call.offerer.call(json!({"cmd": "create_channel", "pc": "p1", "ch": "c1", "label": "beside"}));
    call.answerer.event(json!({"event": "open", "pc": "p1", "ch": "in1"}));
    call.exchange("c1", "in1");
    assert!(!call.offerer.has_replied(endless) && !call.offerer.has_replied(waiting));
    call.answerer.call(json!({"cmd": "close_channel", "pc": "p1", "ch": "in0"}));
    for req in [endless, waiting] {
        assert_eq!(call.offerer.reply(req)["ok"], false);
    }
    call.offerer.event(json!({"event": "channel_closed", "pc": "p1", "ch": "c0"}));
    call.exchange("c1", "in1");
}

#[test]
fn what_was_queued_before_a_close_arrives() {
    let [mut a, mut b] = agents();
    let mut call = Call::create(&mut a, &mut b, "p1");
    call.connect();
    call.answerer.call(json!({"cmd": "expect", "pc": "p1", "ch": "in0", "count": 128}));
    let fill = json!({"size": 16384, "count": 128, "seed": 3});
    call.offerer.call(json!({"cmd": "send", "pc": "p1", "ch": "c0", "fill": fill, "high": 64 << 20}));
    call.offerer.call(json!({"cmd": "close_channel", "pc": "p1", "ch": "c0"}));
    call.answerer.event(json!({"event": "batch", "pc": "p1", "ch": "in0", "bytes": 2 << 20}));
    call.answerer.event(json!({"event": "channel_closed", "pc": "p1", "ch": "in0"}));
}

#[test]
fn the_buffered_amount_is_reported_when_it_is_low() {
    let [mut a, mut b] = agents();
    let mut call = Call::create(&mut a, &mut b, "p1");
    call.connect();
    call.offerer.call(json!({"cmd": "set_buffered_low", "pc": "p1", "ch": "c0", "threshold": 0}));
    let text = "x".repeat(200_000);
    call.offerer.call(json!({"cmd": "send", "pc": "p1", "ch": "c0", "text": text}));
    call.offerer.event(json!({"event": "buffered_low", "pc": "p1", "ch": "c0"}));
    let info = call.offerer.call(json!({"cmd": "channel_info", "pc": "p1", "ch": "c0"}));
    assert_eq!((&info["buffered_amount"], &info["state"]), (&json!(0), &json!("open")));
}

#[test]
fn channels_have_the_settings_that_were_asked_for() {
    let [mut a, mut b] = agents();
    let mut call = Call::create(&mut a, &mut b, "p1");
    let create = json!({
        "cmd": "create_channel", "pc": "p1", "ch": "limited", "label": "чат🚀", "protocol": "прото/1",
        "ordered": false, "max_retransmits": 0,
    });
    call.offerer.call(create);
    let create =
        json!({"cmd": "create_channel", "pc": "p1", "ch": "timed", "label": "", "max_packet_life_time": 500});
    call.offerer.call(create);
    for (agent, label) in [(&mut *call.offerer, "one"), (&mut *call.answerer, "another")] {
        let create = json!({
            "cmd": "create_channel", "pc": "p1", "ch": "agreed", "label": label, "negotiated": true, "stream_id": 7,
        });
        assert_eq!(agent.call(create)["stream_id"], 7);
    }
    call.negotiate(false);
    call.trickle();
    call.answerer.event(json!({
        "event": "channel", "label": "чат🚀", "protocol": "прото/1", "ordered": false, "max_retransmits": 0,
        "max_packet_life_time": null,
    }));
    call.answerer.event(json!({
        "event": "channel", "label": "", "ordered": true, "max_retransmits": null, "max_packet_life_time": 500,
    }));
    for agent in [&mut *call.offerer, &mut *call.answerer] {
        agent.event(json!({"event": "open", "pc": "p1", "ch": "agreed", "stream_id": 7}));
    }
    call.exchange("agreed", "agreed");
    assert_eq!(call.answerer.rest(json!({"event": "channel"})), Vec::<Value>::new(), "two were announced");
}

#[test]
fn data_flows_on_through_an_ice_restart() {
    let [mut a, mut b] = agents();
    let mut call = Call::create(&mut a, &mut b, "p1");
    call.connect();
    let before = ["offerer", "answerer"].map(|side| {
        let agent = if side == "offerer" { &mut *call.offerer } else { &mut *call.answerer };
        agent.call(json!({"cmd": "local_description", "pc": "p1"}))
    });
    let after = call.negotiate(true);
    for (before, after) in before.iter().zip(&after) {
        let before = before["sdp"].as_str().unwrap();
        assert_ne!(line(before, "a=ice-ufrag:"), line(after, "a=ice-ufrag:"));
    }
    call.trickle();
    call.exchange("c0", "in0");
    let [offer, answer] = call.negotiate(false);
    assert_eq!(
        [line(&offer, "a=ice-ufrag:"), line(&answer, "a=ice-ufrag:")],
        [line(&after[0], "a=ice-ufrag:"), line(&after[1], "a=ice-ufrag:")]
    );
    call.exchange("c0", "in0");
}

#[test]
fn complete_descriptions_need_no_candidates_beside_them() {
    let [mut a, mut b] = agents();
    for agent in [&mut a, &mut b] {
        agent.call(json!({"cmd": "create", "pc": "p1", "ice_lite": true}));
    }
    a.call(json!({"cmd": "create_channel", "pc": "p1", "ch": "c0", "label": "chat"}));
    a.call(json!({"cmd": "create_offer", "pc": "p1"}));
    let complete = |agent: &mut Agent| {
        agent.event(json!({"event": "gathering_state", "pc": "p1", "state": "complete"}));
        let mut description = agent.call(json!({"cmd": "local_description", "pc": "p1"}));
        assert_eq!(description["gathering_state"], "complete");
        let sdp = description["sdp"].as_str().unwrap();
        assert!(sdp.contains("a=candidate:") && sdp.contains("a=ice-lite"), "{sdp}");
        description["cmd"] = json!("set_remote");
        description["pc"] = json!("p1");
        description
    };
    let offer = complete(&mut a);
    b.call(offer);
    let answer = complete(&mut b);
    a.call(answer);
    a.event(json!({"event": "open", "ch": "c0"}));
    b.event(json!({"event": "open", "ch": "in0"}));
    let stats = a.call(json!({"cmd": "stats", "pc": "p1"}))["stats"].clone();
    assert_eq!(
        [&stats["dtls_version"], &stats["dtls_role"], &stats["ice_role"]],
        ["FEFD", "server", "controlling"]
    );
    assert_eq!(stats["local_candidate"]["address"], "127.0.0.1");
    assert_eq!(
        (&stats["sctp_max_message_size"], &stats["sctp_state"]),
        (&json!(262_144), &json!("connected"))
    );
    assert!(stats["bytes_sent"].as_u64().unwrap() > 0, "{stats}");
}

#[test]
fn a_closed_connection_is_silent_and_its_name_is_free() {
    let [mut a, mut b] = agents();
    for _ in 0..2 {
        let mut call = Call::create(&mut a, &mut b, "p1");
        call.connect();
        call.exchange("c0", "in0");
        call.offerer.call(json!({"cmd": "close", "pc": "p1"}));
        call.answerer.event(json!({"event": "channel_closed", "pc": "p1", "ch": "in0"}));
        call.answerer.event(json!({"event": "connection_state", "pc": "p1", "state": "closed"}));
        assert_eq!(call.offerer.rest(json!({"event": "channel_closed"})), Vec::<Value>::new());
        call.answerer.call(json!({"cmd": "close", "pc": "p1"}));
    }
}

#[test]
fn connections_live_beside_each_other() {
    let [mut a, mut b] = agents();
    for pc in ["p1", "p2", "p3"] {
        Call::create(&mut a, &mut b, pc).connect();
    }
    for pc in ["p3", "p1", "p2"] {
        a.call(json!({"cmd": "send", "pc": pc, "ch": "c0", "text": pc}));
        b.event(json!({"event": "message", "pc": pc, "ch": "in0", "text": pc}));
    }
}

#[test]
fn bad_commands_are_refused_with_a_reason_and_harm_nothing() {
    let [mut a, mut b] = agents();
    for (bad, reason) in
        [("nonsense", "not JSON"), ("[1,2]", "object"), ("{\"cmd\":\"ping\"}", "req"), ("\u{1}", "JSON")]
    {
        a.write(bad);
        let error = a.event(json!({"event": "error"}));
        assert!(error["message"].as_str().unwrap().contains(reason), "{bad}: {error}");
    }
    a.write("");
    let mut call = Call::create(&mut a, &mut b, "p1");
    call.connect();
    let offerer = &mut *call.offerer;
    for (bad, reason) in [
        (json!({"cmd": "dance"}), "unknown variant `dance`"),
        (json!({}), "missing field `cmd`"),
        (json!({"cmd": "stats"}), "pc is missing"),
        (json!({"cmd": "stats", "pc": 1}), "pc is not a string"),
        (json!({"cmd": "stats", "pc": "p9"}), "no connection is called \"p9\""),
        (json!({"cmd": "close", "pc": "p9"}), "no connection is called \"p9\""),
        (json!({"cmd": "create", "pc": "p1"}), "called \"p1\" already"),
        (json!({"cmd": "create", "pc": "p2", "ice_servers": ["http://x"]}), "SyntaxError"),
        (json!({"cmd": "create_channel", "pc": "p1", "ch": "c0"}), "called \"c0\" already"),
        (json!({"cmd": "create_channel", "pc": "p1", "ch": "c1", "negotiated": true}), "TypeError"),
        (json!({"cmd": "create_channel", "pc": "p1", "ch": "c1", "max_retransmits": -1}), "invalid value"),
        (json!({"cmd": "set_remote", "pc": "p1", "type": "answer", "sdp": "v=0"}), "Error"),
        (json!({"cmd": "set_remote", "pc": "p1", "type": "offer", "sdp": "nonsense"}), "OperationError"),
        (
            json!({"cmd": "add_candidate", "pc": "p1", "candidate": "nonsense", "sdp_mid": "0"}),
            "OperationError",
        ),
        (json!({"cmd": "add_candidate", "pc": "p1", "candidate": "candidate:1"}), "TypeError"),
        (json!({"cmd": "send", "pc": "p1", "ch": "c9", "text": "x"}), "no channel is called \"c9\""),
        (json!({"cmd": "send", "pc": "p1", "ch": "c0"}), "one of text, base64 and fill"),
        (
            json!({"cmd": "send", "pc": "p1", "ch": "c0", "text": "", "base64": ""}),
            "one of text, base64 and fill",
        ),
        (json!({"cmd": "send", "pc": "p1", "ch": "c0", "base64": "%"}), "base64"),
        (json!({"cmd": "send", "pc": "p1", "ch": "c0", "fill": {"size": 262_145, "count": 1}}), "TypeError"),
        (json!({"cmd": "send", "pc": "p1", "ch": "c0", "fill": {"size": 1_u64 << 40, "count": 1}}), "limit"),
        (json!({"cmd": "expect", "pc": "p1", "ch": "c0"}), "missing field `count`"),
    ] {
        let error = offerer.refused(bad.clone());
        assert!(error.contains(reason), "{bad}: {error}");
    }
    offerer.call(json!({"cmd": "add_candidate", "pc": "p1", "candidate": "", "sdp_mid": null}));
    call.exchange("c0", "in0");
}
