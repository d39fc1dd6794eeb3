//! A stand-in for libdaos and libdfs, for tests: it exports the calls of DAOS 2.8 that Sidestep makes, under their own
//! names, and serves them from a directory of this machine, over Sidestep's embedded engine.
//!
//! It is not DAOS. There is no server, no network, no agent, no replication, no transaction; a message is a wait. What it
//! takes from DAOS is what a client sees: the objects behind the names (a file is an array with a number, a directory
//! an object with entries, a name's removal punches the object whoever has it open), the errno of each call, the order
//! and number of the messages, event queues whose operations end only when somebody polls while long transfers go on by
//! themselves ([`server`]), handles that a fork child cannot use before `daos_reinit`. `tests/programs/dfs_behaviour.c` runs
//! against both, and the answers are compared.
//!
//! `SIDESTEP_LIBDFS=.../libsidestep_dfs_emulator.so` makes Sidestep use it. Settings, read once in each process:
//!
//! | variable | is |
//! |---|---|
//! | `SIDESTEP_EMULATOR_STORE` | the directory of the pools, which are directories of containers |
//! | `SIDESTEP_EMULATOR_CREATE` | `1`: a missing pool or container is made; `posix` or another word: with that layout |
//! | `SIDESTEP_EMULATOR_CHUNK` | chunk size of a container that is made, in bytes; 1 MiB |
//! | `SIDESTEP_EMULATOR_LATENCY_US` | how long a message takes, in microseconds; 20 |
//! | `SIDESTEP_EMULATOR_BANDWIDTH` | bytes a second over this process's link; without it no bound |
//! | `SIDESTEP_EMULATOR_POOL_BYTES` | what a pool holds, sizes of files counted; 1 TiB |
//! | `SIDESTEP_EMULATOR_RIGHTS` | `read-only`, `no-container`, `no-pool` |
//! | `SIDESTEP_EMULATOR_AGENT` | `absent`: no agent answers `daos_init` |
//! | `SIDESTEP_EMULATOR_LAYOUT` | `other`, `longer`: entries lie otherwise in a directory's object, or have more behind |
//! | `SIDESTEP_EMULATOR_LAYOUT_VERSION` | what a container that is made says of its layout; 3 |
//! | `SIDESTEP_EMULATOR_LINK` | `NAME=OTHER`: a file made under the one name has the other too, both marked as hard links |
//! | `SIDESTEP_EMULATOR_FAULT` | which calls fail, when and how: [`fault`] |
//! | `SIDESTEP_EMULATOR_VANISH` | while this file is there, no message is answered |
//! | `SIDESTEP_EMULATOR_COUNTERS` | a file that counts calls and messages: [`counters`]; `emulator_messages()` adds them up |

// By the name that the library's own files have for it: `memory` shares some.
extern crate sidestep as house;

mod abi;
mod array;
mod attributes;
mod calls;
mod container;
mod counters;
mod descriptors;
mod errors;
mod events;
mod extended;
mod fault;
mod handover;
mod keys;
mod lookup;
mod memory;
mod mount;
mod oid;
mod open;
mod pool;
mod process;
mod record;
mod remove;
mod rename;
mod server;
mod settings;
mod shared_page;
mod snapshot;
mod task;
mod turns;
mod wire;
