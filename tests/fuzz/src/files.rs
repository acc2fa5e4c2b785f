//! Files of a data directory with arbitrary records, put together from `docs/formats.md` alone, so that
//! they get past their checksums.

use std::fs;
use std::path::{Path, PathBuf};

use arbitrary::Arbitrary;

/// Length of the header that every file of log and ledger begins with.
const HEADER: usize = 88;

/// A file: sound records, then what damages them.
#[derive(Arbitrary, Debug)]
pub struct Damaged {
    records: Vec<Record>,
    /// Bytes that are flipped, where, from the end of the header.
    flips: Vec<(u16, u8)>,
    /// What stands behind the records.
    tail: Vec<u8>,
    /// How much is cut off the end.
    cut: u8,
}

/// A record with sound checksums.
#[derive(Arbitrary, Debug)]
struct Record {
    kind: u8,
    /// Round and author of the block reference before the body, if any.
    reference: Option<(u8, u8)>,
    body: Vec<u8>,
}

impl Damaged {
    /// The bytes of a file with the header of this one.
    pub fn file(&self, sound: &[u8]) -> Vec<u8> {
        let mut file = sound[..HEADER].to_vec();
        let records = file.len();
        for record in &self.records {
            record.append(&mut file);
        }
        file.extend(&self.tail);
        for (at, flip) in &self.flips {
            let at = records + usize::from(*at);
            if let Some(byte) = file.get_mut(at) {
                *byte ^= flip;
            }
        }
        file.truncate(file.len() - usize::from(self.cut).min(file.len()));
        file
    }
}

impl Record {
    fn append(&self, file: &mut Vec<u8>) {
        const KINDS: [u8; 9] = [1, 2, 3, 16, 17, 18, 19, 20, 21];
        let mut body = Vec::new();
        if let Some((round, author)) = self.reference {
            body.extend(u64::from(round).to_le_bytes());
            body.extend(u16::from(author).to_le_bytes());
            body.extend([round; 32]);
        }
        body.extend(&self.body);
        let offset = (file.len() as u64).to_le_bytes();
        let mut head = (body.len() as u32).to_le_bytes().to_vec();
        head.extend([KINDS[usize::from(self.kind) % KINDS.len()], 0, 0, 0]);
        let of_body = crc32fast::hash(&body).to_le_bytes();
        let of_head = [&offset[..], &head, &of_body].concat();
        file.extend(&head);
        file.extend(crc32fast::hash(&of_head).to_le_bytes());
        file.extend(of_body);
        file.extend(body);
    }
}

/// An empty folder of this process, in memory where the system has such a place.
pub fn folder(name: &str) -> PathBuf {
    let memory = Path::new("/dev/shm");
    let base = if memory.is_dir() { memory.to_path_buf() } else { std::env::temp_dir() };
    let folder = base.join(format!("kerbholz-fuzz-{name}-{}", std::process::id()));
    let _ = fs::remove_dir_all(&folder);
    fs::create_dir_all(&folder).expect("a folder for the files");
    folder
}
