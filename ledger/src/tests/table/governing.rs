//! What authorities propose and vote on, from the words of a line; and how proposals are shown.

use super::super::world::*;
use super::operations::{limits, text};
use super::{Line, Table};
use crate::factor::Impact;
use crate::footprint::Dimension;
use crate::governance::*;
use crate::id::{MemberId, ProposalId};
use crate::keys::{PublicKey, Signature};
use crate::limit::LimitList;
use crate::operation::Operation;
use crate::query;
use std::boxed::Box;
use std::format;
use std::string::String;
use std::vec::Vec;

impl Table {
    pub(super) fn proposal_named(&self, name: &str) -> ProposalId {
        self.proposals.get(name).copied().unwrap_or(ProposalId::new([9; 32]))
    }

    /// `propose p by=a admit=forge`, `approve p by=b`, `oppose p by=c`.
    pub(super) fn governing(&self, verb: &str, line: &Line<'_>) -> Option<Operation> {
        let vote = |approve| ProposalVote { proposal: self.proposal_named(line.name), approve };
        match verb {
            "propose" => Some(Operation::Propose(Box::new(Proposal {
                action: self.action(line),
                reason: text(line.or("reason", "agreed")),
                open_until: self.at(line, "open", (HOUR + STEP) as i64),
            }))),
            "approve" => Some(Operation::VoteProposal(vote(true))),
            "oppose" => Some(Operation::VoteProposal(vote(false))),
            _ => None,
        }
    }

    fn action(&self, line: &Line<'_>) -> Action {
        let action = line.words.keys().find_map(|word| match *word {
            "admit" => Some(Action::Admit(self.admission(line))),
            "remove" => Some(Action::Remove(Removal {
                member: member(line.or("remove", "")),
                from: self.commit_at(line, "from"),
            })),
            "issuer" => {
                let (currency, issuer) = line.or("issuer", "").split_once(':').expect("EUR:bank");
                let currency = text(currency);
                Some(Action::SetIssuer(IssuerChange { currency, issuer: member(issuer) }))
            }
            "limits" => Some(Action::SetLimits(LimitList { limits: limits(line) })),
            "materiality" => Some(Action::SetMateriality(thresholds(line.or("materiality", "")))),
            "operators" => {
                let names = line.or("operators", "").split(',').filter(|name| !name.is_empty());
                let mut operators: Vec<MemberId> = names.map(member).collect();
                if line.has("many") {
                    operators = std::vec![member("maker"); OPERATORS_MAX + 1];
                }
                Some(Action::SetOperators(operators))
            }
            "owner" => Some(Action::ReplaceOwnerKey(self.owner_key(line))),
            "version" => Some(Action::Activate(Activation {
                version: line.number("version", 2) as u32,
                from: self.commit_at(line, "from"),
            })),
            _ => None,
        });
        action.expect("an action")
    }

    fn admission(&self, line: &Line<'_>) -> Admission {
        let name = line.or("admit", "");
        let kind = match line.or("kind", "organisation") {
            "organisation" => AdmittedKind::Organisation,
            "publisher" => AdmittedKind::Publisher,
            _ => AdmittedKind::Auditor,
        };
        let called = text(line.or("called", name));
        let (owner, signing) = (owner_of(name), keypair(line.or("signing", name)));
        let mut admission = Admission::new(self.world.network, kind, called, &owner, &signing);
        match line.get("bent") {
            Some("name") => admission.name.push('!'),
            Some("kind") => admission.kind = AdmittedKind::Auditor,
            Some("owner") => admission.owner_proof = Signature::new([1; 64]),
            Some("signing") => admission.signing_proof = Signature::new([1; 64]),
            // The neutral point: whatever is signed, this signature fits.
            Some("weak") => {
                let mut neutral = [0; 64];
                neutral[0] = 1;
                admission.signing_key = PublicKey::new(*neutral.first_chunk().expect("32 bytes"));
                admission.signing_proof = Signature::new(neutral);
            }
            _ => {}
        }
        admission
    }

    /// `open, 2 for, 1 against`: of all who voted, whether they count or not.
    pub(super) fn see_proposal(&self, name: &str) -> String {
        let id = self.proposal_named(name);
        let Some(row) = query::proposal(&self.world.state, id).expect("proposal") else {
            return "nothing".into();
        };
        let state = format!("{:?}", row.state).to_lowercase();
        let approvals = row.ballots.iter().filter(|ballot| ballot.approve).count();
        format!("{state}, {approvals} for, {} against", row.ballots.len() - approvals)
    }

    pub(super) fn see_open(&self) -> String {
        let open = query::open_proposals(&self.world.state, 999).expect("proposals");
        let name = |id: &ProposalId| {
            let found = self.proposals.iter().find(|(_, named)| *named == id);
            found.expect("a name").0.as_str()
        };
        open.iter().map(name).collect::<Vec<_>>().join(" ")
    }

    /// `organisation in commit 0`, or how it ended.
    pub(super) fn see_member(&self, name: &str) -> String {
        let Some(row) = query::member(&self.world.state, member(name)).expect("member") else {
            return "nobody".into();
        };
        let kind = format!("{:?}", row.kind).to_lowercase();
        match row.revoked_from {
            None => kind,
            Some(from) => {
                let until = from.get() as i64 - self.world.commit as i64;
                format!("{kind} until {until:+}")
            }
        }
    }
}

/// `5`: five of climate. `none`, `twice`, `negative`.
fn thresholds(word: &str) -> Vec<Impact> {
    let climate = |value| Impact { dimension: Dimension::Climate, value };
    match word {
        "none" => Vec::new(),
        "twice" => std::vec![climate(1), climate(1)],
        "negative" => std::vec![climate(-1)],
        value => std::vec![climate(value.parse().expect("a threshold"))],
    }
}
