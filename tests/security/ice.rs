//! Attacks on the ICE agent: messages without integrity, forged answers, floods of candidates, expired consent.

use super::stun::*;
use bytes::BytesMut;
use rand::{RngExt as _, SeedableRng as _};
use rand_chacha::ChaCha12Rng;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::time::{Duration, Instant};
use straits_peer::ice::{
    Agent, Candidate, CandidateError, Config, Credentials, Event, FailureReason, Mode, Role, Route, State,
};

const OURS: &str = "192.0.2.1:5000";
const PEER: &str = "192.0.2.2:6000";
const STRANGER: &str = "198.51.100.9:9";
const PASSWORD: &str = "the+peers+own+password+1";

/// An agent, and all that a peer or a stranger knows of it.
struct Victim {
    agent: Agent,
    now: Instant,
    count: u64,
}

/// What must not change by what is dropped.
#[derive(Debug, PartialEq)]
struct Snapshot {
    state: State,
    role: Role,
    selected: Option<Route>,
    remote: Vec<Candidate>,
    timeout: Option<Instant>,
    may_send: bool,
}

impl Victim {
    /// A lite agent in front of a peer of this mode, with one address each.
    fn new(config: Config, mode: Mode, role: Role) -> Self {
        let now = Instant::now();
        let mut agent = Agent::new(config, [9; 32], now);
        agent.set_role(now, role);
        agent.add_local_candidate(now, address(OURS));
        agent.set_gathering_complete(now);
        let credentials = Credentials::new("peer", PASSWORD).unwrap();
        agent.set_remote_credentials(now, credentials, mode);
        let mut victim = Self { agent, now, count: 0 };
        victim.events();
        victim
    }

    /// Before a full peer, which has nominated a route.
    fn nominated() -> Self {
        let mut victim = Self::new(Config::default(), Mode::Full, Role::Controlled);
        let request = victim.request(true);
        assert_eq!(victim.hears(PEER, &request).len(), 1);
        assert_eq!(victim.agent.selected(), Some(route(PEER)));
        victim.events();
        victim
    }

    /// Before a lite peer, connected by a check of its own that was answered.
    fn consenting(config: Config) -> Self {
        let mut victim = Self::new(config, Mode::Lite, Role::Controlling);
        let candidate = format!("candidate:1 1 UDP 2130706431 {} typ host", PEER.replace(':', " "));
        victim.agent.add_remote_candidate(victim.now, candidate.parse().unwrap()).unwrap();
        while victim.agent.selected().is_none() {
            for (_, request) in victim.sends() {
                let answer = victim.answer(&request);
                victim.hears(PEER, &answer);
            }
            if victim.agent.selected().is_none() {
                victim.fire_next();
            }
        }
        victim.events();
        victim
    }

    fn password(&self) -> String {
        self.agent.local_credentials().password.clone()
    }

    fn next_id(&mut self) -> [u8; 12] {
        self.count += 1;
        let mut id = [0x5a; 12];
        id[..8].copy_from_slice(&self.count.to_be_bytes());
        id
    }

    /// The beginning of a request of the peer: everything but its seal.
    fn bare(&mut self, nominates: bool) -> Stun {
        let username = format!("{}:peer", self.agent.local_credentials().ufrag);
        let id = self.next_id();
        let request = Stun::new(REQUEST, id)
            .with(USERNAME, username.as_bytes())
            .with(PRIORITY, &0x6e00_1234_u32.to_be_bytes())
            .with(ICE_CONTROLLING, &7_u64.to_be_bytes());
        if nominates { request.with(USE_CANDIDATE, &[]) } else { request }
    }

    /// A good request of the peer.
    fn request(&mut self, nominates: bool) -> Stun {
        let password = self.password();
        self.bare(nominates).sealed(&password).fingerprinted()
    }

    /// A good answer of the peer.
    fn answer(&self, request: &Stun) -> Stun {
        Stun::new(SUCCESS, request.id())
            .with(XOR_MAPPED_ADDRESS, &xor_mapped(address(OURS)))
            .sealed(PASSWORD)
            .fingerprinted()
    }

