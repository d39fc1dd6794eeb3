//! Event queues and events, and calls that take one.
#![allow(unsafe_code)]

use super::memory::daos_here;
use crate::calls::Call;
use crate::counters;
use crate::errors::{Answer, Der, Trouble};
use crate::events::{self, Event};
use crate::fault::{self, Effect};
use crate::process;
use crate::settings::settings;
use crate::task::{Meanwhile, Work};
use crate::turns::{self, Turn};
use crate::wire::{self, Exchange};
use sidestep::store::daos::bindings::{daos_event_t, daos_handle_t};
use std::ffi::{c_int, c_uint, c_void};

fn code(answer: Answer<()>) -> c_int {
    answer.map_or_else(Trouble::for_daos, |()| 0)
}

/// Serves a call of libdaos: at once, or, with an event, so that its outcome shows when its messages are through.
pub fn with_event(call: Call, event: *mut daos_event_t, work: impl FnOnce(&mut Exchange) -> Answer<()>) -> c_int {
    if event.is_null() {
        return code(process::check(call).and_then(|()| wire::serve(call, work)));
    }
    let launched = process::check(call).and_then(|()| {
        counters::count_call(call);
        let mut exchange = Exchange::of(call);
        let effect = fault::strike(call, true);
        let outcome = match effect {
            Some(Effect::Fails(trouble)) => {
                exchange.message();
                Err(trouble)
            }
            Some(Effect::FailsLate(trouble)) => work(&mut exchange).and(Err(trouble)),
            _ => work(&mut exchange),
        };
        let outcome = code(outcome);
        // SAFETY: the client's word that the event stays.
        unsafe { Event::new(event).launch(&exchange, effect == Some(Effect::Hangs), Box::new(move || outcome), None) }
    });
    code(launched)
}

/// What goes over to the moment when a transfer ends.
pub struct Sent<T>(pub T);

// SAFETY: pointers to memory that stays until the transfer has ended, by the client's word; one thread ends it.
unsafe impl<T> Send for Sent<T> {}

/// What a transfer does when its time has come, told whether it is to be short.
pub type Transfer = Box<dyn FnOnce(bool) -> Answer<()> + Send>;

/// What is known of a transfer when its messages were counted.
pub struct Announced {
    /// Touches the memory.
    pub transfer: Transfer,
    /// What may be moved while the client goes on.
    pub meanwhile: Option<Meanwhile>,
}

/// Serves a transfer of libdfs: `announce` counts its messages.
pub fn transfer(
    call: Call,
    event: *mut daos_event_t,
    announce: impl FnOnce(&mut Exchange) -> Answer<Announced>,
) -> c_int {
    transfer_as(call, event, Trouble::for_dfs, announce)
}

/// The same of either library: `number` is what its errors are.
pub fn transfer_as(
    call: Call,
    event: *mut daos_event_t,
    number: fn(Trouble) -> c_int,
    announce: impl FnOnce(&mut Exchange) -> Answer<Announced>,
) -> c_int {
    let code = |answer: Answer<()>| answer.map_or_else(number, |()| 0);
    if event.is_null() {
        let all = |wire: &mut Exchange| {
            let Announced { transfer, .. } = announce(wire)?;
            transfer(wire.is_short)
        };
        return code(process::check(call).and_then(|()| wire::serve(call, all)));
    }
    let launched = process::check(call).and_then(|()| {
        counters::count_call(call);
        let mut exchange = Exchange::of(call);
        let Announced { transfer, meanwhile } = announce(&mut exchange)?;
        let effect = fault::strike(call, true);
        let work: Work = match effect {
            Some(Effect::Fails(trouble)) => Box::new(move || number(trouble)),
            Some(Effect::FailsLate(trouble)) => Box::new(move || {
                let _done = transfer(false);
                number(trouble)
            }),
            _ => Box::new(move || transfer(effect == Some(Effect::IsShort)).map_or_else(number, |()| 0)),
        };
        // Where failures are on order, what they do to memory is to show: it is touched at the end.
        let meanwhile = meanwhile.filter(|_| settings().faults.is_empty() && settings().vanish.is_none());
        let never_ends = effect == Some(Effect::Hangs);
        // SAFETY: the client's word that the event and the memory stay.
        unsafe { Event::new(event).launch(&exchange, never_ends, work, meanwhile.as_ref()) }
    });
    code(launched)
}

/// Makes an event queue.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_eq_create(queue: *mut daos_handle_t) -> c_int {
    daos_here(Call::daos_eq_create, || {
        // SAFETY: the caller's word.
        unsafe { queue.write(daos_handle_t { cookie: events::create_queue() }) };
        Ok(())
    })
}

/// Removes one.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_eq_destroy(queue: daos_handle_t, flags: c_int) -> c_int {
    daos_here(Call::daos_eq_destroy, || events::destroy_queue(queue.cookie, flags & 1 != 0))
}

/// Takes ended events out of a queue.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_eq_poll(
    queue: daos_handle_t,
    wait_running: c_int,
    timeout: i64,
    event_count: c_uint,
    events: *mut *mut daos_event_t,
) -> c_int {
    let mut taken = 0;
    let outcome = daos_here(Call::daos_eq_poll, || {
        let room = if events.is_null() { 0 } else { event_count as usize };
        let ended = events::poll(queue.cookie, wait_running != 0, timeout, room)?;
        for (index, event) in ended.iter().enumerate() {
            // SAFETY: the caller's word that there is room for so many.
            unsafe { events.add(index).write(*event) };
        }
        taken = c_int::try_from(ended.len()).unwrap_or(c_int::MAX);
        Ok(())
    });
    if outcome == 0 { taken } else { outcome }
}

/// Readies an event; of parents and children nothing.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_event_init(
    event: *mut daos_event_t,
    queue: daos_handle_t,
    parent: *mut daos_event_t,
) -> c_int {
    daos_here(Call::daos_event_init, || {
        if !parent.is_null() {
            return Err(Der::NOTSUPPORTED.into());
        }
        // SAFETY: the caller's word.
        unsafe { Event::new(event).ready(queue.cookie) }
    })
}

/// Undoes that.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_event_fini(event: *mut daos_event_t) -> c_int {
    // SAFETY: the caller's word.
    daos_here(Call::daos_event_fini, || unsafe { Event::new(event).finish() })
}

/// Looks whether an operation has ended.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_event_test(event: *mut daos_event_t, timeout: i64, has_ended: *mut bool) -> c_int {
    // SAFETY: the caller's word.
    daos_here(Call::daos_event_test, || unsafe {
        has_ended.write(Event::new(event).test(timeout)?);
        Ok(())
    })
}

/// Asks for the end of an operation, in vain.
///
/// # Safety
/// As libdaos has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn daos_event_abort(event: *mut daos_event_t) -> c_int {
    // SAFETY: the caller's word.
    daos_here(Call::daos_event_abort, || unsafe { Event::new(event).abort() })
}

/// Has a function called at each turn of a call that waits.
///
/// # Safety
/// As libcart has it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crt_register_progress_cb(turn: Option<Turn>, index: c_int, _argument: *mut c_void) -> c_int {
    code(wire::serve_here(Call::crt_register_progress_cb, || {
        if index != 0 {
            return Err(Der::NONEXIST.into());
        }
        turns::register(turn);
        Ok(())
    }))
}

/// How many contexts there are: one.
///
/// # Safety
/// `count` can be written.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn crt_context_num(count: *mut c_int) -> c_int {
    code(wire::serve_here(Call::crt_context_num, || {
        // SAFETY: the caller's word.
        unsafe { count.write(1) };
        Ok(())
    }))
}
