//! Agents in processes of their own, and what an orchestrator does between two of them.
#![allow(clippy::unwrap_used, reason = "what fails here fails the test")]

use serde_json::{Value, json};
use std::collections::VecDeque;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

/// Longer than anything here takes on a busy machine; a test that needs it has failed.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running agent.
pub(crate) struct Agent {
    name: &'static str,
    process: Child,
    /// `None`: closed.
    input: Option<ChildStdin>,
    lines: Receiver<Value>,
    /// Arrived, and not taken yet.
    events: VecDeque<Value>,
    requests: u64,
}

impl Agent {
    /// Starts one that uses the loopback address, and waits until it is ready.
    pub(crate) fn start(name: &'static str) -> Self {
        let mut process = Command::new(env!("CARGO_BIN_EXE_straits-agent"))
            .args(["--bind", "127.0.0.1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, lines) = channel();
        let output = BufReader::new(process.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in output.lines() {
                let line = serde_json::from_str(&line.unwrap()).expect("every line is JSON");
                // A test that has failed listens no more.
                let _ = sender.send(line);
            }
        });
        let input = process.stdin.take();
        let mut agent = Self { name, process, input, lines, events: VecDeque::new(), requests: 0 };
        let ready = agent.event(json!({"event": "ready", "protocol": 1, "agent": "straits"}));
        assert!(ready["version"].as_str().unwrap().starts_with("straits "), "{ready}");
        agent
    }

    /// Writes a line.
    pub(crate) fn write(&mut self, line: &str) {
        let input = self.input.as_mut().expect("the input is open");
        writeln!(input, "{line}").unwrap();
    }

    /// Writes a command, and gives the number that its reply has.
    pub(crate) fn begin(&mut self, mut command: Value) -> u64 {
        self.requests += 1;
        command["req"] = json!(self.requests);
        self.write(&command.to_string());
        self.requests
    }

    /// The reply to the command of this number.
    pub(crate) fn reply(&mut self, req: u64) -> Value {
        self.event(json!({"event": "reply", "req": req}))
    }

    /// Whether that reply has come already.
    pub(crate) fn has_replied(&mut self, req: u64) -> bool {
        self.events.extend(self.lines.try_iter());
        self.events.iter().any(|event| has(event, &json!({"event": "reply", "req": req})))
    }

    /// A command that succeeds.
    pub(crate) fn call(&mut self, command: Value) -> Value {
        let req = self.begin(command.clone());
        let reply = self.reply(req);
        assert_eq!(reply["ok"], true, "{}: {command} gave {reply}", self.name);
        reply
    }

    /// A command that is refused; gives the reason.
    pub(crate) fn refused(&mut self, command: Value) -> String {
        let req = self.begin(command.clone());
        let reply = self.reply(req);
        assert_eq!(reply["ok"], false, "{}: {command} gave {reply}", self.name);
        reply["error"].as_str().unwrap().to_owned()
    }

    /// The next event that has these members; others stay for later.
    pub(crate) fn event(&mut self, members: Value) -> Value {
        self.next(&members.to_string(), |event| has(event, &members))
    }

    fn next(&mut self, what: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        if let Some(place) = self.events.iter().position(&is_it) {
            return self.events.remove(place).unwrap();
        }
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(event) if is_it(&event) => return event,
                Ok(event) => self.events.push_back(event),
                Err(error) => panic!("{}: {error} for {what}; there is {:?}", self.name, self.events),
            }
        }
    }

    /// What came and was not taken, of those that have these members. Complete up to the last reply.
    pub(crate) fn rest(&mut self, members: Value) -> Vec<Value> {
        self.call(json!({"cmd": "ping"}));
        self.events.iter().filter(|event| has(event, &members)).cloned().collect()
    }

    /// Ends the input, which ends the agent.
    pub(crate) fn end_input(&mut self) -> ExitStatus {
        self.input = None;
        self.exited()
    }

    /// `quit`, which ends the agent.
    pub(crate) fn quit(&mut self) -> ExitStatus {
        self.write(r#"{"cmd":"quit"}"#);
        self.exited()
    }

    fn exited(&mut self) -> ExitStatus {
        // Its output ends with it.
        loop {
            match self.lines.recv_timeout(PATIENCE) {
                Ok(event) => self.events.push_back(event),
                Err(std::sync::mpsc::RecvTimeoutError::Disconnected) => return self.process.wait().unwrap(),
                Err(error) => panic!("{}: {error} for its end", self.name),
            }
        }
    }
}

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Whether the event has all these members.
fn has(event: &Value, members: &Value) -> bool {
    members.as_object().unwrap().iter().all(|(name, value)| event.get(name) == Some(value))
}