    /// What it says when this comes from there.
    fn hears(&mut self, from: &str, message: &Stun) -> Vec<Stun> {
        self.agent.handle_datagram(self.now, route(from), &message.0);
        self.sends().into_iter().map(|(_, message)| message).collect()
    }

    fn sends(&mut self) -> Vec<(Route, Stun)> {
        let mut sent = Vec::new();
        let mut buffer = BytesMut::new();
        while let Some(route) = self.agent.poll_transmit(self.now, &mut buffer) {
            sent.push((route, Stun(buffer.split().to_vec())));
        }
        sent
    }

    fn events(&mut self) -> Vec<Event> {
        std::iter::from_fn(|| self.agent.poll_event()).collect()
    }

    fn fire_next(&mut self) {
        self.now = self.agent.poll_timeout().expect("a timer");
        self.agent.handle_timeout(self.now);
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot {
            state: self.agent.state(),
            role: self.agent.role(),
            selected: self.agent.selected(),
            remote: self.agent.remote_candidates().to_vec(),
            timeout: self.agent.poll_timeout(),
            may_send: self.agent.may_send(),
        }
    }

    /// Nothing comes of it: no answer, no event, no state.
    #[track_caller]
    fn assert_ignores(&mut self, from: &str, message: &Stun) {
        let before = self.snapshot();
        assert_eq!(self.hears(from, message), []);
        assert_eq!(self.events(), []);
        assert_eq!(self.snapshot(), before);
        assert!(from == PEER || !self.agent.is_valid_route(route(from)));
    }
}

fn address(text: &str) -> SocketAddr {
    text.parse().unwrap()
}

fn route(remote: &str) -> Route {
    Route { local: address(OURS), remote: address(remote) }
}

/// A request is as good as its integrity: left out, cut, moved, repeated, of another key or another hash, it is nothing.
#[test]
fn attack_45_requests_without_sound_integrity_are_ignored() {
    let mut victim = Victim::nominated();
    let password = victim.password();
    let mut attacks: Vec<Stun> = Vec::new();
    for nominates in [false, true] {
        let bare = victim.bare(nominates);
        attacks.push(bare.clone());
        attacks.push(bare.clone().fingerprinted());
        attacks.push(bare.clone().with(MESSAGE_INTEGRITY, &[0; 20]).fingerprinted());
        attacks.push(bare.clone().with(MESSAGE_INTEGRITY, &[]).fingerprinted());
        for wrong in ["", "peer", PASSWORD, &password[1..], &password.to_lowercase()] {
            attacks.push(bare.clone().sealed(wrong).fingerprinted());
        }
        let sealed = bare.clone().sealed(&password);
        let tag = sealed.attribute(MESSAGE_INTEGRITY).unwrap();
        // As much as fits of the right tag, alone, as another attribute, twice, and before what it should cover.
        for len in [4, 8, 16, 19] {
            attacks.push(bare.clone().with(MESSAGE_INTEGRITY, &tag[..len]).fingerprinted());
        }
        attacks.push(bare.clone().with(MESSAGE_INTEGRITY, &[&tag[..], &[0; 4]].concat()).fingerprinted());
        attacks.push(bare.clone().with(MESSAGE_INTEGRITY_SHA256, &tag).fingerprinted());
        attacks.push(sealed.clone().with(MESSAGE_INTEGRITY, &tag).fingerprinted());
        attacks.push(sealed.clone().sealed(&password).fingerprinted());
        let mut moved = Stun::new(REQUEST, bare.id()).sealed(&password);
        for (kind, value) in bare.attributes() {
            moved = moved.with(kind, &value);
        }
        attacks.push(moved.fingerprinted());
    }
    for (n, attack) in attacks.iter().enumerate() {
        for from in [STRANGER, PEER] {
            victim.assert_ignores(from, attack);
        }
        let stats = victim.agent.stats();
        assert_eq!(stats.unauthenticated + stats.malformed, 2 * (n as u64 + 1));
    }
    // Every bit under the seal counts.
    let good = victim.request(true);
    for bit in 0..(good.0.len() - 8) * 8 {
        let mut flipped = good.clone();
        flipped.0[bit / 8] ^= 1 << (bit % 8);
        victim.assert_ignores(STRANGER, &flipped);
    }
    assert_eq!(victim.hears(PEER, &good).len(), 1, "and the good one is answered");
}

