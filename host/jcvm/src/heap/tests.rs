use super::*;
use crate::store::StoreLayout;

const NO_REFERENCES: collect::RefMap<'static> = &|_, _| Vec::new();

fn fresh() -> Heap {
    let store = Store::new(StoreLayout { heap: 1024, journal: 64, regions: Vec::new() });
    Heap::format(store, 64).unwrap()
}

fn bytes(heap: &mut Heap, len: u16) -> Result<Ref, AllocError> {
    heap.new_array(1, kind::BYTES, len, (0, 0))
}

fn transient(heap: &mut Heap, owner: Owner, len: u16, clear: Clear) -> Result<Ref, AllocError> {
    let header = Header { size: 0, kind: kind::BYTES, owner, aux: 0, package: 0, flags: 0 };
    heap.new_transient(header, len, clear)
}

fn array(heap: &Heap, at: Ref) -> Array {
    heap.array(heap.object(at).unwrap()).unwrap()
}

#[test]
fn allocation_ends_when_the_heap_is_full_and_starts_again_after_release() {
    let mut heap = fresh();
    assert_eq!(heap.free_persistent(), 1016);
    let all: Vec<Ref> = (0..100).map_while(|_| bytes(&mut heap, 22).ok()).collect();
    assert_eq!(all.len(), 31);
    assert_eq!(bytes(&mut heap, 22), Err(AllocError::Persistent));
    for at in all.iter().step_by(2).chain(all.iter().skip(1).step_by(2)) {
        heap.release(*at).unwrap();
    }
    assert_eq!(heap.free_persistent(), 1016);
    assert_eq!(heap.free.len(), 1);
    assert!(heap.object(all[0]).is_none());
    bytes(&mut heap, 1000).unwrap();
}

#[test]
fn a_new_object_is_zero_where_an_old_one_was() {
    let mut heap = fresh();
    let old = bytes(&mut heap, 40).unwrap();
    let view = array(&heap, old);
    heap.write_bytes(&view, 0, &[0xFF; 40], false).unwrap();
    heap.release(old).unwrap();
    let new = bytes(&mut heap, 33).unwrap();
    let view = array(&heap, new);
    assert_eq!(heap.read_elements(&view, 0, 33), [0; 33]);
}

#[test]
fn a_cut_during_allocation_or_release_leaves_a_heap_that_opens() {
    let mut base = fresh();
    let first = bytes(&mut base, 30).unwrap();
    bytes(&mut base, 9).unwrap();
    let work = |heap: &mut Heap| -> Result<(), AllocError> {
        heap.release(first)?;
        bytes(heap, 3)?;
        bytes(heap, 100)?;
        Ok(())
    };
    let mut done = base.clone();
    let start = done.store.writes();
    work(&mut done).unwrap();
    for n in 0..=done.store.writes() - start {
        let mut card = base.clone();
        card.store.cut_power_after(Some(n));
        let _ = work(&mut card);
        card.store.power_up().unwrap();
        let reopened = Heap::open(card.store).unwrap();
        let used: u32 = reopened.objects().map(|o| u32::from(o.header.size) * 8).sum();
        assert_eq!(used + reopened.free_persistent(), 1016, "cut after {n}");
    }
}

#[test]
fn transient_memory_is_cleared_by_kind_and_context_and_comes_back_empty() {
    let mut heap = fresh();
    heap.set_context(1, 7);
    heap.set_context(2, 8);
    let reset = transient(&mut heap, 1, 20, Clear::Reset).unwrap();
    let mine = transient(&mut heap, 1, 20, Clear::Deselect).unwrap();
    let other = transient(&mut heap, 2, 20, Clear::Deselect).unwrap();
    assert_eq!(transient(&mut heap, 1, 5, Clear::Reset), Err(AllocError::Transient));
    let writes = heap.store.writes();
    for at in [reset, mine, other] {
        let view = array(&heap, at);
        heap.set(&view, 19, 5).unwrap();
    }
    assert_eq!(heap.store.writes(), writes, "no persistent write");
    let last = |heap: &Heap, at| heap.load(&array(heap, at), 19);
    heap.clear_transient(Clear::Deselect, Some(7));
    assert_eq!([last(&heap, reset), last(&heap, mine), last(&heap, other)], [5, 0, 5]);
    let heap = Heap::open(heap.store.clone()).unwrap();
    assert_eq!([last(&heap, reset), last(&heap, mine), last(&heap, other)], [0, 0, 0]);
    assert_eq!(heap.free_transient(), 4);
}

