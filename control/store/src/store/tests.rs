use super::*;
use crate::test_support::{certificate, document, note, store};
use std::os::unix::fs::PermissionsExt;

fn reopen(store: Store) -> Result<Store, StoreError> {
    let path = store.path().to_owned();
    drop(store);
    Store::open(&path)
}

#[test]
fn what_was_stored_is_there_after_reopening() {
    let (_directory, mut store) = store();
    let generation = store
        .commit_documents(&[document("appliance.toml", "[appliance]")], &note("first"))
        .unwrap();
    store.put_certificate(&certificate("sluice-ca")).unwrap();
    store.set_setting("epoch", Some("7")).unwrap();
    let store = reopen(store).unwrap();
    assert_eq!(store.current().unwrap(), Some(generation));
    assert_eq!(
        store.documents(generation).unwrap(),
        [document("appliance.toml", "[appliance]")]
    );
    assert_eq!(
        store.certificate(&"sluice-ca".parse().unwrap()).unwrap(),
        Some(certificate("sluice-ca"))
    );
    assert_eq!(store.setting("epoch").unwrap().as_deref(), Some("7"));
}

#[test]
fn settings_are_set_replaced_and_cleared() {
    let (_directory, mut store) = store();
    assert_eq!(store.setting("a").unwrap(), None);
    store.set_setting("a", Some("1")).unwrap();
    store.set_setting("a", Some("2")).unwrap();
    assert_eq!(store.setting("a").unwrap().as_deref(), Some("2"));
    store.set_setting("a", None).unwrap();
    assert_eq!(store.setting("a").unwrap(), None);
}

#[test]
fn k143_only_the_owner_may_read_the_files() {
    let (directory, mut store) = store();
    store.put_certificate(&certificate("sluice-ca")).unwrap();
    let mut files = 0;
    for entry in std::fs::read_dir(directory.path()).unwrap() {
        let entry = entry.unwrap();
        assert_eq!(
            entry.metadata().unwrap().permissions().mode() & 0o777,
            0o600,
            "{:?}",
            entry.file_name()
        );
        files += 1;
    }
    assert_eq!(files, 3, "the store, its log and its shared index");
}

#[test]
fn every_change_is_on_the_disk_before_it_is_acknowledged() {
    let (_directory, store) = store();
    let pragma = |name: &str| -> String {
        store
            .connection()
            .pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))
            .map(|value| format!("{value:?}"))
            .unwrap()
    };
    assert_eq!(pragma("journal_mode"), "Text(\"wal\")");
    assert_eq!(pragma("synchronous"), "Integer(2)");
    assert_eq!(pragma("foreign_keys"), "Integer(1)");
    assert_eq!(pragma("secure_delete"), "Integer(1)");
}

/// The store's file after everything in its log has been moved into it.
fn closed_store() -> (tempfile::TempDir, PathBuf) {
    let (directory, mut store) = store();
    for n in 0..50 {
        store
            .commit_documents(
                &[document("appliance.toml", &format!("# {n}\n").repeat(200))],
                &note("x"),
            )
            .unwrap();
        store
            .put_certificate(&certificate(&format!("certificate {n}")))
            .unwrap();
    }
    let path = store.path().to_owned();
    store.connection.close().unwrap();
    assert!(!directory.path().join("store.db-wal").exists());
    (directory, path)
}

#[test]
fn a_cut_store_is_one_clear_error() {
    let (_directory, path) = closed_store();
    let whole = fs::read(&path).unwrap();
    for length in [
        0,
        1,
        50,
        100,
        4096,
        5000,
        whole.len() / 2,
        whole.len() - 4096,
    ] {
        fs::write(&path, &whole[..length]).unwrap();
        let error = Store::open(&path).unwrap_err();
        assert!(
            matches!(error, StoreError::Corrupt { .. }),
            "{length}: {error:?}"
        );
        let text = error.to_string();
        assert!(
            text.contains("store.db") && text.contains("damaged") && text.contains("backup"),
            "{text}"
        );
    }
    fs::write(&path, &whole).unwrap();
    assert!(Store::open(&path).is_ok());
}

#[test]
fn a_damaged_store_is_refused_or_whole_and_never_a_panic() {
    let (_directory, path) = closed_store();
    let whole = fs::read(&path).unwrap();
    let mut refused = 0;
    for at in (0..whole.len()).step_by(whole.len() / 200) {
        let mut bytes = whole.clone();
        for byte in bytes.iter_mut().skip(at).take(64) {
            *byte = !*byte;
        }
        fs::write(&path, &bytes).unwrap();
        match Store::open(&path) {
            Ok(store) => {
                let read = (store.generations(), store.certificates());
                drop(read);
            }
            Err(error) => {
                assert!(error.to_string().contains("store.db"), "{error}");
                refused += 1;
            }
        }
    }
    assert!(refused > 0);
}