/// Attributes behind the seal are nobody's: no nomination, no role, no priority comes of them.
#[test]
fn attack_45_attributes_behind_the_seal_do_not_count() {
    let mut victim = Victim::nominated();
    let password = victim.password();
    let behind = victim
        .bare(false)
        .sealed(&password)
        .with(USE_CANDIDATE, &[])
        .with(ICE_CONTROLLED, &u64::MAX.to_be_bytes())
        .with(0x7fff, &[1, 2, 3])
        .fingerprinted();
    let answers = victim.hears("192.0.2.2:6001", &behind);
    assert_eq!(answers.iter().map(Stun::kind).collect::<Vec<_>>(), [SUCCESS]);
    assert_eq!(victim.agent.selected(), Some(route(PEER)));
    assert_eq!(victim.agent.role(), Role::Controlled);
}

/// The same for answers: one that is not sealed with the peer's password proves nothing, even with the right number from the
/// right place.
#[test]
fn attack_45_49_forged_answers_are_ignored() {
    let mut victim = Victim::new(Config::default(), Mode::Lite, Role::Controlling);
    let candidate = format!("candidate:1 1 UDP 2130706431 {} typ host", PEER.replace(':', " "));
    victim.agent.add_remote_candidate(victim.now, candidate.parse().unwrap()).unwrap();
    let [(_, request)] = &victim.sends()[..] else { panic!("one check") };
    victim.events();
    let bare = || Stun::new(SUCCESS, request.id()).with(XOR_MAPPED_ADDRESS, &xor_mapped(address(OURS)));
    let our_password = victim.password();
    for forged in [
        bare(),
        bare().fingerprinted(),
        bare().sealed("a+guess+of+24+characters").fingerprinted(),
        // The key of requests to us, which is not that of answers to us.
        bare().sealed(&our_password).fingerprinted(),
        Stun::new(ERROR, request.id()).with(ERROR_CODE, &[0, 0, 4, 87]).fingerprinted(),
        Stun::new(ERROR, request.id())
            .with(ERROR_CODE, &[0, 0, 4, 3])
            .sealed("wrong+wrong+wrong+wrong")
            .fingerprinted(),
        // Our own request, mirrored.
        request.clone(),
    ] {
        victim.assert_ignores(PEER, &forged);
    }
    // A true answer from elsewhere, and of another number.
    let good = victim.answer(request);
    for from in [STRANGER, "192.0.2.2:6001", "192.0.2.3:6000"] {
        victim.assert_ignores(from, &good);
    }
    for byte in 8..20 {
        let mut other = good.clone();
        other.0[byte] ^= 1;
        victim.assert_ignores(PEER, &other);
    }
    let stats = victim.agent.stats();
    assert_eq!((stats.responses_received, stats.unexpected_responses), (0, 15));
    victim.hears(PEER, &good);
    assert_eq!(victim.agent.stats().responses_received, 1);
    // Its number is spent.
    victim.events();
    victim.assert_ignores(PEER, &good);
}

/// Every request has a number of its own, that nobody can guess from those before.
#[test]
fn attack_49_transaction_ids_are_random() {
    let mut victim = Victim::consenting(Config::default());
    let mut ids = BTreeSet::new();
    for _ in 0..500 {
        for (_, request) in victim.sends() {
            assert!(ids.insert(request.id()), "a number again");
            let answer = victim.answer(&request);
            victim.hears(PEER, &answer);
        }
        victim.fire_next();
    }
    assert!(ids.len() > 300, "{}", ids.len());
    // Each of the 96 bits is set in about half of them.
    for bit in 0..96 {
        let set = ids.iter().filter(|id| id[bit / 8] >> (bit % 8) & 1 == 1).count();
        assert!(set * 3 > ids.len() && set * 3 < ids.len() * 2, "bit {bit} in {set} of {}", ids.len());
    }
}

