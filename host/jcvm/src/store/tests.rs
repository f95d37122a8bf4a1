use super::*;

fn layout() -> StoreLayout {
    StoreLayout { heap: 4096, journal: 64, regions: vec![("gp".into(), 40), ("log".into(), 7)] }
}

fn heap(store: &Store, len: usize) -> Vec<u8> {
    store.bytes(store.heap_base(), len)
}

#[test]
fn a_commit_keeps_and_an_abort_restores() {
    let mut store = Store::new(layout());
    let at = store.heap_base();
    store.write(at, &[1, 2]).unwrap();
    store.begin();
    store.write(at, &[3, 4]).unwrap();
    store.write(at, &[5]).unwrap();
    store.abort().unwrap();
    assert_eq!(heap(&store, 2), [1, 2]);
    store.begin();
    store.write(at, &[3, 4]).unwrap();
    store.commit().unwrap();
    assert!(!store.in_transaction());
    assert_eq!(heap(&store, 2), [3, 4]);
    assert!(!store.power_up().unwrap());
    assert_eq!(heap(&store, 2), [3, 4]);
}

#[test]
fn after_a_cut_at_any_write_a_transaction_is_done_or_undone() {
    let work = |store: &mut Store| -> Result<(), StoreError> {
        let at = store.heap_base();
        store.begin();
        store.write(at, &[9, 9])?;
        store.write_atomic(at + 2, &[9; 6])?;
        store.write(at, &[8, 8])?;
        store.commit()
    };
    let mut fresh = Store::new(layout());
    let before = fresh.writes();
    let at = fresh.heap_base();
    fresh.put_all(at, &[1; 8]).unwrap();
    let start = fresh.writes();
    let mut done = fresh.clone();
    work(&mut done).unwrap();
    let total = done.writes() - start;
    assert!(before < start && total > 8);
    for n in 0..=total {
        let mut card = fresh.clone();
        card.cut_power_after(Some(n));
        let result = work(&mut card);
        card.power_up().unwrap();
        let expected = if result.is_ok() { [8, 8, 9, 9, 9, 9, 9, 9] } else { [1; 8] };
        assert_eq!(result.is_ok(), n == total);
        assert_eq!(heap(&card, 8), expected, "cut after {n}");
    }
}

#[test]
fn a_cut_during_the_roll_back_is_repaired_by_the_next_start() {
    let mut fresh = Store::new(layout());
    let at = fresh.heap_base();
    fresh.put_all(at, &[1; 8]).unwrap();
    fresh.begin();
    fresh.write_atomic(at, &[2; 8]).unwrap();
    let start = fresh.writes();
    let mut done = fresh.clone();
    done.abort().unwrap();
    for n in 0..done.writes() - start {
        let mut card = fresh.clone();
        card.cut_power_after(Some(n));
        assert_eq!(card.abort(), Err(StoreError::PowerLost));
        assert_eq!(card.put(at, &[7]), Err(StoreError::PowerLost));
        assert!(card.power_lost());
        assert!(card.power_up().unwrap());
        assert_eq!(heap(&card, 8), [1; 8]);
    }
}

#[test]
fn the_commit_buffer_ends_where_the_layout_says() {
    let mut store = Store::new(layout());
    let at = store.heap_base();
    assert_eq!(store.unused_commit_capacity(), 64);
    store.begin();
    store.write_atomic(at, &[1; 50]).unwrap();
    assert_eq!(store.unused_commit_capacity(), 8);
    // Logged already, so it costs nothing.
    store.write(at + 7, &[2]).unwrap();
    assert_eq!(store.unused_commit_capacity(), 8);
    assert_eq!(store.write_atomic(at + 100, &[1; 8]), Err(StoreError::CommitBufferFull));
    assert_eq!(store.bytes(at + 100, 8), [0; 8]);
    store.write(at + 100, &[1, 1]).unwrap();
    assert_eq!(store.unused_commit_capacity(), 0);
    store.commit().unwrap();
    assert_eq!(store.unused_commit_capacity(), 64);
    assert_eq!(store.write_atomic(at, &[1; 59]), Err(StoreError::CommitBufferFull));
    assert!(!store.in_transaction());
}

