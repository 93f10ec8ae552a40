//! The state cookie (RFC 9260 §5.1.3): everything the answerer must know again, under a MAC, kept by nobody.

#![cfg_attr(not(test), deny(clippy::indexing_slicing, clippy::arithmetic_side_effects))]

use super::random::nonzero;
use bytes::{BufMut, Bytes, BytesMut};
use hmac::{Hmac, KeyInit, Mac};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use sha2::Sha256;
use std::time::{Duration, Instant};

/// What a cookie carries. Every field is under the MAC, none is secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Cookie {
    /// When it was made, since the maker's [`CookieJar`] was.
    pub(super) created: Duration,
    pub(super) local_port: u16,
    pub(super) remote_port: u16,
    /// Initiate Tag of the INIT ACK.
    pub(super) local_tag: u32,
    /// Initiate Tag of the INIT.
    pub(super) peer_tag: u32,
    /// Initial TSN of the INIT ACK.
    pub(super) local_tsn: u32,
    /// Initial TSN of the INIT.
    pub(super) peer_tsn: u32,
    pub(super) peer_window: u32,
    /// Streams that will be used, from here and from there.
    pub(super) outgoing_streams: u16,
    pub(super) incoming_streams: u16,
    /// Tie-tags of the association that existed when it was made, or zeros (RFC 9260 §5.2.2).
    pub(super) tie_tags: TieTags,
    pub(super) capabilities: Capabilities,
}

/// Two random numbers that only the holder of a cookie of an existing association knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TieTags {
    pub(super) local: u32,
    pub(super) peer: u32,
}

impl TieTags {
    pub(super) fn random(rng: &mut impl Rng) -> Self {
        Self { local: nonzero(rng), peer: nonzero(rng) }
    }
}

/// What the peer can, as it said in its INIT or INIT ACK.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Capabilities {
    /// It takes packets without a checksum (RFC 9653), and we may use that.
    pub(super) zero_checksum: bool,
    /// It knows RE-CONFIG (RFC 6525).
    pub(super) reconfig: bool,
    /// It knows FORWARD TSN (RFC 3758), or I-FORWARD-TSN if messages interleave (RFC 8260), and so do we.
    pub(super) partial_reliability: bool,
    /// It knows I-DATA (RFC 8260), and so do we: all user messages are I-DATA.
    pub(super) interleaving: bool,
}

impl Capabilities {
    fn to_flags(self) -> u32 {
        let Self { zero_checksum, reconfig, partial_reliability, interleaving } = self;
        let flags = [
            (zero_checksum, ZERO_CHECKSUM),
            (reconfig, RECONFIG),
            (partial_reliability, PARTIAL_RELIABILITY),
            (interleaving, INTERLEAVING),
        ];
        flags.into_iter().filter(|(is_set, _)| *is_set).fold(0, |flags, (_, flag)| flags | flag)
    }

    fn from_flags(flags: u32) -> Self {
        Self {
            zero_checksum: flags & ZERO_CHECKSUM != 0,
            reconfig: flags & RECONFIG != 0,
            partial_reliability: flags & PARTIAL_RELIABILITY != 0,
            interleaving: flags & INTERLEAVING != 0,
        }
    }
}

/// Makes cookies and recognises its own.
pub(super) struct CookieJar {
    seed: [u8; 32],
    epoch: Instant,
}

impl CookieJar {
    pub(super) fn new(seed: [u8; 32], now: Instant) -> Self {
        Self { seed, epoch: now }
    }

    pub(super) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.epoch)
    }

    pub(super) fn seal(&self, cookie: &Cookie) -> Bytes {
        let mut bytes = BytesMut::with_capacity(COOKIE_LEN);
        cookie.write(&mut bytes);
        let mac = self.mac(generation(cookie.created), &bytes).finalize().into_bytes();
        bytes.put_slice(&mac);
        bytes.freeze()
    }

    /// The cookie, if it is one of ours and its key is the current or the previous one. Says nothing about its age.
    pub(super) fn open(&self, now: Instant, bytes: &[u8]) -> Option<Cookie> {
        let (body, mac) = bytes.split_at_checked(BODY_LEN)?;
        let cookie = Cookie::read(body)?;
        let current = generation(self.age(now));
        let made = generation(cookie.created);
        // One overlap: the current key and the one before it. A time in the future has a key nobody used yet.
        if made > current || current.saturating_sub(made) > 1 {
            return None;
        }
        // RFC 9260 §5.1.5 (2); the comparison takes constant time.
        self.mac(made, body).verify_slice(mac).ok()?;
        Some(cookie)
    }

    fn mac(&self, generation: u64, body: &[u8]) -> Hmac<Sha256> {
        let mut keys = ChaCha12Rng::from_seed(self.seed);
        keys.set_stream(COOKIE_KEY_STREAMS.wrapping_add(generation));
        let mut key = [0; 32];
        keys.fill_bytes(&mut key);
        let mut mac = <Hmac<Sha256>>::new_from_slice(&key).expect("HMAC takes keys of any length");
        mac.update(body);
        mac
    }
}

impl std::fmt::Debug for CookieJar {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CookieJar").finish_non_exhaustive()
    }
}

