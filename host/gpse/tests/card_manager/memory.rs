//! What the card remembers, and when it cannot.

use jpkise_gpse::{GpSe, NoApplets, Profile};

use crate::common::{send, Host};
use crate::support::{install, install_domain, issuer, keys, listed, put_keys, test_keys, Stub, ONE, SP};

#[test]
fn a_command_that_memory_cannot_hold_changes_nothing() {
    use jpkise_gpse::store::{Change, MemoryStore, Records, Store, StoreError};
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::Arc;

    struct Worn(MemoryStore, Arc<AtomicBool>);
    impl Store for Worn {
        fn records(&self) -> Result<Records, StoreError> {
            self.0.records()
        }
        fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
            if self.1.load(Ordering::Relaxed) {
                return Err(StoreError::Write("worn out".into()));
            }
            self.0.commit(changes)
        }
    }
    let worn = Arc::new(AtomicBool::new(false));
    let stub = Stub::default();
    let log = stub.log.clone();
    let store = Worn(MemoryStore::default(), worn.clone());
    let mut card = GpSe::new(Profile::default(), Box::new(store), Box::new(stub)).unwrap();
    let mut host = issuer(&mut card, 0x01);
    worn.store(true, Ordering::Relaxed);
    assert_eq!(install(&mut host, &mut card, ONE, "00", ""), "6581");
    assert_eq!(log.lock().unwrap().last().unwrap(), "settled ", "the runtime forgot it, too");
    assert_eq!(install_domain(&mut host, &mut card, SP, ""), "6581");
    assert_eq!(host.send(&mut card, "80F24002024F0000"), "6A88");
    // Without a number for it no session is opened.
    assert_eq!(send(&mut card, "8050000008010203040506070800"), "6581");
    worn.store(false, Ordering::Relaxed);
    let mut host = issuer(&mut card, 0x01);
    assert_eq!(install(&mut host, &mut card, ONE, "00", ""), "009000");
}

#[test]
fn a_card_reopened_from_its_store_is_the_same_card() {
    use jpkise_gpse::store::{Change, MemoryStore, Records, Store, StoreError};
    use std::sync::{Arc, Mutex};

    #[derive(Clone, Default)]
    struct Shared(Arc<Mutex<MemoryStore>>);
    impl Store for Shared {
        fn records(&self) -> Result<Records, StoreError> {
            self.0.lock().unwrap().records()
        }
        fn commit(&mut self, changes: &[Change<'_>]) -> Result<(), StoreError> {
            self.0.lock().unwrap().commit(changes)
        }
    }
    let store = Shared::default();
    let mut card = GpSe::new(Profile::default(), Box::new(store.clone()), Box::new(NoApplets)).unwrap();
    let mut host = issuer(&mut card, 0x33);
    install_domain(&mut host, &mut card, SP, "");
    put_keys(&mut host, &mut card, &test_keys(), &keys(0x22), 0x31);
    host.send(&mut card, "80F08007");
    drop(card);
    let mut card = GpSe::new(Profile::default(), Box::new(store), Box::new(NoApplets)).unwrap();
    let mut host = Host::open(&mut card, &keys(0x22), 0x31, 0x33);
    assert!(host.send(&mut card, "80F28002024F0000").contains("9F700107"));
    assert_eq!(listed(&host.send(&mut card, "80F24002024F0000")), [SP]);
    assert_eq!(host.send(&mut card, "80CA00C100"), "C1030000019000");
}
