//! Bytes are a portable PDB or none, and another reader finds the same id.

#![no_main]

use libfuzzer_sys::fuzz_target;
use nupkg::{PdbIdentity, locate_id};
use sha2::{Digest, Sha256};
use symbolic_ppdb::PortablePdb;

fuzz_target!(|pdb: &[u8]| {
    let size = pdb.len() as u64;
    let Ok(identity) = PdbIdentity::read(pdb, size) else { return };
    let at = identity.id_offset as usize;
    assert_eq!(locate_id(&pdb[..pdb.len().min(nupkg::PDB_HEAD)], size), Ok(identity.id_offset));
    let mut zeroed = pdb.to_vec();
    zeroed[at..at + 20].fill(0);
    assert_eq!(identity.checksum[..], Sha256::digest(&zeroed)[..]);
    // It refuses more, such as streams that it does not know.
    if let Some(id) = PortablePdb::parse(pdb).ok().and_then(|other| other.pdb_id()) {
        assert_eq!(format!("{:x}", id.uuid().simple()), identity.id.guid());
    }
});
