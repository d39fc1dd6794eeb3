//! The image of a node's record that was logged last through an open node: what has not changed since needs no entry.

use super::super::image::{IMAGE_WORDS, Image};
use super::node::Wanted;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Words of an image that only `fsync` waits for: owner, and the four times.
const OTHER_WORDS: [usize; 5] = [1, 4, 5, 6, 7];

/// Words and not a lock around them, so that a fork leaves none locked. They change under the names lock.
#[derive(Default)]
pub struct LastImage {
    is_there: AtomicBool,
    words: [AtomicU64; IMAGE_WORDS],
}

impl LastImage {
    /// Keeps what was logged just now.
    pub fn put(&self, image: &Image) {
        self.is_there.store(false, Ordering::SeqCst);
        for (place, word) in self.words.iter().zip(image.sayings()) {
            place.store(word, Ordering::Release);
        }
        self.is_there.store(true, Ordering::SeqCst);
    }

    /// Whether the log says of a node all that is wanted: it has the count of syncs of this image, so that nobody logged
    /// another one after it.
    pub fn covers(&self, image: &Image, wanted: Wanted) -> bool {
        let is_same = |(index, (place, word)): (usize, (&AtomicU64, u64))| {
            place.load(Ordering::Acquire) == word || wanted == Wanted::Bytes && OTHER_WORDS.contains(&index)
        };
        self.is_there.load(Ordering::SeqCst) && self.words.iter().zip(image.sayings()).enumerate().all(is_same)
    }
}
