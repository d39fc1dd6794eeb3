//! Two processes, and more, on one file: what each may see of the others, and that nobody's bytes are lost.

use crate::cache_support::random::Random;
use crate::cache_support::store::StoredFile;
use crate::player::{Player, at, noise, put, same};
use sidestep::ground::buffer::Segment;
use sidestep::ground::mounts::{Consistency, MountOptions};
use sidestep::store::Container;

/// Bytes of a stripe: the stripes of a file belong to the processes in turn. Odd, so that pages and chunks are shared.
const STRIPE: u64 = 47_008;

#[test]
fn two_processes_share_chunks_under_close_to_open() {
    super::play("processes", 25, close_to_open);
}

#[test]
fn two_strict_processes_see_each_other_at_once() {
    super::play("strict processes", 5, strict);
}

fn strict(seed: u64, chunk: u64, random: &mut Random) {
    let options = MountOptions { consistency: Some(Consistency::Strict), ..MountOptions::default() };
    let file = StoredFile::new(5, chunk);
    let mut players = [0, 1].map(|number| Player::new(&file, seed * 2 + number, 2, &options));
    let mut model = Vec::new();
    for _ in 0..super::ROUND {
        let player = &mut players[random.below(2) as usize];
        let which = random.below(2) as usize;
        let (start, length) = player.range(random, which);
        match random.below(100) {
            0..48 => {
                let read = player.read(which, start, length, random.one_in(8)).unwrap();
                same("a read", start, read, at(&model, start, length));
            }
            48..90 => {
                let (bytes, written) = player.write(random, which, (start, length));
                assert_eq!(written, Ok(bytes.len()));
                put(&mut model, start, bytes);
            }
            90..94 => {
                let bytes = &noise()[..5000.min(player.size_max as usize - model.len().min(player.size_max as usize))];
                let appended = player.open[which].object.append(&[Segment::of_slice(bytes)]);
                assert_eq!(appended, Ok((model.len() as u64, bytes.len())));
                let end = model.len() as u64;
                put(&mut model, end, bytes);
            }
            94..96 => {
                player.open[which].object.set_size(start).unwrap();
                model.resize(start as usize, 0);
            }
            _ => assert_eq!(player.open[which].object.size_bytes(), Ok(model.len() as u64)),
        }
        same("the store", 0, at(&file.lock().bytes, start, length), at(&model, start, length));
    }
}

/// What one process wrote, and when others may still see what was there before.
struct Written {
    owner: usize,
    start: u64,
    before: Vec<u8>,
}

fn close_to_open(seed: u64, chunk: u64, random: &mut Random) {
    let options = MountOptions { cache_bytes: Some(1 << (20 + random.below(3))), ..MountOptions::default() };
    let file = StoredFile::new(5, chunk);
    let mut players = [0, 1].map(|number| Player::new(&file, seed * 2 + number, 2, &options));
    let size = players[0].size_max;
    file.lock().bytes.resize(size as usize, 0);
    let mut model = vec![0; size as usize];
    let mut log: Vec<Written> = Vec::new();
    let mut known = [0, 0];
    for _ in 0..super::ROUND {
        let own = random.below(2) as usize;
        let player = &mut players[own];
        let which = random.below(2) as usize;
        let (start, length) = player.range(random, which);
        match random.below(1000) {
            0..500 => {
                let read = player.read(which, start, length, random.one_in(8)).unwrap();
                assert_eq!(read.len() as u64, length);
                if read != at(&model, start, length) {
                    check_old(read, start, &model, &log[known[own]..], own);
                }
            }
            500..980 => {
                // Only what belongs to this process: from a stripe of its own on, to that stripe's end.
                let stripe = start / STRIPE;
                let stripe = if stripe % 2 == own as u64 { stripe } else { stripe + 1 };
                let start = start.max(stripe * STRIPE).min(size);
                let length = length.min((stripe + 1) * STRIPE - start).min(size - start);
                let (bytes, written) = player.write(random, which, (start, length));
                assert_eq!(written, Ok(bytes.len()));
                log.push(Written { owner: own, start, before: at(&model, start, length).to_vec() });
                put(&mut model, start, bytes);
            }
            980..988 => {
                player.open[which].object.flush().unwrap();
                check_stored(&file.lock().bytes, &model, own);
            }
            988..992 => {
                // The other closes, this one opens: everything that either wrote is seen.
                let closed = players[1 - own].open.swap_remove(0);
                closed.object.flush().unwrap();
                drop(closed);
                players[1 - own].open_one();
                players[own].open_one();
                players[own].open.swap_remove(0);
                known[own] = log.len();
            }
            992..996 => {
                players[1 - own].open[0].object.sync().unwrap();
                players[own].open[which].object.sync().unwrap();
                known[own] = log.len();
            }
            _ => assert_eq!(player.open[which].object.size_bytes(), Ok(size)),
        }
    }
    for player in &mut players {
        player.open.drain(..).for_each(|open| open.object.flush().unwrap());
    }
    same("the store", 0, &file.lock().bytes, &model);
}