/// Bad checks hurt nobody: whatever comes in the name of the peer, the session goes on as it was.
#[test]
fn attack_46_failed_checks_do_not_hurt_the_session() {
    let mut victim = Victim::nominated();
    let mut random = ChaCha12Rng::seed_from_u64(1);
    let before = victim.snapshot();
    for n in 0..2000 {
        let bare = victim.bare(n % 2 == 0);
        let forged = match n % 4 {
            0 => bare.sealed("a+guess+of+24+characters").fingerprinted(),
            1 => bare.fingerprinted(),
            2 => Stun::new(ERROR, bare.id()).with(ERROR_CODE, &[0, 0, 4, 3]).fingerprinted(),
            _ => {
                let mut noise = bare.sealed("x").0;
                let at = random.random_range(0..noise.len());
                noise[at] = random.random();
                Stun(noise)
            }
        };
        let from = if n % 3 == 0 { PEER } else { STRANGER };
        victim.assert_ignores(from, &forged);
    }
    assert_eq!(victim.snapshot(), before);
    let request = victim.request(false);
    assert_eq!(victim.hears(PEER, &request).len(), 1, "none of it counted against the peer's own checks");
}

/// Both halves of USERNAME have to be right, and it is sealed with our password whatever it says.
#[test]
fn attack_47_usernames_have_to_match() {
    let mut victim = Victim::nominated();
    let ours = victim.agent.local_credentials().ufrag.clone();
    let password = victim.password();
    let mut names = vec![
        String::new(),
        ":".into(),
        ours.clone(),
        format!("{ours}:"),
        format!(":{ours}"),
        "peer".into(),
        format!("peer:{ours}"),
        format!("{ours}:peer:"),
        format!("{ours}:peerx"),
        format!("{ours}:pee"),
        format!("{ours}:PEER"),
        format!("x{ours}:peer"),
        format!("{ours}::peer"),
        format!("{ours}:peer\0"),
        format!("{}:peer", ours.to_lowercase() + "-"),
        format!("{ours} :peer"),
    ];
    names.push(format!("{ours}:{}", "p".repeat(600)));
    for name in names {
        let id = victim.next_id();
        let forged = Stun::new(REQUEST, id)
            .with(USERNAME, name.as_bytes())
            .with(ICE_CONTROLLING, &7_u64.to_be_bytes())
            .with(USE_CANDIDATE, &[])
            .sealed(&password)
            .fingerprinted();
        victim.assert_ignores(STRANGER, &forged);
    }
    // None at all, and one that is not text.
    for value in [None, Some(&b"\xff\xfe:peer"[..])] {
        let mut forged = Stun::new(REQUEST, [3; 12]);
        if let Some(value) = value {
            forged = forged.with(USERNAME, value);
        }
        victim.assert_ignores(STRANGER, &forged.sealed(&password).fingerprinted());
    }
}

/// RFC 8839 §5.4: at least 24 and 128 bits, of which each seed makes others.
#[test]
fn attack_47_credentials_cannot_be_guessed() {
    let now = Instant::now();
    let mut fragments = BTreeSet::new();
    let mut passwords = BTreeSet::new();
    let mut symbols = BTreeSet::new();
    for seed in 0..=255 {
        let agent = Agent::new(Config::default(), [seed; 32], now);
        let credentials = agent.local_credentials();
        // Six bits a symbol.
        assert!(credentials.ufrag.len() * 6 >= 24 && credentials.password.len() * 6 >= 128);
        symbols.extend(credentials.password.bytes());
        fragments.insert(credentials.ufrag.clone());
        passwords.insert(credentials.password.clone());
    }
    assert_eq!((fragments.len(), passwords.len(), symbols.len()), (256, 256, 64));
}

