/*
 * What Sidestep uses of libdaos and libdfs, declared from scratch: facts of their binary interface (DAOS 2.4 to 2.8),
 * no text of theirs. `build.rs` makes src/store/daos/bindings.rs of it (cargo feature `bindgen`);
 * tests/daos_abi.rs holds it against the real headers where those are installed.
 */
#ifndef SIDESTEP_DAOS_H
#define SIDESTEP_DAOS_H

#include "sidestep_daos_types.h"
#include "sidestep_daos_calls.h"

#endif
