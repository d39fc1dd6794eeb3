//! What creates or replaces a process: doors only where the gate was refused. `fork` is seen by the fork handlers.
#![allow(unsafe_code)]

use super::door::doors;
use libc::{c_char, c_int, c_void, pid_t, posix_spawn_file_actions_t, posix_spawnattr_t};

doors! {
    whole execve(path: *const c_char, arguments: *const *const c_char, environment: *const *const c_char) -> c_int = SYS_execve, Same, libc::execve;
    whole execv(path: *const c_char, arguments: *const *const c_char) -> c_int = SYS_execve, OwnEnvironment, libc::execv;
    whole vfork() -> pid_t = SYS_vfork, Before;
    whole posix_spawn(child: *mut pid_t, path: *const c_char, actions: *const posix_spawn_file_actions_t, attributes: *const posix_spawnattr_t, arguments: *const *mut c_char, environment: *const *mut c_char) -> c_int = SYS_vfork, Before, libc::posix_spawn;
    whole posix_spawnp(child: *mut pid_t, path: *const c_char, actions: *const posix_spawn_file_actions_t, attributes: *const posix_spawnattr_t, arguments: *const *mut c_char, environment: *const *mut c_char) -> c_int = SYS_vfork, Before, libc::posix_spawnp;
    whole system(command: *const c_char) -> c_int = SYS_vfork, Before, libc::system;
    whole popen(command: *const c_char, mode: *const c_char) -> *mut c_void = SYS_vfork, Before;
}
