//! Packets out: control first, then SACK, then DATA (RFC 9260 §6.10), all of it in as few packets as the size allows.

use super::Association;
use super::control::{Control, InitAck};
use super::errors::with_cause;
use super::handshake::our_parameters;
use super::state::Tcb;
use crate::wire::{
    Abort, Checksum, Chunk, CookieAck, CookieEcho, ErrorChunk, Header, Heartbeat, Init, PacketWriter,
    Parameter, Parameters, ReConfig, ReconfigParameters, Shutdown, ShutdownAck, ShutdownComplete, WriteChunk,
};
use crate::wire::{Cause, Causes};
use bytes::BytesMut;
use std::time::Instant;

impl Association {
    /// Appends the next packet to `buffer`; false, and nothing appended, if there is nothing to send.
    ///
    /// Call it until it says false, or as often as there is room to send.
    pub fn poll_transmit(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        let now = self.clock(now);
        let start = buffer.len();
        let sent = self.write_packet(now, buffer);
        if sent {
            let len = buffer.len().saturating_sub(start);
            self.counters.packets_sent += 1;
            self.counters.bytes_sent += u64::try_from(len).unwrap_or(u64::MAX);
            if tracing::enabled!(tracing::Level::TRACE)
                && let Some(packet) = buffer.get(start..)
            {
                self.trace_packet("sent", packet);
            }
        }
        sent
    }

    fn write_packet(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        // The last packet may have emptied the queue of a stream that is to be reset.
        self.advance_reset(now);
        // RFC 9260 §5.1 C: "until the COOKIE ACK chunk is returned, the sender MUST NOT send any other packets to the
        // peer." An ERROR that had no room behind the COOKIE ECHO waits for it too (§3.2.2), and so does a HEARTBEAT ACK.
        // The answer to the peer's own INIT (§5.2.1) does not.
        let waits = self.phase.cookie().is_some() && self.control.front() != Some(&Control::CookieEcho);
        while waits || self.control.front().is_some_and(Control::stands_alone) {
            match self.control.pop_alone() {
                Some(control) if self.write_alone(buffer, &control) => return true,
                Some(_) => {}
                None => return false,
            }
        }
        let Some(tcb) = self.phase.tcb().copied() else {
            self.control.clear();
            return false;
        };
        let sends_data = self.phase.sends_data();
        let data = sends_data && self.sender.wants_to_send(now);
        let sack = self.phase.takes_data() && self.receiver.sack_due();
        if self.control.is_empty() && !data && !sack {
            return false;
        }
        self.write_bundle(now, buffer, &tcb, data)
    }

    /// Everything that may share a packet.
    fn write_bundle(&mut self, now: Instant, buffer: &mut BytesMut, tcb: &Tcb, data: bool) -> bool {
        let mut max_size = self.path_mtu.size();
        if data && self.control.is_empty() && !(self.phase.takes_data() && self.receiver.sack_due()) {
            // RFC 9260 §6.9: what was fragmented for a larger size keeps it, and goes alone.
            max_size = max_size.max(self.sender.next_lost_size());
        }
        // RFC 9653: never on a packet with COOKIE ECHO.
        let mut checksum = if tcb.capabilities.zero_checksum { Checksum::Zero } else { Checksum::Crc32c };
        if let (Some(Control::CookieEcho), Some(cookie)) = (self.control.front(), self.phase.cookie()) {
            checksum = Checksum::Crc32c;
            // A cookie that is larger than a packet goes alone and takes its chance with fragmentation below.
            max_size = max_size.max(cookie.len().next_multiple_of(4) + Header::LEN + 4);
        }
        if let Some(Control::HeartbeatAck { info, others }) = self.control.front() {
            // As large as the question: that may be what the peer wants to know.
            max_size = max_size.max(Header::LEN + Heartbeat { info, others }.len().next_multiple_of(4));
        }
        let mut packet = PacketWriter::new(buffer, self.header(tcb.peer_tag), max_size);
        self.write_control(&mut packet);
        if self.phase.takes_data() {
            self.receiver.write_sack(&mut packet);
        }
        if data {
            self.sender.write_forward_tsn(now, &mut packet);
            if self.sender.write_data(now, &mut packet) {
                self.prober.note_use(now);
            }
        }
        packet.finish(checksum) > 0
    }

    /// As many of the queued control chunks as fit.
    fn write_control(&mut self, packet: &mut PacketWriter<'_>) {
        while let Some(control) = self.control.front() {
            if control.stands_alone() {
                return;
            }
            let written = self.write_control_chunk(packet, control);
            // What does not fit into an empty packet never will.
            if !written && !packet.is_empty() {
                return;
            }
            self.control.pop();
        }
    }

