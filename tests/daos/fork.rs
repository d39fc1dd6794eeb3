//! Forks: what a child does with the connection that it inherited.
#![allow(unsafe_code)]

use super::place::{Place, another, list, new};
use sidestep::ground::buffer::Segment;
use sidestep::store::{Container, Kind};

/// Runs `child` in a fork child; whether it came to its end.
fn in_child(container: &dyn Container, child: impl FnOnce() -> bool) -> rustix::process::Pid {
    container.before_fork();
    // SAFETY: the child calls the engine, which is made for that, and leaves without running anybody's handlers.
    let id = unsafe { libc::fork() };
    if id == 0 {
        let is_ours = container.after_fork_in_child().is_ok();
        let is_well = is_ours && std::panic::catch_unwind(std::panic::AssertUnwindSafe(child)).unwrap_or(false);
        // SAFETY: ends the child.
        unsafe { libc::_exit(i32::from(!is_well)) };
    }
    container.after_fork_in_parent();
    rustix::process::Pid::from_raw(id).expect("a child")
}

fn ended_well(child: rustix::process::Pid) -> bool {
    let ended = rustix::process::waitpid(Some(child), rustix::process::WaitOptions::empty()).unwrap();
    ended.is_some_and(|(_, status)| status.exit_status() == Some(0))
}

/// Makes `count` files and writes their names into them; the names.
fn make(container: &dyn Container, directory: sidestep::store::NodeId, who: &str, count: usize) -> Vec<String> {
    let name = |number| format!("{who}-{number}");
    let names: Vec<String> = (0..count).map(name).collect();
    for name in &names {
        let found = container.create(directory, name.as_bytes(), &new(Kind::File, 0o644)).unwrap();
        let file = container.open(found).unwrap();
        file.write_at(0, &[Segment::of_slice(name.as_bytes())]).unwrap();
    }
    names
}

#[test]
fn parent_and_children_make_different_files() {
    let Some(place) = Place::new("fork") else { return };
    // A connection of its own: its other threads, if it had any, would be missing in the child.
    let container = another(&Default::default()).unwrap();
    let parent = container.lookup(container.root(), place.name().as_bytes()).unwrap().node;
    let mut names = make(container.as_ref(), parent, "before", 3);
    let open = container.open(container.lookup(parent, b"before-0").unwrap()).unwrap();
    let children: Vec<_> = (0..3)
        .map(|child| {
            in_child(container.as_ref(), || {
                make(container.as_ref(), parent, &format!("child{child}"), 20);
                let mut room = [0; 20];
                open.read_at(0, &[Segment::of_slice_mut(&mut room)]) == Ok(8)
            })
        })
        .collect();
    names.extend(make(container.as_ref(), parent, "parent", 20));
    assert!(children.into_iter().all(ended_well));
    for child in 0..3 {
        names.extend((0..20).map(|number| format!("child{child}-{number}")));
    }
    names.sort();
    assert_eq!(list(place.container.as_ref(), place.directory), names);
    let mut numbers = std::collections::BTreeSet::new();
    for name in names {
        let found = place.container.lookup(place.directory, name.as_bytes()).unwrap();
        assert!(numbers.insert(found.node), "{name} has another file's object");
        let mut room = [0; 100];
        let count = place.container.open(found).unwrap().read_at(0, &[Segment::of_slice_mut(&mut room)]).unwrap();
        assert_eq!(String::from_utf8_lossy(&room[..count]), name);
    }
}

#[test]
fn another_process_keeps_a_removed_file() {
    let Some(place) = Place::new("kept") else { return };
    let container = another(&Default::default()).unwrap();
    let parent = container.lookup(container.root(), place.name().as_bytes()).unwrap().node;
    make(container.as_ref(), parent, "f", 1);
    let found = container.lookup(parent, b"f-0").unwrap();
    let file = container.open(found).unwrap();
    let child = in_child(place.container.as_ref(), || place.container.unlink(place.directory, b"f-0").is_ok());
    assert!(ended_well(child));
    let mut room = [0; 10];
    assert_eq!(file.read_at(0, &[Segment::of_slice_mut(&mut room)]), Ok(3));
    container.attributes(found.node).ok();
    assert_eq!(file.attributes().unwrap().link_count, 0);
}