/// Lengths, padding and families that are not what they say: dropped, with nothing behind the message read.
#[test]
fn attack_48_malformed_messages_are_dropped() {
    let mut victim = Victim::nominated();
    let good = victim.request(true);
    // A wrong length in the header or in any attribute, with the right bytes behind the message.
    for delta in [-24_i32, -8, -4, -1, 1, 2, 4, 8, 400, 60_000] {
        let mut wrong = good.clone();
        let len = i32::try_from(good.0.len() - 20).unwrap() + delta;
        wrong.set_length(usize::try_from(len).unwrap());
        wrong.0.extend(&good.0);
        victim.assert_ignores(STRANGER, &wrong);
    }
    let password = victim.password();
    let ours = victim.agent.local_credentials().ufrag.clone();
    for len in [0_u16, 1, 3, 5, 255, 1000, 0x7fff, 0xffff] {
        let id = victim.next_id();
        let mut wrong = Stun::new(REQUEST, id).with(USERNAME, format!("{ours}:peer").as_bytes());
        wrong.0[22..24].copy_from_slice(&len.to_be_bytes());
        victim.assert_ignores(STRANGER, &wrong.sealed(&password).fingerprinted());
    }
    for attributes in [33, 40, 300] {
        let mut many = victim.bare(true);
        for _ in 0..attributes {
            many = many.with(0x8fff, &[]);
        }
        victim.assert_ignores(STRANGER, &many.sealed(&password).fingerprinted());
    }
    let large = victim.bare(true).with(0x8fff, &[0; 1460]).sealed(&password).fingerprinted();
    assert!(large.0.len() > 1500);
    victim.assert_ignores(STRANGER, &large);
    assert!(victim.agent.stats().malformed >= 20);
}

/// RFC 8489 §6.3.1: unknown attributes that must be understood are refused, with a list of them that is not longer than the
/// request.
#[test]
fn attack_48_51_unknown_attributes_draw_a_bounded_refusal() {
    let mut victim = Victim::nominated();
    let password = victim.password();
    let mut request = victim.bare(true);
    for kind in 0..26 {
        request = request.with(0x7000 + kind, &[]);
    }
    let request = request.sealed(&password).fingerprinted();
    let [refusal] = &victim.hears(STRANGER, &request)[..] else { panic!("one answer") };
    assert_eq!((refusal.kind(), refusal.code()), (ERROR, Some(420)));
    let listed = refusal.attribute(UNKNOWN_ATTRIBUTES).unwrap().len() / 2;
    assert!(
        (1..=26).contains(&listed) && refusal.0.len() <= request.0.len(),
        "{listed}, {}",
        refusal.0.len()
    );
    assert_eq!(victim.agent.selected(), Some(route(PEER)), "and no nomination");
}

/// A mapped address of another family, or cut short, in an answer that is sealed: harmless.
#[test]
fn attack_48_strange_addresses_in_answers_are_harmless() {
    for value in [
        &[][..],
        &[0],
        &[0, 1, 0, 0],
        &[0, 2, 1, 1, 1, 1, 1, 1],
        &[0, 9, 1, 1, 1, 1, 1, 1],
        &[0; 20],
        &[0xff; 200],
    ] {
        let mut victim = Victim::consenting(Config::default());
        while victim.agent.stats().requests_sent < 4 {
            victim.fire_next();
            for (_, request) in victim.sends() {
                let strange = Stun::new(SUCCESS, request.id())
                    .with(XOR_MAPPED_ADDRESS, value)
                    .sealed(PASSWORD)
                    .fingerprinted();
                victim.hears(PEER, &strange);
            }
        }
        assert_eq!(victim.agent.selected(), Some(route(PEER)));
    }
}