#[test]
fn what_was_used_up_outside_a_transaction_does_not_come_back() {
    let mut store = Store::new(layout());
    let at = store.heap_base();
    store.put(at, &[3]).unwrap();
    store.begin();
    store.write(at, &[5]).unwrap();
    store.put(at, &[4]).unwrap();
    store.follow_in_journal(at, |old| old.saturating_sub(1)).unwrap();
    store.abort().unwrap();
    assert_eq!(store.u8(at), 2);
}

#[test]
fn a_region_is_the_old_or_the_new_one_after_any_cut() {
    let mut fresh = Store::new(layout());
    assert!(fresh.read_region("gp").unwrap().is_empty());
    fresh.replace_region("gp", b"the first content").unwrap();
    fresh.replace_region("log", b"other").unwrap();
    let start = fresh.writes();
    let mut done = fresh.clone();
    done.replace_region("gp", b"second, and somewhat longer").unwrap();
    for n in 0..=done.writes() - start {
        let mut card = fresh.clone();
        card.cut_power_after(Some(n));
        let result = card.replace_region("gp", b"second, and somewhat longer");
        card.power_up().unwrap();
        let expected: &[u8] =
            if result.is_ok() { b"second, and somewhat longer" } else { b"the first content" };
        assert_eq!(card.read_region("gp").unwrap(), expected);
        assert_eq!(card.read_region("log").unwrap(), b"other");
    }
    let full = fresh.replace_region("log", &[0; 8]);
    assert_eq!(full, Err(StoreError::RegionFull { capacity: 7, wanted: 8 }));
    assert_eq!(fresh.read_region("none"), Err(StoreError::NoSuchRegion));
}

#[test]
fn clones_do_not_see_each_others_writes() {
    let mut one = Store::new(layout());
    let at = one.heap_base();
    one.put(at, &[1]).unwrap();
    let mut two = one.clone();
    two.put(at, &[2]).unwrap();
    one.put(at + 1, &[3]).unwrap();
    assert_eq!((one.u16(at), two.u16(at)), (0x0103, 0x0200));
}

#[test]
fn a_snapshot_gives_the_same_memory_back() {
    let mut store = Store::new(layout());
    let at = store.heap_base();
    store.put_all(at + 1022, b"across pages").unwrap();
    store.replace_region("gp", b"registry").unwrap();
    store.begin();
    store.write(at + 1022, b"lost").unwrap();
    let bytes = store.to_snapshot();
    let mut read = Store::from_snapshot(&bytes).unwrap();
    assert!(read.power_up().unwrap(), "the open transaction is rolled back");
    assert_eq!(read.bytes(at + 1022, 12), b"across pages");
    assert_eq!(read.read_region("gp").unwrap(), b"registry");
    assert_eq!(read.layout(), store.layout());
    for at in [0, 9, 12, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[at] ^= 1;
        assert!(Store::from_snapshot(&damaged).is_err(), "byte {at}");
    }
    for len in 0..bytes.len() {
        assert!(Store::from_snapshot(&bytes[..len]).is_err());
    }
}

#[test]
fn a_snapshot_file_is_replaced_as_a_whole_and_private() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("card.state");
    let store = Store::new(layout());
    store.save(&path).unwrap();
    store.save(&path).unwrap();
    Store::load(&path).unwrap();
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }
    assert!(matches!(Store::load(&folder.path().join("none")), Err(SnapshotError::Io(_))));
}

#[test]
fn a_file_that_is_no_snapshot_is_not_read_to_its_end() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large");
    // A hole: it takes no room on the disk, and would take all memory.
    std::fs::File::create(&path).unwrap().set_len(1 << 42).unwrap();
    assert!(matches!(Store::load(&path), Err(SnapshotError::TooLarge)));
}

#[test]
fn addresses_outside_read_as_zero_and_cannot_be_written() {
    let mut store = Store::new(layout());
    assert_eq!(store.u32(u32::MAX - 1), 0);
    assert_eq!(store.put(u32::MAX, &[1, 2]), Err(StoreError::Range(u32::MAX)));
    let end = store.heap_base() + 4096;
    assert_eq!(store.put(end - 1, &[1, 2]), Err(StoreError::Range(end - 1)));
}
