//! What a quorum agreed on: commit headers, checkpoints, runs of certified commits, committees.
#![no_main]

use kerbholz_consensus::{
    CertifiedCommits, Checkpoint, CommitHeader, Committee, CommitteeConfig, Fault,
};
use kerbholz_fuzz::{canonical, committee};

libfuzzer_sys::fuzz_target!(|input: (u8, Vec<u8>)| {
    let (which, bytes) = input;
    let committee = committee(4, 60);
    match which % 4 {
        0 => drop(canonical(&bytes, CommitHeader::decode, CommitHeader::encode)),
        1 => {
            let decoded = canonical(&bytes, Checkpoint::decode, Checkpoint::encode);
            decoded.map(|checkpoint| checkpoint.verify(&committee));
        }
        2 => {
            let decode = |bytes: &[u8]| CertifiedCommits::decode(bytes, &committee);
            let Some(commits) = canonical(&bytes, decode, CertifiedCommits::encode) else { return };
            assert!(commits.first() <= commits.last() && !commits.headers().is_empty());
        }
        _ => {
            let decode = |bytes: &[u8]| -> Result<_, Fault> { CommitteeConfig::decode(bytes) };
            let Some(config) = canonical(&bytes, decode, CommitteeConfig::encode) else { return };
            let Ok(committee) = Committee::new(config) else { return };
            assert!(committee.size() > 0 && committee.quorum() > 2 * committee.faulty_max());
        }
    }
});