    fn write_control_chunk(&self, packet: &mut PacketWriter<'_>, control: &Control) -> bool {
        match control {
            Control::CookieEcho => {
                self.phase.cookie().is_some_and(|cookie| packet.push(&CookieEcho { cookie }))
            }
            Control::CookieAck => packet.push(&CookieAck),
            Control::Heartbeat { nonce } => {
                packet.push(&Heartbeat { info: &nonce.to_be_bytes(), others: &[] })
            }
            Control::HeartbeatAck { info, others } => {
                packet.push(&Chunk::HeartbeatAck(Heartbeat { info, others }))
            }
            Control::Error(fault) => with_cause(Some(fault), |causes| packet.push(&ErrorChunk { causes })),
            Control::ReconfigRequest => {
                self.reset.with_request(|reconfig| packet.push(reconfig)).unwrap_or(false)
            }
            Control::ReconfigResponse { first, second } => {
                let parameters = match second {
                    Some(second) => &[first.parameter(), second.parameter()][..],
                    None => &[first.parameter()],
                };
                packet.push(&ReConfig { parameters: ReconfigParameters::new(parameters) })
            }
            Control::Shutdown => packet.push(&Shutdown { cumulative_tsn: self.receiver.cumulative_tsn() }),
            Control::ShutdownAck => packet.push(&ShutdownAck),
            Control::Init
            | Control::InitAck(_)
            | Control::Abort { .. }
            | Control::ShutdownComplete { .. }
            | Control::StaleCookie { .. }
            | Control::PathProbe { .. } => false,
        }
    }

    /// A packet of its own. Its checksum is a true one: INIT and answers out of the blue must have it (RFC 9653), and of the
    /// others only INIT ACK is known to go to a peer that takes zero; to have one is never wrong.
    fn write_alone(&self, buffer: &mut BytesMut, control: &Control) -> bool {
        // RFC 9260 §8.5.1 A: the tag of a packet with INIT is 0.
        let tag = match control {
            Control::InitAck(ack) => ack.peer_tag,
            Control::Abort { tag, .. }
            | Control::ShutdownComplete { tag, .. }
            | Control::StaleCookie { tag, .. }
            | Control::PathProbe { tag, .. } => *tag,
            Control::Init
            | Control::CookieEcho
            | Control::CookieAck
            | Control::Heartbeat { .. }
            | Control::HeartbeatAck { .. }
            | Control::Error(_)
            | Control::ReconfigRequest
            | Control::ReconfigResponse { .. }
            | Control::Shutdown
            | Control::ShutdownAck => 0,
        };
        let mut packet = PacketWriter::new(buffer, self.header(tag), self.config.max_packet_size);
        match control {
            Control::Init => self.write_init(&mut packet),
            Control::InitAck(ack) => self.write_init_ack(&mut packet, ack),
            Control::Abort { reflected, fault, .. } => {
                with_cause(fault.as_ref(), |causes| packet.push(&Abort { tag_reflected: *reflected, causes }))
            }
            Control::ShutdownComplete { reflected, .. } => {
                packet.push(&ShutdownComplete { tag_reflected: *reflected })
            }
            Control::StaleCookie { staleness, .. } => {
                packet.push(&ErrorChunk { causes: Causes::new(&[Cause::StaleCookie(*staleness)]) })
            }
            Control::PathProbe { nonce, .. } => {
                packet.push(&Heartbeat { info: &self.probe_info(*nonce), others: &[] })
            }
            Control::CookieEcho
            | Control::CookieAck
            | Control::Heartbeat { .. }
            | Control::HeartbeatAck { .. }
            | Control::Error(_)
            | Control::ReconfigRequest
            | Control::ReconfigResponse { .. }
            | Control::Shutdown
            | Control::ShutdownAck => false,
        };
        let takes_zero = matches!(control, Control::InitAck(ack) if ack.zero_checksum);
        packet.finish(if takes_zero { Checksum::Zero } else { Checksum::Crc32c }) > 0
    }

    fn write_init(&self, packet: &mut PacketWriter<'_>) -> bool {
        let parameters: Vec<_> = our_parameters(&self.config, self.config.zero_checksum).collect();
        packet.push(&Init {
            initiate_tag: self.local.tag,
            a_rwnd: self.window_field(),
            outbound_streams: self.config.outgoing_streams,
            inbound_streams: self.config.incoming_streams,
            initial_tsn: self.local.tsn,
            parameters: Parameters::new(&parameters),
        })
    }

    fn write_init_ack(&self, packet: &mut PacketWriter<'_>, ack: &InitAck) -> bool {
        let parameters: Vec<_> = our_parameters(&self.config, ack.announces_zero_checksum)
            .chain([Parameter::StateCookie(&ack.cookie)])
            .chain(ack.unrecognized.iter().map(|whole| Parameter::Unrecognized(whole)))
            .collect();
        packet.push(&Chunk::InitAck(Init {
            initiate_tag: ack.local.tag,
            a_rwnd: self.window_field(),
            outbound_streams: ack.outgoing_streams,
            inbound_streams: self.config.incoming_streams,
            initial_tsn: ack.local.tsn,
            parameters: Parameters::new(&parameters),
        }))
    }

    fn window_field(&self) -> u32 {
        u32::try_from(self.config.receive_window).unwrap_or(u32::MAX)
    }

    fn header(&self, verification_tag: u32) -> Header {
        Header {
            source_port: self.config.local_port,
            destination_port: self.config.remote_port,
            verification_tag,
        }
    }
}