#[test]
fn an_abort_frees_what_was_allocated_in_the_transaction() {
    let mut heap = fresh();
    let free = heap.free_persistent();
    heap.begin();
    let one = bytes(&mut heap, 10).unwrap();
    let two = transient(&mut heap, 1, 10, Clear::Reset).unwrap();
    assert_eq!(heap.abort().unwrap(), [one, two]);
    assert_eq!((heap.free_persistent(), heap.free_transient()), (free, 64));
}

#[test]
fn collection_keeps_what_a_root_reaches_through_arrays_fields_and_transient_memory() {
    let mut heap = fresh();
    // Instances of class 3 have references in cells 1 and 2.
    let map: collect::RefMap<'_> = &|_, class| if class == 3 { vec![(1, 2)] } else { Vec::new() };
    let kept = bytes(&mut heap, 1).unwrap();
    let lost = bytes(&mut heap, 1).unwrap();
    let instance = heap.new_instance(1, 1, 3, 4, 0).unwrap();
    let list = heap.new_array(1, kind::REFERENCES, 2, (1, 3)).unwrap();
    let header = Header { size: 0, kind: kind::REFERENCES, owner: 1, aux: 0, package: 0, flags: 0 };
    let volatile = heap.new_transient(header, 1, Clear::Reset).unwrap();
    let point = |heap: &mut Heap, from: Ref, to: Ref| {
        let view = array(heap, from);
        heap.set(&view, 0, to.0.into()).unwrap();
    };
    point(&mut heap, list, volatile);
    point(&mut heap, volatile, instance);
    let object = heap.object(instance).unwrap();
    heap.set_cells(&object, 2, &kept.0.to_be_bytes()).unwrap();
    heap.set_cells(&object, 0, &lost.0.to_be_bytes()).unwrap();
    let statics = Header { size: 0, kind: kind::STATICS, owner: 0, aux: 0, package: 1, flags: 0 };
    let [high, low] = list.0.to_be_bytes();
    heap.allocate(statics, 4, &[0, 1, high, low]).unwrap();
    assert_eq!(heap.collect(map).unwrap(), [lost]);
    assert!(heap.object(kept).is_some());
    point(&mut heap, list, Ref::NULL);
    let mut freed = heap.collect(map).unwrap();
    freed.sort();
    assert_eq!(freed, [kept, instance, volatile]);
}

#[test]
fn a_purge_frees_an_owners_objects_and_nulls_what_pointed_there() {
    let mut heap = fresh();
    let mine = bytes(&mut heap, 4).unwrap();
    let others = heap.new_array(2, kind::REFERENCES, 1, (0, 0)).unwrap();
    let view = array(&heap, others);
    heap.set(&view, 0, mine.0.into()).unwrap();
    assert!(heap.is_referenced_from_outside(&[1], NO_REFERENCES));
    assert!(!heap.is_referenced_from_outside(&[2], NO_REFERENCES));
    assert_eq!(heap.purge(|o| o == 1, |_| false, NO_REFERENCES).unwrap(), [mine]);
    assert_eq!(heap.load(&view, 0), 0);
}

#[test]
fn a_damaged_image_is_refused_not_followed() {
    let heap = fresh();
    let mut store = heap.store.clone();
    let first = store.heap_base() + 8;
    store.put(first, &[0, 0]).unwrap();
    assert_eq!(Heap::open(store).unwrap_err(), HeapDamaged(8));
    let mut store = heap.store.clone();
    store.put(first, &[0xFF, 0xFF]).unwrap();
    assert!(Heap::open(store).is_err());
}