/// One connection between two agents, called the same on both sides.
pub(crate) struct Call<'a> {
    pub(crate) offerer: &'a mut Agent,
    pub(crate) answerer: &'a mut Agent,
    pc: &'static str,
}

impl<'a> Call<'a> {
    pub(crate) fn create(offerer: &'a mut Agent, answerer: &'a mut Agent, pc: &'static str) -> Self {
        for agent in [&mut *offerer, &mut *answerer] {
            agent.call(json!({"cmd": "create", "pc": pc}));
        }
        Self { offerer, answerer, pc }
    }

    /// Offer, answer and all candidates; gives the two texts.
    pub(crate) fn negotiate(&mut self, ice_restart: bool) -> [String; 2] {
        let pc = self.pc;
        self.offerer.call(json!({"cmd": "create_offer", "pc": pc, "ice_restart": ice_restart}));
        let offer = self.offerer.event(json!({"event": "description", "pc": pc, "type": "offer"}));
        self.answerer.call(json!({"cmd": "set_remote", "pc": pc, "type": "offer", "sdp": offer["sdp"]}));
        let answer = self.answerer.event(json!({"event": "description", "pc": pc, "type": "answer"}));
        self.offerer.call(json!({"cmd": "set_remote", "pc": pc, "type": "answer", "sdp": answer["sdp"]}));
        [offer, answer].map(|description| description["sdp"].as_str().unwrap().to_owned())
    }

    /// Carries the candidates of both sides over, up to the end of each.
    pub(crate) fn trickle(&mut self) {
        carry_candidates(self.pc, self.offerer, self.answerer);
        carry_candidates(self.pc, self.answerer, self.offerer);
    }

    /// Connects with a channel called `c0` at the offerer and `in0` at the answerer.
    pub(crate) fn connect(&mut self) {
        let pc = self.pc;
        self.offerer.call(json!({"cmd": "create_channel", "pc": pc, "ch": "c0", "label": "chat"}));
        self.negotiate(false);
        self.trickle();
        self.offerer.event(json!({"event": "open", "pc": pc, "ch": "c0"}));
        self.answerer.event(json!({"event": "open", "pc": pc, "ch": "in0"}));
    }

    /// A text there and another one back.
    pub(crate) fn exchange(&mut self, at_offerer: &str, at_answerer: &str) {
        let pc = self.pc;
        self.offerer.call(json!({"cmd": "send", "pc": pc, "ch": at_offerer, "text": "there"}));
        self.answerer.event(json!({"event": "message", "pc": pc, "ch": at_answerer, "text": "there"}));
        self.answerer.call(json!({"cmd": "send", "pc": pc, "ch": at_answerer, "text": "back"}));
        self.offerer.event(json!({"event": "message", "pc": pc, "ch": at_offerer, "text": "back"}));
    }
}

fn carry_candidates(pc: &str, from: &mut Agent, to: &mut Agent) {
    loop {
        let mut candidate = from.event(json!({"event": "candidate", "pc": pc}));
        let is_last = candidate["candidate"] == "" && candidate["sdp_mid"].is_null();
        candidate["cmd"] = json!("add_candidate");
        to.call(candidate);
        if is_last {
            break;
        }
    }
}
