//! RE-CONFIG to an association that has data on its way in both directions.

use super::association::Run;
use super::script::Script;
use crate::number::{StreamId, Tsn};
use crate::wire::{
    self, Chunk, List, NextTsns, ReConfig, ReconfigParameter, ReconfigParameters, ReconfigResult,
};

/// Requests and answers, alone and in twos, among data, acknowledgements, time, and channels that are closed here.
///
/// The invariants are those of any association; besides, there is one request of ours at a time, and each new one has the
/// next number.
pub fn reconfig(script: &[u8]) {
    let mut script = Script::new(script);
    let agreement = script.byte();
    let mut run = Run::new(agreement & 1 != 0, agreement & 2 != 0);
    run.fill();
    run.check();
    while let Some(step) = script.step() {
        match step % 8 {
            0..=3 => {
                let parameters = &[parameter(&run, &mut script), parameter(&run, &mut script)];
                let count = 1 + usize::from(step >> 7);
                let parameters = ReconfigParameters::new(&parameters[..count]);
                run.feed(&ReConfig { parameters });
            }
            4 => run.step(DATA, &mut script),
            5 => run.step(SACK, &mut script),
            6 => run.step(if step & 8 == 0 { READ } else { CALL }, &mut script),
            _ => run.step(if step & 8 == 0 { DEADLINE } else { RAW }, &mut script),
        }
        run.check();
    }
    run.finish();
}

/// Numbers near those that count.
fn parameter<'a>(run: &Run, script: &mut Script<'a>) -> ReconfigParameter<'a> {
    let (kind, number, last) = (script.byte(), script.byte() % 16, script.byte());
    let request = run.peer_tsn.wrapping_add(number.into()).wrapping_sub(2);
    let response = run.local_tsn.wrapping_add(number.into()).wrapping_sub(2);
    let last_tsn = Tsn(run.peer_tsn.wrapping_add(last.into()).wrapping_sub(2));
    match kind % 8 {
        0..=2 => ReconfigParameter::OutgoingReset { request, response, last_tsn, streams: streams(kind) },
        3 => ReconfigParameter::IncomingReset { request, streams: streams(kind) },
        4 => ReconfigParameter::TsnReset { request },
        5 => ReconfigParameter::AddOutgoing { request, count: last.into() },
        6 if kind & 8 != 0 => ReconfigParameter::AddIncoming { request, count: last.into() },
        _ => ReconfigParameter::Response {
            response,
            result: result(last),
            next_tsns: (kind & 16 != 0).then_some(NextTsns { sender: last_tsn, receiver: last_tsn }),
        },
    }
}

/// None is all of them.
fn streams<'a>(kind: u8) -> List<'a, StreamId> {
    const STREAMS: [StreamId; 4] = [StreamId(0), StreamId(1), StreamId(2), StreamId(u16::MAX)];
    let (from, count) = (usize::from(kind >> 3 & 3), usize::from(kind >> 5 & 3));
    List::new(STREAMS.get(from..(from + count).min(STREAMS.len())).unwrap_or_default())
}

fn result(number: u8) -> ReconfigResult {
    match number % 4 {
        0 => ReconfigResult::NothingToDo,
        1 => ReconfigResult::Performed,
        2 => ReconfigResult::Denied,
        _ => ReconfigResult::InProgress,
    }
}

/// Watches the requests that leave.
#[derive(Debug, Default)]
pub(super) struct Requests {
    last: Option<u32>,
    /// Something came that may have answered the last one.
    answered: bool,
}

impl Requests {
    pub(super) fn received(&mut self) {
        self.answered = true;
    }

    pub(super) fn sent(&mut self, packet: &[u8]) {
        let (_, chunks) = wire::parse(packet, true).expect("own packets are sound");
        for chunk in chunks.flatten() {
            if let Chunk::ReConfig(chunk) = chunk {
                for parameter in chunk.parameters.iter().flatten() {
                    if let ReconfigParameter::OutgoingReset { request, .. } = parameter {
                        self.request(request);
                    }
                }
            }
        }
    }

    fn request(&mut self, number: u32) {
        let is_next = self.last.is_none_or(|last| number == last.wrapping_add(1));
        let is_repeated = self.last == Some(number);
        assert!(
            is_repeated || (is_next && (self.answered || self.last.is_none())),
            "{number} after {self:?}"
        );
        if !is_repeated {
            *self = Self { last: Some(number), answered: false };
        }
    }
}

/// Steps of the script of any association.
const RAW: u8 = 0;
const DATA: u8 = 1;
const SACK: u8 = 4;
const DEADLINE: u8 = 8;
const CALL: u8 = 9;
const READ: u8 = 10;

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn any_script(script in vec(any::<u8>(), 0..300)) {
            reconfig(&script);
        }
    }
}
