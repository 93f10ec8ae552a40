//! The line protocol: commands as they are read, events as they are written.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

/// What a command line is, once it is known to be one.
#[derive(Debug)]
pub(crate) struct Request {
    /// Names the reply. `quit` needs none.
    pub(crate) req: Option<Number>,
    /// The connection it is about.
    pub(crate) pc: Option<String>,
    pub(crate) command: Command,
}

/// A line that is no command.
#[derive(Debug, PartialEq)]
pub(crate) struct BadLine {
    /// Whom to answer, if that can be told.
    pub(crate) req: Option<Number>,
    pub(crate) reason: String,
}

#[derive(Debug, Deserialize, PartialEq)]
#[serde(tag = "cmd", rename_all = "snake_case")]
pub(crate) enum Command {
    Quit,
    Ping,
    Create(Create),
    CreateChannel(CreateChannel),
    CreateOffer {
        #[serde(default)]
        ice_restart: bool,
    },
    SetRemote {
        #[serde(flatten)]
        description: Description,
    },
    AddCandidate(Candidate),
    LocalDescription,
    Send(Send),
    Expect {
        ch: String,
        count: u64,
    },
    SetBufferedLow {
        ch: String,
        threshold: usize,
    },
    ChannelInfo {
        ch: String,
    },
    CloseChannel {
        ch: String,
    },
    Close,
    Stats,
}

#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Create {
    /// URLs.
    #[serde(default)]
    pub(crate) ice_servers: Vec<String>,
    /// Straits is ICE-lite whether or not it is asked to.
    #[serde(default)]
    pub(crate) ice_lite: bool,
}

#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct CreateChannel {
    pub(crate) ch: String,
    #[serde(default)]
    pub(crate) label: String,
    pub(crate) ordered: Option<bool>,
    pub(crate) max_retransmits: Option<u16>,
    pub(crate) max_packet_life_time: Option<u16>,
    pub(crate) protocol: Option<String>,
    pub(crate) negotiated: Option<bool>,
    pub(crate) stream_id: Option<u16>,
}

#[derive(Clone, Debug, Deserialize, PartialEq, Serialize)]
pub(crate) struct Description {
    #[serde(rename = "type")]
    pub(crate) kind: Kind,
    pub(crate) sdp: String,
}

/// Those that the protocol has.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Kind {
    Offer,
    Answer,
}

#[derive(Clone, Debug, Default, Deserialize, PartialEq, Serialize)]
pub(crate) struct Candidate {
    /// Empty: there are no more.
    #[serde(default)]
    pub(crate) candidate: String,
    pub(crate) sdp_mid: Option<String>,
    pub(crate) sdp_mline_index: Option<u16>,
}

/// One of `text`, `base64` and `fill` is there.
#[derive(Debug, Deserialize, PartialEq)]
pub(crate) struct Send {
    pub(crate) ch: String,
    pub(crate) text: Option<String>,
    pub(crate) base64: Option<String>,
    pub(crate) fill: Option<Fill>,
    #[serde(default = "high")]
    pub(crate) high: usize,
    #[serde(default = "low")]
    pub(crate) low: usize,
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
pub(crate) struct Fill {
    pub(crate) size: usize,
    pub(crate) count: u64,
    #[serde(default)]
    pub(crate) seed: u32,
}

fn high() -> usize {
    1 << 20
}

fn low() -> usize {
    1 << 18
}

impl Request {
    pub(crate) fn parse(line: &[u8]) -> Result<Self, BadLine> {
        let bad = |req: Option<Number>, reason: String| BadLine { req, reason };
        let value: Value =
            serde_json::from_slice(line).map_err(|error| bad(None, format!("not JSON: {error}")))?;
        let Value::Object(members) = &value else {
            return Err(bad(None, "a command is a JSON object".to_owned()));
        };
        let req = match members.get("req") {
            Some(Value::Number(req)) => Some(req.clone()),
            None | Some(_) => None,
        };
        let pc = match members.get("pc") {
            None | Some(Value::Null) => None,
            Some(Value::String(pc)) => Some(pc.clone()),
            Some(_) => return Err(bad(req, "pc is not a string".to_owned())),
        };
        let command = serde_json::from_value(value).map_err(|error| bad(req.clone(), error.to_string()))?;
        if req.is_none() && command != Command::Quit {
            return Err(bad(None, "req is not a number".to_owned()));
        }
        Ok(Self { req, pc, command })
    }
}

/// What a line on the standard output tells.
#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub(crate) enum Event {
    Ready {
        protocol: u8,
        agent: &'static str,
        version: String,
        features: &'static [&'static str],
    },
    Reply(Reply),
    Description(Description),
    Candidate(Candidate),
    GatheringState {
        state: &'static str,
    },
    IceState {
        state: &'static str,
    },
    ConnectionState {
        state: &'static str,
    },
    Channel {
        ch: String,
        #[serde(flatten)]
        properties: Properties,
    },
    Open {
        ch: String,
        stream_id: Option<u16>,
    },
    Message {
        ch: String,
        #[serde(flatten)]
        summary: Summary,
    },
    Batch {
        ch: String,
        count: u64,
        bytes: u64,
        sha256: String,
        ms: u64,
    },
    BufferedLow {
        ch: String,
    },
    ChannelClosed {
        ch: String,
    },
    ChannelError {
        ch: String,
        message: String,
    },
    Error {
        message: String,
    },
}

