//! Descriptors such as the real library keeps: sockets, an epoll instance, event counters, made through libc when it
//! starts. Whoever loads the library has to keep them out of the program's way and alive; that is looked at in each call.
#![allow(unsafe_code)]

use crate::settings::complain;
use libc::{c_int, c_long};
use std::sync::OnceLock;

/// Descriptors that stay.
const KEPT_COUNT: usize = 4;

static KEPT: OnceLock<Vec<c_int>> = OnceLock::new();

/// Makes one by each call that makes descriptors.
pub fn make() {
    KEPT.get_or_init(|| {
        let mut kept = Vec::new();
        // SAFETY: plain system calls with integers, and with arrays and structures of our own.
        unsafe {
            let mut note = |descriptor: c_long| kept.push(descriptor as c_int);
            note(libc::syscall(libc::SYS_epoll_create, 1));
            note(libc::syscall(libc::SYS_epoll_create1, 0));
            note(libc::syscall(libc::SYS_eventfd, 0));
            note(libc::syscall(libc::SYS_eventfd2, 0, 0));
            note(libc::syscall(libc::SYS_timerfd_create, libc::CLOCK_MONOTONIC, 0));
            note(libc::syscall(libc::SYS_memfd_create, c"daos".as_ptr(), 0));
            note(libc::syscall(libc::SYS_inotify_init1, 0));
            let none = 0u64;
            note(libc::syscall(libc::SYS_signalfd4, -1, &raw const none, size_of_val(&none), 0));
            for call in [libc::SYS_pipe, libc::SYS_pipe2] {
                let mut pair = [-1; 2];
                libc::syscall(call, pair.as_mut_ptr(), 0);
                pair.iter().for_each(|end| note(c_long::from(*end)));
            }
            let mut pair = [-1; 2];
            libc::syscall(libc::SYS_socketpair, libc::AF_UNIX, libc::SOCK_STREAM, 0, pair.as_mut_ptr());
            pair.iter().for_each(|end| note(c_long::from(*end)));
            let listening = libc::syscall(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0) as c_int;
            note(c_long::from(listening));
            // Bound to no name, the kernel gives it one of its own (unix(7), autobind).
            let mut address: libc::sockaddr_un = std::mem::zeroed();
            address.sun_family = libc::AF_UNIX as u16;
            let mut length = size_of_val(&address.sun_family) as libc::socklen_t;
            libc::bind(listening, (&raw const address).cast(), length);
            libc::listen(listening, 2);
            length = size_of_val(&address) as libc::socklen_t;
            libc::getsockname(listening, (&raw mut address).cast(), &raw mut length);
            let none = std::ptr::null_mut::<libc::c_void>();
            for call in [libc::SYS_accept, libc::SYS_accept4] {
                let calling = libc::syscall(libc::SYS_socket, libc::AF_UNIX, libc::SOCK_STREAM, 0) as c_int;
                note(c_long::from(calling));
                libc::connect(calling, (&raw const address).cast(), length);
                note(libc::syscall(call, listening, none, none, 0));
            }
        }
        if kept.iter().any(|descriptor| *descriptor < 0) {
            complain("a call that makes descriptors failed");
        }
        // Some three are what a network of one server keeps; more would only crowd a program with a low limit.
        for extra in kept.drain(KEPT_COUNT..).filter(|extra| *extra >= 0) {
            // SAFETY: made above, and nobody else's.
            unsafe { libc::close(extra) };
        }
        kept
    });
}

/// Says so where one is gone, or was never made.
pub fn look_after() {
    for descriptor in KEPT.get().into_iter().flatten() {
        // SAFETY: asks after a number.
        if unsafe { libc::fcntl(*descriptor, libc::F_GETFD) } < 0 {
            complain(&format!("descriptor {descriptor} of the library was closed by somebody else"));
        }
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_call_made_one() {
        super::make();
        let kept = super::KEPT.get().expect("made");
        assert_eq!(kept.len(), super::KEPT_COUNT);
        assert!(kept.iter().all(|descriptor| *descriptor >= 0), "{kept:?}");
        super::look_after();
    }
}