impl Cookie {
    fn write(&self, bytes: &mut BytesMut) {
        bytes.put_slice(&MAGIC);
        bytes.put_u64(u64::try_from(self.created.as_nanos()).unwrap_or(u64::MAX));
        bytes.put_u16(self.local_port);
        bytes.put_u16(self.remote_port);
        bytes.put_u32(self.local_tag);
        bytes.put_u32(self.peer_tag);
        bytes.put_u32(self.local_tsn);
        bytes.put_u32(self.peer_tsn);
        bytes.put_u32(self.peer_window);
        bytes.put_u16(self.outgoing_streams);
        bytes.put_u16(self.incoming_streams);
        bytes.put_u32(self.tie_tags.local);
        bytes.put_u32(self.tie_tags.peer);
        bytes.put_u32(self.capabilities.to_flags());
    }

    fn read(body: &[u8]) -> Option<Self> {
        let mut fields = Fields(body);
        if fields.take::<4>()? != MAGIC {
            return None;
        }
        Some(Self {
            created: Duration::from_nanos(fields.u64()?),
            local_port: fields.u16()?,
            remote_port: fields.u16()?,
            local_tag: fields.u32()?,
            peer_tag: fields.u32()?,
            local_tsn: fields.u32()?,
            peer_tsn: fields.u32()?,
            peer_window: fields.u32()?,
            outgoing_streams: fields.u16()?,
            incoming_streams: fields.u16()?,
            tie_tags: TieTags { local: fields.u32()?, peer: fields.u32()? },
            capabilities: Capabilities::from_flags(fields.u32()?),
        })
    }
}

/// A cursor over the body.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (field, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*field)
    }

    fn u16(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Option<u32> {
        self.take().map(u32::from_be_bytes)
    }

    fn u64(&mut self) -> Option<u64> {
        self.take().map(u64::from_be_bytes)
    }
}

/// The number of the key that was current then.
fn generation(age: Duration) -> u64 {
    age.as_secs().checked_div(KEY_LIFE.as_secs()).unwrap_or_default()
}

/// RFC 9260 §5.1.3 recommends to change the secret key "reasonably frequently".
const KEY_LIFE: Duration = Duration::from_secs(3600);
/// Streams of the generator below this one serve tags and nonces.
const COOKIE_KEY_STREAMS: u64 = 1 << 32;
/// Other than the first bytes of any known stack's cookie: peers guess the stack from them.
const MAGIC: [u8; 4] = *b"Strt";
const ZERO_CHECKSUM: u32 = 1;
const RECONFIG: u32 = 2;
const PARTIAL_RELIABILITY: u32 = 4;
const INTERLEAVING: u32 = 8;
const BODY_LEN: usize = 4 + 8 + 2 * 2 + 5 * 4 + 2 * 2 + 2 * 4 + 4;
const COOKIE_LEN: usize = BODY_LEN + 32;

#[cfg(test)]
mod tests {
    use super::*;

    fn cookie(created: Duration) -> Cookie {
        Cookie {
            created,
            local_port: 5000,
            remote_port: 5001,
            local_tag: 0x1111_2222,
            peer_tag: 0x3333_4444,
            local_tsn: u32::MAX,
            peer_tsn: 7,
            peer_window: 1 << 20,
            outgoing_streams: 65535,
            incoming_streams: 1024,
            tie_tags: TieTags { local: 5, peer: 6 },
            capabilities: Capabilities { zero_checksum: true, interleaving: true, ..Capabilities::default() },
        }
    }

    #[test]
    fn a_cookie_survives_the_round_trip() {
        let now = Instant::now();
        let jar = CookieJar::new([7; 32], now);
        let bytes = jar.seal(&cookie(Duration::from_millis(1500)));
        assert_eq!(bytes.len(), COOKIE_LEN);
        const { assert!(COOKIE_LEN <= 300) };
        let later = now + Duration::from_secs(2);
        assert_eq!(jar.open(later, &bytes), Some(cookie(Duration::from_millis(1500))));
    }

    /// RFC 9260 §5.1.5 (2): a cookie whose MAC does not fit is nobody's.
    #[test]
    fn every_flipped_bit_and_every_truncation_is_noticed() {
        let now = Instant::now();
        let jar = CookieJar::new([7; 32], now);
        let bytes = jar.seal(&cookie(Duration::ZERO));
        for bit in 0..bytes.len() * 8 {
            let mut forged = bytes.to_vec();
            forged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(jar.open(now, &forged), None, "bit {bit}");
        }
        for len in 0..bytes.len() {
            assert_eq!(jar.open(now, &bytes[..len]), None, "length {len}");
        }
        let mut longer = bytes.to_vec();
        longer.push(0);
        assert_eq!(jar.open(now, &longer), None);
    }

    #[test]
    fn another_seed_makes_other_cookies() {
        let now = Instant::now();
        let bytes = CookieJar::new([7; 32], now).seal(&cookie(Duration::ZERO));
        assert_eq!(CookieJar::new([8; 32], now).open(now, &bytes), None);
        assert_eq!(CookieJar::new([7; 32], now).seal(&cookie(Duration::ZERO)), bytes);
    }

    /// RFC 9260 §5.1.3: the key changes; the previous one is still good, the one before it is not.
    #[test]
    fn a_cookie_outlives_one_key_change_but_not_two() {
        let now = Instant::now();
        let jar = CookieJar::new([7; 32], now);
        let bytes = jar.seal(&cookie(Duration::from_secs(10)));
        assert!(jar.open(now + KEY_LIFE, &bytes).is_some());
        assert!(jar.open(now + 2 * KEY_LIFE - Duration::from_nanos(1), &bytes).is_some());
        assert_eq!(jar.open(now + 2 * KEY_LIFE, &bytes), None);
    }
}
