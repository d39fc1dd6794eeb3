//! Lines for a human, on standard error, by a raw write that meets no door.

use std::fmt::Write;

/// One line on standard error, cut at 400 bytes, without allocation.
pub fn line(message: std::fmt::Arguments) {
    let mut text = Line { bytes: [0; 400], length: 0 };
    let _ = write!(text, "sidestep: {message}");
    text.length = text.length.min(text.bytes.len() - 1);
    text.bytes[text.length] = b'\n';
    // Standard error is whatever the application has there; the write may fail, and that is all.
    let _ = rustix::io::write(rustix::stdio::stderr(), &text.bytes[..=text.length]);
}

struct Line {
    bytes: [u8; 400],
    length: usize,
}

impl Write for Line {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        let room = &mut self.bytes[self.length..];
        let length = text.len().min(room.len());
        room[..length].copy_from_slice(&text.as_bytes()[..length]);
        self.length += length;
        Ok(())
    }
}

/// Has panics told in one line each, instead of Rust's own several, and without a backtrace.
pub fn tell_panics() {
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map_or(("?", 0), |place| (place.file(), place.line()));
        let payload = panic.payload();
        let text = payload.downcast_ref::<&str>().copied().or(payload.downcast_ref::<String>().map(String::as_str));
        let text = text.unwrap_or("no message");
        line(format_args!("internal error at {}:{}: {text}; the call answers EIO", place.0, place.1));
    }));
}
