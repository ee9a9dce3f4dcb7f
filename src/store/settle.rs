//! Swaps whose outcome is not known.

use std::time::Duration;

use super::{PointerSwap, Store, StoreError, Swap};

/// How often a swap with an unknown outcome is repeated.
const REPEATS: u32 = 8;

/// How long to wait before the first repetition; twice as long before each further one, 2.5 seconds in all.
const FIRST_DELAY: Duration = Duration::from_millis(10);

/// Swaps, and repeats the same swap while its outcome is unknown: the store recognises a swap that it has done.
///
/// # Errors
/// [`StoreError::Unknown`] when the outcome cannot be found out: the store is unavailable for too long or has failed, or
/// another write has replaced what the swap may have left. [`StoreError::Unavailable`], as any other error, means that
/// nothing was done.
pub async fn settle(store: &impl Store, swap: &PointerSwap) -> Result<Swap, StoreError> {
    let mut unknown = match store.swap_pointer(swap).await {
        Err(error @ StoreError::Unknown { .. }) => error,
        outcome => return outcome,
    };
    for repeat in 0..REPEATS {
        tokio::time::sleep(FIRST_DELAY * 2_u32.pow(repeat)).await;
        match store.swap_pointer(swap).await {
            Ok(Swap::Done) => return Ok(Swap::Done),
            // a removal leaves no id behind; if the record is gone, it is as good as done
            Ok(Swap::Lost) if swap.record.is_none() => {
                return match store.get_pointer(&swap.key).await {
                    Ok(None) => Ok(Swap::Done),
                    _ => Err(unknown),
                };
            }
            Ok(Swap::Lost) => return Err(unknown),
            Err(error @ StoreError::Unknown { .. }) => unknown = error,
            Err(StoreError::Unavailable { .. }) => {}
            Err(_) => return Err(unknown),
        }
    }
    Err(unknown)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::faulty::{Fault, Faulty};
    use crate::store::{MemoryStore, Record, TokenKey};

    fn store() -> Faulty<MemoryStore> {
        Faulty::new(MemoryStore::new(&TokenKey::from_bytes([1; 32])))
    }

    fn put(value: u8) -> PointerSwap {
        PointerSwap::put(b"k", None, Record::new(vec![value]))
    }

    #[tokio::test]
    async fn an_unknown_outcome_is_found_out() {
        for fault in [Fault::UnknownButDone, Fault::UnknownAndNotDone] {
            let store = store();
            store.inject([fault, Fault::Unavailable, fault]);
            assert_eq!(settle(&store, &put(1)).await.expect("settled"), Swap::Done);
            let found = store.get_pointer(b"k").await.expect("reachable");
            let found = found.expect("there");
            assert_eq!(found.value, [1]);
            let other = settle(&store, &put(2)).await.expect("settled");
            assert_eq!(other, Swap::Lost);

            store.inject([fault]);
            let removal = PointerSwap::remove(b"k", found.revision);
            let removed = settle(&store, &removal).await.expect("settled");
            assert_eq!(removed, Swap::Done);
            let found = store.get_pointer(b"k").await.expect("reachable");
            assert!(found.is_none());
        }
    }

    #[tokio::test]
    async fn an_outcome_that_stays_unknown_is_reported() {
        let store = store();
        store.inject([Fault::Unavailable]);
        let away = settle(&store, &put(1)).await;
        assert!(
            matches!(away, Err(StoreError::Unavailable { .. })),
            "{away:?}"
        );
        let nothing = store.get_pointer(b"k").await.expect("reachable");
        assert!(nothing.is_none());

        store.inject([Fault::UnknownAndNotDone; 20]);
        let lost = settle(&store, &put(1)).await;
        assert!(matches!(lost, Err(StoreError::Unknown { .. })), "{lost:?}");

        // another one came first, or over it
        let store = self::store();
        store.inject([Fault::UnknownAndNotDone]);
        let inner = &store.inner;
        let swap = put(1);
        let (overtaken, other) = tokio::join!(settle(&store, &swap), async {
            inner.swap_pointer(&put(2)).await
        });
        assert_eq!(other.expect("reachable"), Swap::Done);
        assert!(
            matches!(overtaken, Err(StoreError::Unknown { .. })),
            "{overtaken:?}"
        );
    }
}
