use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};

const SENTINEL: &[u8] = b"a private key that must not be found anywhere, in PKCS#8 or otherwise";

fn keystore() -> (tempfile::TempDir, Keystore) {
    let directory = tempfile::tempdir().unwrap();
    let keystore = Keystore::open(&directory.path().join("master.key")).unwrap();
    (directory, keystore)
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn contains(haystack: &[u8], needle: &[u8]) -> bool {
    haystack
        .windows(needle.len())
        .any(|window| window == needle)
}

#[test]
fn f57_a_sealed_key_opens_to_itself_also_after_a_restart() {
    let (directory, keystore) = keystore();
    let envelope = keystore.seal("sluice-ca", SENTINEL).unwrap();
    assert_eq!(
        &*keystore.open_key("sluice-ca", &envelope).unwrap(),
        SENTINEL
    );
    drop(keystore);
    let keystore = Keystore::open(&directory.path().join("master.key")).unwrap();
    assert_eq!(
        &*keystore.open_key("sluice-ca", &envelope).unwrap(),
        SENTINEL
    );
    assert_eq!(
        envelope.len(),
        SENTINEL.len() + limits::ENVELOPE_OVERHEAD_BYTES
    );
}

#[test]
fn k143_no_part_of_the_key_stands_in_the_envelope_or_any_file() {
    let (directory, keystore) = keystore();
    let envelope = keystore.seal("sluice-ca", SENTINEL).unwrap();
    let master = fs::read(directory.path().join("master.key")).unwrap();
    for part in SENTINEL.windows(4) {
        assert!(!contains(&envelope, part) && !contains(&master, part));
    }
    for part in master.windows(4) {
        assert!(
            !contains(&envelope, part),
            "the master key is in no envelope"
        );
    }
    let files: Vec<_> = fs::read_dir(directory.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(files, ["master.key"]);
}

#[test]
fn k143_the_master_key_is_the_owners_alone() {
    let (directory, _keystore) = keystore();
    let path = directory.path().join("master.key");
    assert_eq!(mode(&path), 0o600);
    assert_eq!(fs::metadata(&path).unwrap().len(), 32);
    for open in [0o640, 0o604, 0o660, 0o602, 0o610, 0o644] {
        fs::set_permissions(&path, fs::Permissions::from_mode(open)).unwrap();
        let error = Keystore::open(&path).unwrap_err();
        assert!(
            matches!(error, MasterKeyError::OpenToOthers { mode, .. } if mode == open),
            "{error}"
        );
        assert!(error.to_string().contains("chmod 600"));
    }
    for own in [0o600, 0o400] {
        fs::set_permissions(&path, fs::Permissions::from_mode(own)).unwrap();
        assert!(Keystore::open(&path).is_ok());
    }
}

#[test]
fn k149_every_installation_and_every_envelope_has_its_own_keys() {
    let (one, keystore) = keystore();
    let (other, _keystore) = self::keystore();
    let read =
        |directory: &tempfile::TempDir| fs::read(directory.path().join("master.key")).unwrap();
    assert_ne!(read(&one), read(&other));
    let (first, second) = (
        keystore.seal("a", SENTINEL).unwrap(),
        keystore.seal("a", SENTINEL).unwrap(),
    );
    let common = first
        .iter()
        .zip(&second)
        .skip(12)
        .filter(|(a, b)| a == b)
        .count();
    assert!(common < 20, "{common} of {} bytes in common", first.len());
}

#[test]
fn an_altered_or_cut_envelope_does_not_open() {
    let (_directory, keystore) = keystore();
    let envelope = keystore.seal("a", SENTINEL).unwrap();
    for at in 0..envelope.len() {
        let mut altered = envelope.clone();
        altered[at] ^= 1;
        assert!(keystore.open_key("a", &altered).is_err(), "byte {at}");
        assert_eq!(
            keystore.open_key("a", &envelope[..at]),
            Err(KeystoreError::Damaged {
                name: "a".to_owned()
            }),
            "length {at}"
        );
    }
    assert!(
        keystore
            .open_key("a", &[&envelope[..], &[0]].concat())
            .is_err()
    );
    assert!(keystore.open_key("a", &vec![b'S'; 100_000]).is_err());
}

#[test]
fn an_envelope_opens_for_its_own_certificate_only() {
    let (_directory, keystore) = keystore();
    let (of_a, of_b) = (
        keystore.seal("a", SENTINEL).unwrap(),
        keystore.seal("b", b"another key").unwrap(),
    );
    let damaged = Err(KeystoreError::Damaged {
        name: "b".to_owned(),
    });
    assert_eq!(keystore.open_key("b", &of_a), damaged);
    // The wrapped data key of one envelope before the private key of the other.
    let (head, _) = of_b.split_at(12 + 60);
    let (_, tail) = of_a.split_at(12 + 60);
    assert_eq!(keystore.open_key("b", &[head, tail].concat()), damaged);
}

#[test]
fn another_master_key_is_named_as_the_cause() {
    let (_one, keystore) = keystore();
    let (_other, other) = self::keystore();
    let envelope = keystore.seal("a", SENTINEL).unwrap();
    let error = other.open_key("a", &envelope).unwrap_err();
    assert!(matches!(error, KeystoreError::OtherMasterKey { .. }));
    assert!(
        error.to_string().contains("master.key") && error.to_string().contains("backup"),
        "{error}"
    );
}

#[test]
fn what_is_no_private_key_is_not_sealed() {
    let (_directory, keystore) = keystore();
    for odd in [&[][..], &vec![0; limits::PRIVATE_KEY_BYTES_MAX + 1]] {
        assert!(matches!(
            keystore.seal("a", odd),
            Err(KeystoreError::Unsealable { .. })
        ));
    }
    let largest = vec![7; limits::PRIVATE_KEY_BYTES_MAX];
    let envelope = keystore.seal("a", &largest).unwrap();
    assert_eq!(*keystore.open_key("a", &envelope).unwrap(), largest);
}

#[test]
fn a_damaged_master_key_is_never_replaced() {
    let (directory, _keystore) = keystore();
    let path = directory.path().join("master.key");
    for damaged in [&[][..], &[1; 31], &[1; 33], &[0; 32], &[7; 32]] {
        fs::write(&path, damaged).unwrap();
        let error = Keystore::open(&path).unwrap_err();
        assert!(matches!(error, MasterKeyError::Damaged { .. }), "{error}");
        assert_eq!(fs::read(&path).unwrap(), damaged);
    }
}

#[test]
fn what_is_no_file_of_ours_is_no_master_key() {
    let (directory, _keystore) = keystore();
    let link = directory.path().join("link");
    symlink(directory.path().join("master.key"), &link).unwrap();
    assert!(matches!(
        Keystore::open(&link),
        Err(MasterKeyError::Unreadable { .. })
    ));
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(matches!(
        Keystore::open(directory.path()),
        Err(MasterKeyError::Damaged { .. })
    ));
    assert!(matches!(
        Keystore::open(&directory.path().join("missing/master.key")),
        Err(MasterKeyError::NotMade { .. })
    ));
}

#[test]
fn two_processes_at_once_end_with_one_key() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("master.key");
    let (first, second) = (
        Keystore::open(&path).unwrap(),
        Keystore::open(&path).unwrap(),
    );
    let envelope = first.seal("a", SENTINEL).unwrap();
    assert_eq!(&*second.open_key("a", &envelope).unwrap(), SENTINEL);
    // A file that appeared between reading and making is kept.
    let before = fs::read(&path).unwrap();
    master::create(&path).unwrap();
    assert_eq!(fs::read(&path).unwrap(), before);
}

#[test]
fn k146_debug_shows_no_key() {
    let (directory, keystore) = keystore();
    let path = directory.path().join("master.key");
    assert_eq!(
        format!("{keystore:?}"),
        format!("Keystore {{ path: {path:?}, .. }}")
    );
}
