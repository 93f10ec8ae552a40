//! Candidates that trickle in (W3C webrtc-pc §4.4.1.7 addIceCandidate, RFC 8838).

use super::remote::{MAX_CANDIDATES, Remote};
use super::types::RemoteCandidate;
use super::{Negotiation, State};
use crate::{CandidateError, IceCandidate};
use straits_ice::{self as ice, Candidate};

impl Negotiation {
    /// Checks a candidate from the peer and records it in the remote descriptions of its generation.
    ///
    /// An empty candidate string is the end of candidates: of the section that is named, or of all.
    ///
    /// # Errors
    /// In the order of the W3C text: without a section, before a remote description, with an unknown section or
    /// username fragment, if it is malformed or one too many. Nothing is recorded then.
    pub fn add_remote_candidate(
        &mut self,
        candidate: &IceCandidate,
    ) -> Result<RemoteCandidate, CandidateError> {
        if self.closed {
            return Err(CandidateError::Closed);
        }
        let named = candidate.sdp_mid.is_some() || candidate.sdp_mline_index.is_some();
        let end = candidate.candidate.is_empty();
        if !named && !end {
            return Err(CandidateError::NoSection);
        }
        let remote = self.remote_description().ok_or(CandidateError::NoRemoteDescription)?;
        let section = if named { Some(section_of(remote, candidate)?) } else { None };
        let parsed: Option<Candidate> = if end { None } else { Some(candidate.candidate.parse()?) };
        let fragment = candidate.username_fragment.as_deref();
        let fragment = fragment.or(parsed.as_ref().and_then(|candidate| candidate.ufrag.as_deref()));
        // The default is the present generation, that of the newest description.
        let fragment = match (fragment, section) {
            (Some(fragment), _) => Some(fragment.to_owned()),
            (None, Some(index)) => remote.sections.get(index).and_then(|section| section.ufrag.clone()),
            (None, None) => None,
        };
        let scope =
            Scope { section, fragment, any: section.is_none() && candidate.username_fragment.is_none() };
        if !scope.any && !self.remotes().any(|remote| scope.matches(remote)) {
            return Err(CandidateError::UnknownFragment);
        }
        match parsed {
            None => Ok(self.end_candidates(&scope)),
            Some(parsed) => self.record(&scope, candidate.candidate.trim_ascii(), parsed),
        }
    }

    fn end_candidates(&mut self, scope: &Scope) -> RemoteCandidate {
        let mut result = RemoteCandidate::Unused;
        for remote in self.remotes_mut() {
            if scope.is_for_data(remote) {
                result = RemoteCandidate::EndOfCandidates;
            }
            for index in scope.sections(remote) {
                let Some(section) = remote.sections.get_mut(index) else { continue };
                if !section.end_of_candidates {
                    section.end_of_candidates = true;
                    section.added.push("end-of-candidates".to_owned());
                }
            }
        }
        result
    }

    fn record(
        &mut self,
        scope: &Scope,
        text: &str,
        mut parsed: Candidate,
    ) -> Result<RemoteCandidate, CandidateError> {
        // It was understood, so it is one line.
        let text = text.strip_prefix("a=").unwrap_or(text);
        let text = format!("candidate:{}", text.strip_prefix("candidate:").unwrap_or(text));
        let known = |line: &String| *line == text;
        let full = |remote: &Remote| {
            let mut sections =
                scope.sections(remote).into_iter().filter_map(|index| remote.sections.get(index));
            sections.any(|section| section.candidates >= MAX_CANDIDATES && !section.added.iter().any(known))
        };
        if self.remotes().any(full) {
            return Err(ice::CandidateError::TooMany { max: MAX_CANDIDATES }.into());
        }
        let mut for_data = false;
        for remote in self.remotes_mut() {
            for_data |= scope.is_for_data(remote);
            for index in scope.sections(remote) {
                let Some(section) = remote.sections.get_mut(index) else { continue };
                if !section.added.iter().any(known) {
                    section.candidates += 1;
                    section.added.push(text.clone());
                }
            }
        }
        if !for_data {
            return Ok(RemoteCandidate::Unused);
        }
        parsed.ufrag.clone_from(&scope.fragment);
        Ok(RemoteCandidate::Candidate(parsed))
    }

    /// Pending, then current.
    fn remotes(&self) -> impl Iterator<Item = &Remote> {
        self.state.remote().into_iter().chain(self.current.as_ref().map(|current| &current.remote))
    }

    fn remotes_mut(&mut self) -> impl Iterator<Item = &mut Remote> {
        let pending = match &mut self.state {
            State::HaveRemoteOffer { offer } | State::HaveLocalPranswer { offer, .. } => Some(offer),
            State::HaveRemotePranswer { answer, .. } => Some(answer),
            State::Stable | State::HaveLocalOffer { .. } => None,
        };
        pending.into_iter().chain(self.current.as_mut().map(|current| &mut current.remote))
    }
}

/// Which sections of which descriptions a candidate belongs to.
struct Scope {
    /// `None`: every section.
    section: Option<usize>,
    /// `None`: sections without credentials.
    fragment: Option<String>,
    /// Every section of every generation.
    any: bool,
}

impl Scope {
    fn matches(&self, remote: &Remote) -> bool {
        !self.sections(remote).is_empty()
    }

    fn sections(&self, remote: &Remote) -> Vec<usize> {
        let mut indices = Vec::new();
        for (index, section) in remote.sections.iter().enumerate() {
            if self.section.is_none_or(|wanted| wanted == index)
                && (self.any || section.ufrag == self.fragment)
            {
                indices.push(index);
            }
        }
        indices
    }

    /// A candidate of a section that shares the transport of the data section, as bundled ones do, is one for it.
    fn is_for_data(&self, remote: &Remote) -> bool {
        let Some(transport) = remote.transport() else { return false };
        let mut sections = self.sections(remote).into_iter().filter_map(|index| remote.sections.get(index));
        sections.any(|section| section.ufrag.as_ref() == Some(&transport.credentials.ufrag))
    }
}

/// ICE-12 to 14 of the W3C tests: a mid counts before an index.
fn section_of(remote: &Remote, candidate: &IceCandidate) -> Result<usize, CandidateError> {
    let index = match (&candidate.sdp_mid, candidate.sdp_mline_index) {
        (Some(mid), _) => remote.sections.iter().position(|section| section.mid.as_ref() == Some(mid)),
        (None, Some(index)) => Some(usize::from(index)).filter(|index| *index < remote.sections.len()),
        (None, None) => None,
    };
    index.ok_or(CandidateError::UnknownSection)
}