/// The peer may have a thousand addresses, or say so: what is remembered of them, and sent to them, is bounded.
#[test]
fn attack_50_candidate_floods_are_bounded() {
    let mut victim = Victim::new(Config::default(), Mode::Lite, Role::Controlling);
    let start = victim.now;
    let mut refused = 0;
    for n in 0..1000 {
        let line = format!("candidate:1 1 UDP 2130706431 192.0.2.{} {} typ host", n % 250 + 3, 1024 + n);
        match victim.agent.add_remote_candidate(victim.now, line.parse().unwrap()) {
            Ok(()) => {}
            Err(CandidateError::TooMany { max: 100 }) => refused += 1,
            Err(error) => panic!("{error}"),
        }
    }
    assert_eq!((victim.agent.remote_candidates().len(), refused), (100, 900));
    // RFC 8445 §14.2: first checks are 50 ms apart, whatever there is to check.
    let mut targets = BTreeSet::new();
    let mut last = None;
    while victim.now < start + Duration::from_secs(4) {
        for (route, _) in victim.sends() {
            if targets.insert(route) {
                assert!(last.is_none_or(|last| victim.now >= last + Duration::from_millis(50)));
                last = Some(victim.now);
            }
        }
        victim.fire_next();
    }
    assert!((60..=81).contains(&targets.len()), "{} targets in 4 s", targets.len());
}

/// Nobody is checked at an address that is no single host's, nor on a port that is none.
#[test]
fn attack_50_no_check_goes_to_many_or_to_nobody() {
    let mut victim = Victim::new(Config::default(), Mode::Lite, Role::Controlling);
    for address in [
        "224.0.0.1 5000",
        "239.255.255.250 1900",
        "255.255.255.255 5000",
        "0.0.0.0 5000",
        "192.0.2.9 0",
        "ff02::1 5000",
        ":: 5000",
        "::ffff:224.0.0.1 5000",
        "127.0.0.1 22",
        "::1 22",
        "fe80::1 5000",
    ] {
        let line = format!("candidate:1 1 UDP 2130706431 {address} typ host");
        // Refused by the parser, ignored by the agent, or never paired with an address of ours.
        if let Ok(candidate) = line.parse() {
            victim.agent.add_remote_candidate(victim.now, candidate).unwrap();
        }
    }
    let mut sent = victim.sends();
    while victim.agent.state() != State::Failed && victim.agent.poll_timeout().is_some() {
        victim.fire_next();
        sent.extend(victim.sends());
    }
    assert_eq!(sent, []);
}

/// A peer that claims the same role with every tie-breaker there is settles nothing but the role.
#[test]
fn attack_50_role_conflicts_end() {
    let mut victim = Victim::consenting(Config::default());
    let password = victim.password();
    let username = format!("{}:peer", victim.agent.local_credentials().ufrag);
    for n in 0..60_u64 {
        let role = if n % 2 == 0 { ICE_CONTROLLING } else { ICE_CONTROLLED };
        let tie_breaker = if n % 3 == 0 { u64::MAX } else { n };
        let id = victim.next_id();
        let request = Stun::new(REQUEST, id)
            .with(USERNAME, username.as_bytes())
            .with(PRIORITY, &1_u32.to_be_bytes())
            .with(role, &tie_breaker.to_be_bytes())
            .sealed(&password)
            .fingerprinted();
        let answers = victim.hears(PEER, &request);
        assert!(answers.iter().filter(|answer| answer.kind() != REQUEST).count() == 1, "one answer each");
        assert_eq!(victim.agent.selected(), Some(route(PEER)));
        assert_eq!(victim.agent.state(), State::Connected);
    }
}

/// Requests from ever new addresses, sealed: a few a second are remembered, and the routes are bounded.
#[test]
fn attack_50_51_authenticated_floods_are_bounded() {
    let mut victim = Victim::nominated();
    let (mut answered, mut bytes_in, mut bytes_out) = (0, 0, 0);
    for second in 0..30 {
        for n in 0..300 {
            let request = victim.request(false);
            bytes_in += request.0.len();
            let from = format!("203.0.113.{}:{}", n % 250 + 1, 1024 + second * 300 + n);
            let answers = victim.hears(&from, &request);
            answered += answers.len();
            for answer in answers {
                assert!(answer.0.len() <= request.0.len(), "{} for {}", answer.0.len(), request.0.len());
                bytes_out += answer.0.len();
            }
        }
        victim.now += Duration::from_secs(1);
    }
    assert!((250..=320).contains(&answered), "{answered}: ten a second");
    assert!(bytes_out * 10 < bytes_in);
    assert!(victim.agent.remote_candidates().len() <= 201);
    // From one address: a hundred a second.
    let answered: usize = (0..1000)
        .map(|_| {
            let request = victim.request(false);
            victim.hears(PEER, &request).len()
        })
        .sum();
    assert!(answered <= 100, "{answered}");
    assert_eq!(victim.agent.selected(), Some(route(PEER)), "the newest nomination stays");
}

