//! Within one process every description sees every other's writes at once, whatever is cached, gathered or evicted.

use crate::cache_support::random::Random;
use crate::cache_support::store::StoredFile;
use crate::player::{self, Player, any_allocation, at, noise, put, same};
use sidestep::ground::buffer::Segment;
use sidestep::ground::causality;
use sidestep::ground::mounts::{Consistency, MountOptions};
use sidestep::store::{Allocation, Container};

#[test]
fn one_process_sees_all_of_its_own_writes() {
    super::play("coherence", 45, |seed, chunk, random| round(seed, chunk, random, Consistency::CloseToOpen));
}

#[test]
fn causal_too() {
    super::play("causal", 10, |seed, chunk, random| round(seed, chunk, random, Consistency::Causal));
}

/// Several processes take turns, and each is told when it is its turn: all see one file.
#[test]
fn processes_that_tell_one_another_see_one_file() {
    super::play("told", 10, |seed, chunk, random| {
        let cache_bytes = Some(1 << (20 + random.below(4)));
        let options = MountOptions { consistency: Some(Consistency::Causal), cache_bytes, ..MountOptions::default() };
        let file = StoredFile::new(5, chunk);
        let mut model = Vec::new();
        let mut players: Vec<Player> = (0..3).map(|number| Player::new(&file, seed + number, 2, &options)).collect();
        for _ in 0..super::ROUND / 4 {
            let player = random.below(3) as usize;
            for _ in 0..1 + random.below(8) {
                step(&mut players[player], random, &mut model);
            }
            sidestep::cache::release();
            if random.one_in(20) {
                same("the store when it is told", 0, &file.lock().bytes, &model);
            }
            causality::hear();
        }
    });
}

#[test]
fn strict_too() {
    super::play("strict", 10, |seed, chunk, random| round(seed, chunk, random, Consistency::Strict));
}

fn round(seed: u64, chunk: u64, random: &mut Random, consistency: Consistency) {
    let cache_bytes = Some(1 << (20 + random.below(4)));
    let options = MountOptions { consistency: Some(consistency), cache_bytes, ..MountOptions::default() };
    let file = StoredFile::new(5, chunk);
    let mut model = Vec::new();
    let mut player = Player::new(&file, seed, 3, &options);
    for _ in 0..super::ROUND {
        step(&mut player, random, &mut model);
    }
    for open in player.open.drain(..) {
        open.object.flush().unwrap();
    }
    same("the store", 0, &file.lock().bytes, &model);
    assert_eq!(player.container.used_bytes(), 0, "everything is given back");
}

fn step(player: &mut Player, random: &mut Random, model: &mut Vec<u8>) {
    let which = random.below(player.open.len() as u64) as usize;
    let (start, length) = player.range(random, which);
    match random.below(1000) {
        0..480 => {
            let read = player.read(which, start, length, random.one_in(8)).unwrap();
            same("a read", start, read, at(model, start, length));
        }
        480..940 => {
            let (bytes, written) = player.write(random, which, (start, length));
            assert_eq!(written, Ok(bytes.len()));
            put(model, start, bytes);
        }
        940..950 => {
            let length = 1 + random.below(9000).min(player.size_max - 1);
            if model.len() as u64 + length < player.size_max {
                let bytes = &noise()[start as usize % 1000..][..length as usize];
                let appended = player.open[which].object.append(&[Segment::of_slice(bytes)]);
                assert_eq!(appended, Ok((model.len() as u64, bytes.len())));
                put(model, model.len() as u64, bytes);
            }
        }
        950..958 => {
            let size = if random.one_in(3) { start } else { random.below(model.len() as u64 + 1) };
            player.open[which].object.set_size(size).unwrap();
            model.resize(size as usize, 0);
        }
        958..964 => {
            let how = any_allocation(random);
            player.open[which].object.allocate(how, start, length).unwrap();
            let end = (start + length) as usize;
            if matches!(how, Allocation::Extend | Allocation::ZeroExtend) && model.len() < end {
                model.resize(end, 0);
            }
            if !matches!(how, Allocation::Extend | Allocation::KeepSize) {
                player::punch(model, start, length);
            }
        }
        964..974 => {
            assert_eq!(player.open[which].object.size_bytes(), Ok(model.len() as u64));
            let hand = player.open[which].object.size_at_hand();
            assert!(hand.is_none_or(|size| size == model.len() as u64));
            let told = player.container.attributes(player.file.found().node).unwrap();
            assert_eq!(told.size_bytes, model.len() as u64);
        }
        974..980 => player.open[which].object.sync().unwrap(),
        980..985 => player.open[which].object.set_strict(random.one_in(2)),
        985..990 => {
            player.open[which].object.flush().unwrap();
            same("the store", 0, &player.file.lock().bytes, model);
        }
        990..993 => {
            let data = player.open[which].object.seek_data(start);
            assert_eq!(data.is_ok(), start < model.len() as u64);
        }
        993..996 => {
            player.container.flush();
            player.container.before_fork();
            player.container.after_fork_in_parent();
            same("the store before a fork", 0, &player.file.lock().bytes, model);
        }
        _ => {
            let closed = player.open.swap_remove(which);
            closed.object.flush().unwrap();
            drop(closed);
            player.open_one();
        }
    }
    check_bounds(player);
}

fn check_bounds(player: &Player) {
    // One block that failed on its way may be over the bound; there are no failures here.
    assert!(player.container.used_bytes() <= 8 << 20, "{}", player.container.used_bytes());
}
