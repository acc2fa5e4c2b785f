//! Golden bytes of headers and records, and that no changed byte passes.

use super::*;
use proptest::prelude::*;

fn record(offset: u64, kind: Kind, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    encode(&mut out, offset, kind, &[body]).unwrap();
    out
}

#[test]
fn the_record_format_is_frozen() {
    let bytes = record(88, Kind::OwnBlock, b"kerbholz");
    assert_eq!(hex::encode(bytes), include_str!("golden_record.txt").trim());
}

#[test]
fn the_file_header_is_frozen() {
    let header = FileHeader { magic: *b"KBHZ-SEG", genesis: [9; 32], first: 7, previous: [5; 32] };
    assert_eq!(hex::encode(header.encode()), include_str!("golden_header.txt").trim());
    assert_eq!(FileHeader::decode(Path::new("x"), *b"KBHZ-SEG", &header.encode()).unwrap(), header);
}

#[test]
fn a_header_of_another_version_is_refused_by_it_and_a_flipped_one_as_damaged() {
    let header = FileHeader { magic: *b"KBHZ-WAL", genesis: [9; 32], first: 7, previous: [0; 32] };
    let of_version = |version: u8| {
        let mut bytes = header.encode();
        bytes[8] = version;
        let checksum = crc32fast::hash(&bytes[..84]).to_le_bytes();
        bytes[84..].copy_from_slice(&checksum);
        bytes
    };
    let decode = |bytes: &[u8]| FileHeader::decode(Path::new("x"), *b"KBHZ-WAL", bytes);
    assert!(matches!(
        decode(&of_version(3)),
        Err(StorageError::NewerVersion { found: 3, supported: 2, .. })
    ));
    assert!(matches!(
        decode(&of_version(1)),
        Err(StorageError::EarlierVersion { found: 1, supported: 2, .. })
    ));
    for position in 0..FileHeader::LENGTH {
        let mut flipped = header.encode();
        flipped[position] ^= 1;
        assert!(matches!(decode(&flipped), Err(StorageError::Damaged { offset: 0, .. })));
    }
}

#[test]
fn a_record_too_large_to_be_read_back_is_not_written() {
    let mut out = Vec::new();
    let body = vec![0; BODY_MAX + 1];
    let refused = encode(&mut out, 0, Kind::Commit, &[&body]);
    assert!(matches!(refused, Err(StorageError::TooLarge { .. })) && out.is_empty());
}

#[test]
fn a_record_does_not_pass_at_another_offset() {
    let bytes = record(100, Kind::Block, b"body");
    let mut moved = vec![0; 116];
    moved.extend_from_slice(&bytes);
    assert_eq!(parse(&moved, 116), Some(Err(Fault::Header)));
}

proptest! {
    /// Both readers agree on every file, whole, flipped or cut, and never accept a changed record.
    #[test]
    fn no_changed_byte_passes(
        bodies in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..5),
        place in any::<prop::sample::Index>(),
        mask in 1u8..,
        cut in any::<bool>(),
    ) {
        let mut file = Vec::new();
        for body in &bodies {
            let offset = file.len() as u64;
            encode(&mut file, offset, Kind::Block, &[body]).unwrap();
        }
        let place = place.index(file.len());
        if cut { file.truncate(place) } else { file[place] ^= mask };
        let mut stream = FrameStream::new(&*file, 0, file.len() as u64);
        let (mut raw, mut offset, mut read) = (Vec::new(), 0, 0);
        loop {
            let slice = parse(&file, offset);
            let streamed = stream.next(&mut raw).unwrap();
            prop_assert_eq!(
                slice.map(|frame| frame.map(|frame| frame.kind)),
                streamed
            );
            let Some(Ok(frame)) = slice else { break };
            prop_assert_eq!(frame.body, &*bodies[read]);
            (offset, read) = (frame.next, read + 1);
        }
        let boundary = cut && offset == file.len() as u64;
        prop_assert!(read < bodies.len());
        prop_assert!(boundary || parse(&file, offset).is_some_and(|frame| frame.is_err()));
    }

    #[test]
    fn any_bytes_are_read_without_panic(
        file in prop::collection::vec(any::<u8>(), 0..200),
        from in 0u64..250,
    ) {
        let _ = parse(&file, from);
        let _ = resynchronise(&file, from);
        let _ = FileHeader::decode(Path::new("x"), *b"KBHZ-WAL", &file);
    }
}