/// Members of a successful reply.
pub(crate) type Results = Map<String, Value>;

/// What became of a command.
#[derive(Debug, Serialize)]
pub(crate) struct Reply {
    req: Number,
    ok: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(flatten)]
    results: Results,
}

impl Reply {
    pub(crate) fn new(req: Number, outcome: Result<Results, String>) -> Self {
        match outcome {
            Ok(results) => Self { req, ok: true, error: None, results },
            Err(reason) => Self { req, ok: false, error: Some(reason), results: Results::new() },
        }
    }
}

/// What there is to know of a channel.
#[derive(Debug, Serialize)]
pub(crate) struct Properties {
    pub(crate) label: String,
    pub(crate) protocol: String,
    pub(crate) ordered: bool,
    pub(crate) max_retransmits: Option<u16>,
    pub(crate) max_packet_life_time: Option<u16>,
    pub(crate) negotiated: bool,
    pub(crate) stream_id: Option<u16>,
    pub(crate) state: &'static str,
}

/// A message that arrived; short ones whole.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    pub(crate) kind: &'static str,
    pub(crate) size: usize,
    pub(crate) sha256: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) base64: Option<String>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(line: &str) -> Result<(Option<u64>, Option<String>, Command), BadLine> {
        let request = Request::parse(line.as_bytes())?;
        Ok((request.req.and_then(|req| req.as_u64()), request.pc, request.command))
    }

    #[test]
    fn members_that_are_missing_have_defaults_and_unknown_ones_are_ignored() {
        let line = r#"{"cmd":"create","req":1,"pc":"p1","config":{"x":1}}"#;
        let create = Command::Create(Create { ice_servers: Vec::new(), ice_lite: false });
        assert_eq!(parse(line).unwrap(), (Some(1), Some("p1".to_owned()), create));
        let line = r#"{"cmd":"send","req":2,"pc":"p1","ch":"c0","fill":{"size":3,"count":4}}"#;
        let fill = Some(Fill { size: 3, count: 4, seed: 0 });
        let send =
            Send { ch: "c0".to_owned(), text: None, base64: None, fill, high: 1_048_576, low: 262_144 };
        assert_eq!(parse(line).unwrap().2, Command::Send(send));
        assert_eq!(parse(r#"{"cmd":"quit"}"#).unwrap(), (None, None, Command::Quit));
    }

    #[test]
    fn a_bad_line_says_what_is_wrong_and_whom_to_answer() {
        let reason = |line| {
            let bad = parse(line).unwrap_err();
            (bad.req.and_then(|req| req.as_u64()), bad.reason)
        };
        let begins = |line, req, start: &str| {
            let (answered, reason) = reason(line);
            assert_eq!(answered, req, "{line}");
            assert!(reason.starts_with(start), "{line}: {reason}");
        };
        begins("nonsense", None, "not JSON: ");
        begins("[1]", None, "a command is a JSON object");
        begins(r#"{"cmd":"ping"}"#, None, "req is not a number");
        begins(r#"{"req":3}"#, Some(3), "missing field `cmd`");
        begins(r#"{"cmd":"dance","req":4}"#, Some(4), "unknown variant `dance`");
        begins(r#"{"cmd":"stats","req":5,"pc":7}"#, Some(5), "pc is not a string");
        begins(r#"{"cmd":"expect","req":6,"pc":"p","ch":"c"}"#, Some(6), "missing field `count`");
        begins(
            r#"{"cmd":"set_remote","req":7,"type":"rollback","sdp":""}"#,
            Some(7),
            "unknown variant `rollback`",
        );
    }

    #[test]
    fn events_have_the_members_of_the_protocol() {
        let json = |event: &Event| serde_json::to_value(event).unwrap();
        let candidate = Candidate::default();
        assert_eq!(
            json(&Event::Candidate(candidate)),
            json!({"event":"candidate","candidate":"","sdp_mid":null,"sdp_mline_index":null})
        );
        let description = Description { kind: Kind::Offer, sdp: "v=0".to_owned() };
        assert_eq!(
            json(&Event::Description(description)),
            json!({"event":"description","type":"offer","sdp":"v=0"})
        );
        let refused = Reply::new(7.into(), Err("no".to_owned()));
        assert_eq!(json(&Event::Reply(refused)), json!({"event":"reply","req":7,"ok":false,"error":"no"}));
        let results = Results::from_iter([("sent".to_owned(), json!(3))]);
        let reply = Reply::new(8.into(), Ok(results));
        assert_eq!(json(&Event::Reply(reply)), json!({"event":"reply","req":8,"ok":true,"sent":3}));
    }
}
