//! What the contract promises: names, identities, limits before allocation.

use libp2p::futures::executor::block_on;
use libp2p::futures::io::{AllowStdIo, Cursor};

use super::exchange::{ExchangeError, Status, ask, read_answer, send_answer};
use super::frame::{FrameError, read, write};
use super::*;

#[test]
fn names_carry_the_first_eight_bytes_of_the_network() {
    let mut network = [0xee; 32];
    network[..8].copy_from_slice(&[0, 1, 2, 3, 4, 5, 6, 0xff]);
    let protocols = Protocols::new(&network);
    let expected = [
        "/kerbholz/00010203040506ff/blocks/2",
        "/kerbholz/00010203040506ff/fetch/2",
        "/kerbholz/00010203040506ff/api/1",
        "/kerbholz/00010203040506ff/events/1",
    ];
    for (protocol, expected) in Protocol::ALL.into_iter().zip(expected) {
        let name = protocols.name(protocol);
        assert_eq!(name.as_ref(), expected);
        assert_eq!(protocols.find(&name), Some(protocol));
    }
    assert_eq!(protocols.find(&StreamProtocol::new("/kerbholz/blocks/1")), None);
}

/// RFC 8032, section 7.1, test 1. A libp2p peer id of an ed25519 key is an identity multihash
/// (`00 24`) of the key in protocol buffers (`08 01 12 20`, then the key).
#[test]
fn a_seed_its_key_and_its_peer_id_are_one_identity() {
    let seed: [u8; 32] =
        hex::decode("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
            .unwrap()
            .try_into()
            .unwrap();
    let key = PeerKey::of_seed(&seed);
    assert_eq!(key.to_string(), "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a");
    let peer = keypair(&seed).public().to_peer_id();
    assert_eq!(key.to_peer_id(), Ok(peer));
    assert_eq!(PeerKey::from_peer_id(&peer), Ok(key));
    let mut bytes = vec![0x00, 0x24, 0x08, 0x01, 0x12, 0x20];
    bytes.extend_from_slice(&key.0);
    assert_eq!(peer.to_bytes(), bytes);
}

#[test]
fn what_is_no_key_is_refused_with_a_reason() {
    // y = 2 is not on the curve.
    let mut bytes = [0; 32];
    bytes[0] = 2;
    assert_eq!(PeerKey(bytes).to_peer_id(), Err(IdentityError::NotAKey(PeerKey(bytes))));
    // SHA-256 of an RSA key: a valid libp2p id without the key inside.
    let other: PeerId = "QmYyQSo1c1Ym7orWxLYvCrM2EmxFTANf8wXmmE7DWjhx5N".parse().unwrap();
    assert_eq!(PeerKey::from_peer_id(&other), Err(IdentityError::NotEd25519(other)));
}

fn framed(parts: &[&[u8]]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for part in parts {
        block_on(write(&mut AllowStdIo::new(&mut bytes), &[part], usize::MAX)).unwrap();
    }
    bytes
}

#[test]
fn frames_come_back_in_order_and_end_cleanly() {
    let bytes = framed(&[b"abc", b"", b"\0\0"]);
    assert_eq!(bytes, b"\x03\0\0\0abc\0\0\0\0\x02\0\0\0\0\0");
    let mut stream = Cursor::new(bytes);
    for expected in [Some(b"abc".to_vec()), Some(vec![]), Some(vec![0, 0]), None, None] {
        assert_eq!(block_on(read(&mut stream, 3)).unwrap(), expected);
    }
}

#[test]
fn every_truncation_is_noticed() {
    let bytes = framed(&[b"abc"]);
    for length in 1..bytes.len() {
        let mut stream = Cursor::new(bytes[..length].to_vec());
        let result = block_on(read(&mut stream, 3));
        assert!(matches!(result, Err(FrameError::Truncated)), "{length}: {result:?}");
    }
}

/// Were the length allocated before the check, this would ask for 4 GiB.
#[test]
fn a_hostile_length_is_refused_before_anything_is_allocated() {
    let mut stream = Cursor::new(vec![0xff; 64]);
    let error = block_on(read(&mut stream, 1 << 20)).unwrap_err();
    assert!(error.is_fault());
    assert_eq!(stream.position(), 4, "nothing behind the length was read");
}

#[test]
fn an_oversize_frame_is_not_written() {
    let mut bytes = Vec::new();
    let result = block_on(write(&mut AllowStdIo::new(&mut bytes), &[b"ab", b"cd"], 3));
    assert_eq!(result.unwrap_err().kind(), std::io::ErrorKind::InvalidInput);
    assert!(bytes.is_empty());
}

#[test]
fn answers_say_how_they_are_meant() {
    let table: [(Status, &[u8]); 5] = [
        (Status::Answer, b"payload"),
        (Status::Busy, b""),
        (Status::TooLarge, b""),
        (Status::Unavailable, b""),
        (Status::Lagged, b""),
    ];
    for (status, payload) in table {
        let mut bytes = Vec::new();
        let mut sink = AllowStdIo::new(&mut bytes);
        block_on(send_answer(&mut sink, Protocol::Api, status, payload)).unwrap();
        assert_eq!(bytes[4], status as u8);
        match block_on(read_answer(&mut Cursor::new(bytes), Protocol::Api)) {
            Ok(answer) => assert_eq!((status, answer), (Status::Answer, Some(payload.to_vec()))),
            Err(ExchangeError::Refused(refusal)) => assert_eq!(refusal, status),
            Err(error) => panic!("{error}"),
        }
    }
    let unknown = block_on(read_answer(&mut Cursor::new(framed(&[&[99]])), Protocol::Api));
    assert!(matches!(unknown, Err(ExchangeError::UnknownStatus(99))));
}

#[test]
fn a_request_above_the_limit_is_refused_by_the_sender() {
    let request = vec![0; Protocol::Api.request_max() + 1];
    let mut stream = Cursor::new(Vec::new());
    let error = block_on(ask(&mut stream, Protocol::Api, &request)).unwrap_err();
    assert!(matches!(error, ExchangeError::Send(_)), "{error}");
    assert!(stream.into_inner().is_empty());
}
