//! An engine whose calls fail: nothing that was acknowledged by a flush is missing, what is cached stays right, and every
//! failure is told, or made good.

use crate::cache_support::random::Random;
use crate::cache_support::store::StoredFile;
use crate::cache_support::transfer::let_the_lost_reach;
use crate::player::{Player, at, put, same};
use sidestep::ground::mounts::MountOptions;
use std::sync::atomic::Ordering;

/// One message in so many fails.
const RATE: u64 = 9;

#[test]
fn calls_fail_and_nothing_acknowledged_is_lost() {
    super::play("failures", 15, round);
}

fn round(seed: u64, chunk: u64, random: &mut Random) {
    let options = MountOptions { cache_bytes: Some(1 << (20 + random.below(3))), ..MountOptions::default() };
    let file = StoredFile::new(5, chunk);
    let mut player = Player::new(&file, seed, 3, &options);
    let mut model = Vec::new();
    player.memory.faults.set_rate(RATE);
    for _ in 0..super::ROUND {
        step(&mut player, random, &mut model);
        if random.one_in(50) {
            let_the_lost_reach();
        }
    }
    settle(&mut player, &mut model, None);
}

fn step(player: &mut Player, random: &mut Random, model: &mut Vec<u8>) {
    let which = random.below(player.open.len() as u64) as usize;
    let (start, length) = player.range(random, which);
    match random.below(1000) {
        0..470 => {
            if random.one_in(20) {
                player.memory.faults.short_reads.store(2, Ordering::Relaxed);
            }
            // Only where the end is known can a short answer be told from the end.
            let is_end_known = player.open[which].object.size_at_hand().is_some();
            if !is_end_known {
                player.memory.faults.short_reads.store(0, Ordering::Relaxed);
            }
            let read = player.read(which, start, length, false).map(<[u8]>::to_vec);
            player.memory.faults.short_reads.store(0, Ordering::Relaxed);
            if let Ok(read) = read {
                same("a read", start, &read, at(model, start, length));
            }
        }
        470..940 => {
            let (bytes, written) = player.write(random, which, (start, length));
            let count = written.unwrap_or(0);
            put(model, start, &bytes[..count]);
            if count < bytes.len() {
                // Of the rest nobody knows what arrived.
                settle(player, model, Some((start + count as u64, &bytes[count..])));
            }
        }
        940..970 => {
            // What a flush calls stored is stored.
            if player.open[which].object.flush().is_ok() {
                same("the store", 0, &player.file.lock().bytes, model);
            }
        }
        970..980 => {
            let _ = player.open[which].object.sync();
        }
        980..990 => {
            player.memory.faults.set_rate(0);
            let size = random.below(model.len() as u64 + 1);
            player.open[which].object.set_size(size).unwrap();
            model.resize(size as usize, 0);
            player.memory.faults.set_rate(RATE);
        }
        990..995 => {
            player.container.before_fork_and_after();
        }
        _ => {
            // As a program does that checks: it tries until it is told that everything is stored.
            player.memory.faults.set_rate(0);
            let closed = player.open.swap_remove(which);
            let _ = closed.object.flush();
            assert_eq!(closed.object.flush(), Ok(()));
            drop(closed);
            player.open_one();
            player.memory.faults.set_rate(RATE);
        }
    }
}

/// Stores everything without faults, and takes over what the store has of the bytes of a write that failed: each is
/// what it was or what it was to be.
fn settle(player: &mut Player, model: &mut Vec<u8>, unsure: Option<(u64, &[u8])>) {
    player.memory.faults.set_rate(0);
    for open in &player.open {
        // Late errors are told here; the second flush has none left to tell.
        let _ = open.object.flush();
        assert_eq!(open.object.flush(), Ok(()));
    }
    let stored = player.file.lock().bytes.clone();
    if let Some((start, bytes)) = unsure {
        let end = start as usize + bytes.len();
        assert!(stored.len() >= model.len() && stored.len() <= end.max(model.len()));
        model.resize(stored.len(), 0);
        for (index, byte) in bytes.iter().enumerate() {
            let offset = start as usize + index;
            if let Some(is) = stored.get(offset) {
                assert!(is == byte || *is == model[offset], "byte {offset} is neither old nor new");
                model[offset] = *is;
            }
        }
    }
    same("the store", 0, &stored, model);
    player.memory.faults.set_rate(RATE);
}

trait Rest {
    fn before_fork_and_after(&self);
}

impl Rest for sidestep::cache::CachedContainer {
    fn before_fork_and_after(&self) {
        use sidestep::store::Container;
        self.before_fork();
        self.after_fork_in_parent();
    }
}