/// A read that is not the newest: each byte must be what it was at some time since this process last looked, and must
/// not be its own.
fn check_old(read: &[u8], start: u64, model: &[u8], log: &[Written], own: usize) {
    for (index, byte) in read.iter().enumerate() {
        let offset = start + index as u64;
        if *byte == model[offset as usize] {
            continue;
        }
        let was = |written: &Written| {
            let at = offset.checked_sub(written.start).map(|at| at as usize);
            written.owner != own && at.and_then(|at| written.before.get(at)) == Some(byte)
        };
        assert!(log.iter().any(was), "process {own} read a byte at {offset} that was never there");
    }
}

/// After a flush every stripe of that process is in the store.
fn check_stored(stored: &[u8], model: &[u8], own: usize) {
    for (stripe, (stored, model)) in stored.chunks(STRIPE as usize).zip(model.chunks(STRIPE as usize)).enumerate() {
        if stripe % 2 == own {
            same("a flushed stripe", stripe as u64 * STRIPE, stored, model);
        }
    }
}

#[test]
fn eight_processes_write_stripes_of_shared_chunks() {
    for chunk in [1 << 20, 64 << 10, 4096, 777 * 512] {
        let file = StoredFile::new(9, chunk);
        let mut random = Random::new(chunk);
        let players: Vec<Player> =
            (0..8).map(|number| Player::new(&file, number, 1, &MountOptions::default())).collect();
        let stripes = 8 * 24;
        let stripe = |number: u64| &noise()[(number * 7919) as usize..][..STRIPE as usize];
        // Round by round, in another order each time; every third stripe in pieces, every fifth process closes early.
        for round in 0..stripes / 8 {
            let first = random.below(8);
            for player in (0..8).map(|number| (number + first) % 8) {
                let number = round * 8 + player;
                let object = &players[player as usize].open[0].object;
                let step = if number % 3 == 0 { 1000 } else { STRIPE as usize };
                for (piece, bytes) in stripe(number).chunks(step).enumerate() {
                    let offset = number * STRIPE + (piece * step) as u64;
                    assert_eq!(object.write_at(offset, &[Segment::of_slice(bytes)]), Ok(bytes.len()));
                }
                if random.one_in(5) {
                    object.flush().unwrap();
                }
            }
        }
        // Each sees its own before anything is closed.
        for (player, number) in players.iter().zip(0..) {
            let mut room = vec![0; STRIPE as usize];
            let read = player.open[0].object.read_at(number * STRIPE, &[Segment::of_slice_mut(&mut room)]);
            assert_eq!(read, Ok(room.len()));
            same("an own stripe", number * STRIPE, &room, stripe(number));
        }
        players.iter().for_each(|player| player.container.flush());
        let stored = file.lock();
        assert_eq!(stored.bytes.len() as u64, stripes * STRIPE);
        for number in 0..stripes {
            let start = number * STRIPE;
            same("a stripe in the store", start, at(&stored.bytes, start, STRIPE), stripe(number));
        }
    }
}
