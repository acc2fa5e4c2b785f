//! A block from the wire: decoded, named and checked, whatever the bytes.
#![no_main]

use kerbholz_consensus::UnverifiedBlock;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| {
    let Ok(block) = UnverifiedBlock::decode(bytes) else { return };
    let reference = block.reference();
    if let Ok(block) = block.verify(&kerbholz_fuzz::committee(4, 60)) {
        assert_eq!((block.bytes(), block.reference()), (bytes, reference));
    }
});
