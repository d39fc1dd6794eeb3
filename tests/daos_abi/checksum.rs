//! A checksum of the declarations, which stands in the bindings that were made of them.

use std::path::Path;

/// The line that says of which declarations bindings are: FNV-1a over the headers below `root`.
pub fn of_declarations(root: &Path) -> String {
    let mut sum: u64 = 0xcbf2_9ce4_8422_2325;
    for name in ["sidestep_daos_types.h", "sidestep_daos_calls.h"] {
        let path = root.join("include").join(name);
        for byte in std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display())) {
            sum = (sum ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    format!("Declarations: {sum:016x}.")
}
