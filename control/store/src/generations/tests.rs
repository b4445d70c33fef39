use super::*;
use crate::test_support::{document, note, store};

#[test]
fn nothing_is_current_before_the_first_apply() {
    let (_directory, mut store) = store();
    assert_eq!(store.current().unwrap(), None);
    assert_eq!(store.generations().unwrap(), []);
    assert!(matches!(
        store.roll_back(Generation(1), &note("")),
        Err(StoreError::NoGeneration)
    ));
    assert!(matches!(
        store.documents(Generation(1)),
        Err(StoreError::NoSuchGeneration {
            generation: Generation(1)
        })
    ));
}

#[test]
fn each_apply_is_a_generation_with_its_own_documents() {
    let (_directory, mut store) = store();
    let one = [
        document("appliance.toml", "a = 1"),
        document("profiles/lab.toml", "b = 1"),
    ];
    let two = [document("appliance.toml", "a = 2")];
    assert_eq!(
        store.commit_documents(&one, &note("one")).unwrap(),
        Generation(1)
    );
    assert_eq!(
        store.commit_documents(&two, &note("two")).unwrap(),
        Generation(2)
    );
    assert_eq!(store.documents(Generation(1)).unwrap(), one);
    assert_eq!(store.documents(Generation(2)).unwrap(), two);
    assert_eq!(store.current().unwrap(), Some(Generation(2)));
}

#[test]
fn f63_a_rollback_is_a_new_generation_that_says_where_it_came_from() {
    let (_directory, mut store) = store();
    store
        .commit_documents(&[document("appliance.toml", "a = 1")], &note("one"))
        .unwrap();
    store
        .commit_documents(&[document("appliance.toml", "a = 2")], &note("two"))
        .unwrap();
    assert_eq!(
        store.roll_back(Generation(1), &note("back")).unwrap(),
        Generation(3)
    );
    assert_eq!(
        store.documents(Generation(3)).unwrap(),
        [document("appliance.toml", "a = 1")]
    );
    let history = store.generations().unwrap();
    let rolled_back = RolledBack {
        from: Generation(2),
        to: Generation(1),
    };
    assert_eq!(
        history.first(),
        Some(&GenerationRecord {
            number: Generation(3),
            note: note("back"),
            rolled_back: Some(rolled_back),
            current: true
        })
    );
    assert_eq!(
        history
            .iter()
            .map(|record| (record.number.0, record.current))
            .collect::<Vec<_>>(),
        [(3, true), (2, false), (1, false)]
    );
    assert!(matches!(
        store.roll_back(Generation(9), &note("")),
        Err(StoreError::NoSuchGeneration { .. })
    ));
    assert_eq!(store.generations().unwrap(), history);
}

#[test]
fn an_apply_is_all_or_nothing() {
    let (_directory, mut store) = store();
    store
        .commit_documents(&[document("appliance.toml", "a = 1")], &note("one"))
        .unwrap();
    let twice = [
        document("appliance.toml", "a = 2"),
        document("appliance.toml", "a = 3"),
    ];
    let error = store.commit_documents(&twice, &note("two")).unwrap_err();
    assert!(
        matches!(&error, StoreError::DuplicateDocument { document } if document == "appliance.toml")
    );
    assert_eq!(store.current().unwrap(), Some(Generation(1)));
    assert_eq!(store.generations().unwrap().len(), 1);
    assert_eq!(
        store.documents(Generation(1)).unwrap(),
        [document("appliance.toml", "a = 1")]
    );
}

#[test]
fn the_oldest_generations_give_way_and_numbers_are_not_used_twice() {
    let (_directory, mut store) = store();
    store
        .connection()
        .pragma_update(None, "synchronous", "OFF")
        .unwrap();
    for n in 0..GENERATIONS_MAX + 3 {
        store
            .commit_documents(&[document("appliance.toml", &n.to_string())], &note(""))
            .unwrap();
    }
    let history = store.generations().unwrap();
    assert_eq!(history.len(), GENERATIONS_MAX);
    assert_eq!(history.last().unwrap().number, Generation(4));
    assert!(matches!(
        store.documents(Generation(3)),
        Err(StoreError::NoSuchGeneration { .. })
    ));
    let left: i64 = store
        .connection()
        .query_row(
            "SELECT count(*) FROM document WHERE generation < 4",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(left, 0);
    store
        .connection()
        .execute("DELETE FROM current", [])
        .unwrap();
    store
        .connection()
        .execute("DELETE FROM generation", [])
        .unwrap();
    let next = store.commit_documents(&[], &note("")).unwrap();
    assert_eq!(
        next,
        Generation(u64::try_from(GENERATIONS_MAX).unwrap() + 4)
    );
}

#[test]
fn a_long_comment_is_cut() {
    let (_directory, mut store) = store();
    store
        .commit_documents(&[], &note(&"ü".repeat(NOTE_CHARS_MAX + 1)))
        .unwrap();
    assert_eq!(
        store.generations().unwrap()[0].note.comment,
        "ü".repeat(NOTE_CHARS_MAX)
    );
}
