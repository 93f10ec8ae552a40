//! Another association in place of the one there is (RFC 8841 §9.3).

use super::Channels;
use crate::Association;
use bytes::BytesMut;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use std::time::Instant;

impl Channels {
    /// The SCTP ports of the descriptions, `a=sctp-port`: ours and the peer's, in place of those of the configuration.
    ///
    /// New ones ask for a new association, if there has been one: "The existing SCTP association is closed, and the new
    /// SCTP association is established, if one or both endpoints signal a new SCTP port" (RFC 8841 §9.3). The old one is
    /// aborted, its channels are closed as in a restart of the peer, and counters begin anew. Channels that wait for the
    /// association wait for the new one.
    pub fn set_ports(&mut self, now: Instant, local: u16, remote: u16) {
        if (local, remote) != self.ports() && !self.association.set_ports(local, remote) {
            self.settle(now);
            self.replace(now, local, remote);
        }
        self.settle(now);
    }

    fn replace(&mut self, now: Instant, local: u16, remote: u16) {
        self.on_restarted(now);
        self.established = false;
        let config = self.association.config().clone().local_port(local).remote_port(remote);
        let mut seed = [0; 32];
        self.seeds.fill_bytes(&mut seed);
        let mut association = Association::new(config, seed, now);
        association.set_max_send_message_size(self.association.max_send_message_size());
        let mut replaced = std::mem::replace(&mut self.association, association);
        replaced.abort(now);
        self.replaced = Some(replaced);
        self.note_held();
        self.association.connect(now);
    }

    /// The ABORT of an association that was replaced.
    pub(super) fn poll_last_words(&mut self, now: Instant, buffer: &mut BytesMut) -> bool {
        let sent = self.replaced.as_mut().is_some_and(|replaced| replaced.poll_transmit(now, buffer));
        if !sent {
            self.replaced = None;
        }
        sent
    }
}

/// Where the seeds of later associations come from: the first one uses the seed itself.
pub(super) fn seeds(seed: [u8; 32]) -> ChaCha12Rng {
    let mut seeds = ChaCha12Rng::from_seed(seed);
    seeds.set_stream(1);
    seeds
}