/// Who does not know the password gets nothing back, so nothing can be bounced off us.
#[test]
fn attack_51_nothing_is_reflected() {
    let mut victim = Victim::nominated();
    for kind in [REQUEST, INDICATION, SUCCESS, ERROR, 0x0003, 0x0004, 0x0103] {
        for password in [None, Some("a+guess+of+24+characters")] {
            let id = victim.next_id();
            let bare = Stun::new(kind, id).with(USERNAME, b"x:y");
            let message = match password {
                None => bare.fingerprinted(),
                Some(password) => bare.sealed(password).fingerprinted(),
            };
            victim.assert_ignores(STRANGER, &message);
            victim.assert_ignores(STRANGER, &Stun::new(kind, id));
        }
    }
}

/// RFC 7675 §5.1: consent ends exactly that long after the last answer, whatever else comes; answers that are forged, late or
/// repeated do not prolong it.
#[test]
fn attack_52_consent_ends_on_time() {
    let config =
        Config::default().consent_interval(Duration::from_secs(5)).failed_after(Duration::from_secs(30));
    let mut victim = Victim::consenting(config);
    let mut answered = victim.now;
    let mut last = None;
    for _ in 0..10 {
        victim.fire_next();
        for (_, request) in victim.sends() {
            let answer = victim.answer(&request);
            victim.hears(PEER, &answer);
            answered = victim.now;
            last = Some(answer);
        }
    }
    let last = last.expect("consent was asked for");
    let mut withheld = Vec::new();
    while victim.agent.may_send() {
        assert!(victim.now < answered + Duration::from_secs(30), "still sending");
        let due = victim.agent.poll_timeout().unwrap();
        victim.now = due;
        victim.agent.handle_timeout(due);
        for (_, request) in victim.sends() {
            withheld.push(victim.answer(&request));
            let forged = Stun::new(SUCCESS, request.id()).sealed("a+guess+of+24+characters").fingerprinted();
            victim.hears(PEER, &forged);
        }
        victim.hears(PEER, &last);
        // Traffic and checks of the peer are signs of life, and no consent.
        let now = victim.now;
        victim.agent.record_traffic(now);
        let request = victim.request(false);
        victim.hears(PEER, &request);
    }
    assert_eq!(victim.now, answered + Duration::from_secs(30));
    assert_eq!(victim.agent.failure_reason(), Some(FailureReason::ConsentExpired));
    assert!(withheld.len() > 10);
    for late in withheld {
        assert_eq!(victim.hears(PEER, &late), []);
    }
    assert!(!victim.agent.may_send() && victim.agent.poll_timeout().is_none());
}

/// RFC 7675 §5.2: only the peer itself can take its consent back, and then it is gone at once.
#[test]
fn attack_52_only_the_peer_revokes_consent() {
    let mut victim = Victim::consenting(Config::default());
    victim.fire_next();
    let request = victim.sends().into_iter().map(|(_, request)| request).next_back().expect("a check");
    let refusal = || Stun::new(ERROR, request.id()).with(ERROR_CODE, &[0, 0, 4, 3]);
    victim.assert_ignores(PEER, &refusal().fingerprinted());
    victim.assert_ignores(PEER, &refusal().sealed("a+guess+of+24+characters").fingerprinted());
    victim.hears(PEER, &refusal().sealed(PASSWORD).fingerprinted());
    assert!(!victim.agent.may_send());
}