#[test]
fn what_is_no_store_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    fs::write(
        &path,
        "this is text, not a database, and long enough to have a header of its own: ".repeat(10),
    )
    .unwrap();
    assert!(matches!(
        Store::open(&path),
        Err(StoreError::Corrupt { .. })
    ));
    fs::remove_file(&path).unwrap();
    Connection::open(&path)
        .unwrap()
        .execute_batch("CREATE TABLE other (a)")
        .unwrap();
    assert!(matches!(
        Store::open(&path),
        Err(StoreError::NotAStore { .. })
    ));
    assert!(matches!(
        Store::open(directory.path()),
        Err(StoreError::Open { .. })
    ));
    assert!(matches!(
        Store::open(&directory.path().join("missing/store.db")),
        Err(StoreError::Open { .. })
    ));
}

#[test]
fn a_store_of_a_later_release_is_refused() {
    let (_directory, store) = store();
    store
        .connection()
        .pragma_update(None, "user_version", 2)
        .unwrap();
    let error = reopen(store).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Newer {
                found: 2,
                known: 1,
                ..
            }
        ),
        "{error:?}"
    );
}

#[test]
fn a_creation_that_was_cut_off_is_begun_again() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("store.db");
    fs::write(directory.path().join("store.db.new"), "half").unwrap();
    assert!(Store::open(&path).unwrap().current().unwrap().is_none());
    assert!(!directory.path().join("store.db.new").exists());
}

#[test]
fn a_store_that_another_process_changes_is_named() {
    let (_directory, mut store) = store();
    let other = Connection::open(store.path()).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    store.connection.busy_timeout(Duration::ZERO).unwrap();
    assert!(matches!(
        store.set_setting("a", Some("1")),
        Err(StoreError::Busy { .. })
    ));
    other.execute_batch("ROLLBACK").unwrap();
    store.set_setting("a", Some("1")).unwrap();
}

#[test]
fn a_full_disk_changes_nothing() {
    let (_directory, mut store) = store();
    let first = store
        .commit_documents(&[document("appliance.toml", "one")], &note("first"))
        .unwrap();
    let pages: i64 = store
        .connection()
        .pragma_query_value(None, "page_count", |row| row.get(0))
        .unwrap();
    store
        .connection()
        .pragma_update(None, "max_page_count", pages)
        .unwrap();
    let large = document("appliance.toml", &"x".repeat(1_000_000));
    assert!(matches!(
        store.commit_documents(&[large], &note("second")),
        Err(StoreError::DiskFull { .. })
    ));
    assert_eq!(store.current().unwrap(), Some(first));
    assert_eq!(store.generations().unwrap().len(), 1);
}

#[test]
fn a_process_that_dies_inside_a_change_leaves_the_last_generation() {
    let (directory, mut store) = store();
    let first = store
        .commit_documents(&[document("appliance.toml", "one")], &note("first"))
        .unwrap();
    // With no cache to speak of, the change reaches the log before it is committed.
    store
        .connection()
        .pragma_update(None, "cache_size", 1)
        .unwrap();
    let after = directory.path().join("after");
    fs::create_dir(&after).unwrap();
    let log = directory.path().join("store.db-wal");
    let log_before = fs::metadata(&log).unwrap().len();
    store
        .change(|transaction| {
            let value = "x".repeat(4000);
            for key in 1..=500 {
                let row = (key.to_string(), &value);
                transaction
                    .execute("INSERT INTO setting (key, value) VALUES (?, ?)", row)
                    .unwrap();
            }
            transaction.execute("DELETE FROM current", []).unwrap();
            assert!(
                fs::metadata(&log).unwrap().len() > log_before,
                "the change is in the log"
            );
            for file in ["store.db", "store.db-wal"] {
                fs::copy(directory.path().join(file), after.join(file)).unwrap();
            }
            Ok(())
        })
        .unwrap();
    let left = Store::open(&after.join("store.db")).unwrap();
    assert_eq!(left.current().unwrap(), Some(first));
    assert_eq!(left.setting("1").unwrap(), None);
    assert_eq!(
        left.documents(first).unwrap(),
        [document("appliance.toml", "one")]
    );
}
