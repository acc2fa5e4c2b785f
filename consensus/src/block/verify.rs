//! The checks that make a well-formed block a valid one, in their order (§1.4).

use super::{
    BLOCK_VERSION, FLAG_WORK, ITEM_BYTES_MAX, Inner, PAYLOAD_BYTES_MAX, payload_root,
    signed_message,
};
use crate::{
    authority_set::AuthoritySet,
    block::Header,
    committee::Committee,
    fault::Fault,
    keys::Signature,
    types::{BlockRef, Round},
};

/// Every check, cheapest first.
pub(super) fn check(block: &Inner, committee: &Committee) -> Result<(), Fault> {
    let header = &block.header;
    identity(header, committee)?;
    parents(header, committee)?;
    signatures(block, committee)?;
    payload(block)
}

/// Version, domain, indices, round, flags: everything that is used as an index comes first.
fn identity(header: &Header, committee: &Committee) -> Result<(), Fault> {
    if header.version != BLOCK_VERSION {
        return Err(Fault::UnknownVersion(header.version));
    }
    if header.domain != committee.domain() {
        return Err(Fault::WrongDomain(header.domain));
    }
    committee.verifier(header.author)?;
    for parent in &header.parents {
        committee.verifier(parent.author)?;
    }
    if header.round == Round::GENESIS || header.round.0 > u64::MAX / 2 {
        return Err(Fault::RoundOutOfRange(header.round));
    }
    if header.flags & !FLAG_WORK != 0 {
        return Err(Fault::UnknownFlags(header.flags));
    }
    if !header.votes.is_sorted_by(|a, b| a.statement.index < b.statement.index) {
        return Err(Fault::VotesUnordered);
    }
    Ok(())
}

/// Whether the header's author, an authority of this committee, signed it.
pub(crate) fn header_is_signed(
    header: &Header,
    signature: &Signature,
    committee: &Committee,
) -> Result<(), Fault> {
    identity(header, committee)?;
    let message = signed_message(&header.digest());
    if committee.verifier(header.author)?.verify(&message, signature) {
        Ok(())
    } else {
        Err(Fault::BadSignature)
    }
}

/// The parents' shape. "One per author" is needed for safety: a second parent would be a second
/// vote in the same slot (§9).
fn parents(header: &Header, committee: &Committee) -> Result<(), Fault> {
    let Some((own, others)) = header.parents.split_first() else {
        return Err(Fault::NoOwnParent);
    };
    if own.author != header.author {
        return Err(Fault::NoOwnParent);
    }
    if own.round >= header.round {
        return Err(Fault::ParentOutOfReach(own.round));
    }
    if !others.is_sorted_by(|a, b| a.author < b.author)
        || others.iter().any(|parent| parent.author == header.author)
    {
        return Err(Fault::ParentsUnordered);
    }
    let lowest = header.round.minus(committee.gc_depth());
    for parent in others {
        if parent.round >= header.round || parent.round < lowest {
            return Err(Fault::ParentOutOfReach(parent.round));
        }
    }
    if header.parents.iter().any(|parent| is_unknown_genesis(parent, committee)) {
        return Err(Fault::UnknownGenesis);
    }
    let previous = header.round.minus(1);
    let authors: AuthoritySet =
        header.parents.iter().filter(|p| p.round == previous).map(|p| p.author).collect();
    if !committee.is_quorum(authors) {
        return Err(Fault::NoQuorum { found: authors.len(), quorum: committee.quorum() });
    }
    Ok(())
}

fn is_unknown_genesis(parent: &BlockRef, committee: &Committee) -> bool {
    parent.round == Round::GENESIS
        && committee.genesis().get(parent.author.position()) != Some(parent)
}

fn signatures(block: &Inner, committee: &Committee) -> Result<(), Fault> {
    let verifier = committee.verifier(block.header.author)?;
    if !verifier.verify(&signed_message(&block.reference.digest), &block.signature) {
        return Err(Fault::BadSignature);
    }
    for vote in &block.header.votes {
        if !verifier.verify(&vote.statement.signed_message(committee), &vote.signature) {
            return Err(Fault::BadVote);
        }
    }
    Ok(())
}

/// Round 1 carries no payload: the time of a commit is a median over its leader's parents, and
/// genesis has none (§4.4).
fn payload(block: &Inner) -> Result<(), Fault> {
    let header = &block.header;
    let bytes: usize = block.payload().map(<[u8]>::len).sum();
    if header.payload_bytes as usize != bytes
        || header.payload_items as usize != block.items.len()
        || header.payload_root != payload_root(block.payload())
    {
        return Err(Fault::WrongPayload);
    }
    let first = header.round == Round(1);
    if bytes > PAYLOAD_BYTES_MAX
        || block.payload().any(|item| item.is_empty() || item.len() > ITEM_BYTES_MAX)
        || (first && !block.items.is_empty())
    {
        return Err(Fault::PayloadLimit);
    }
    Ok(())
}
