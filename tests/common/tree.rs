//! A file tree as an unmodified program sees it.

use super::engine::{self, Engine};
use super::process;
use super::world::World;
use std::time::Duration;

// Names, kinds, modes, sizes, link counts, owners and link targets, then what is in the files. DAOS's directories have
// one size and one link, whatever is in them. A file that its
// owner may not read (a case's doing) is told by sha256sum, the same on both sides.
const DUMP: &str = r#"
for side in p h; do
    cd "$1/$side" || exit 1
    find . \( -type d -printf "%P|%y|%m|$2|%U:%G|%l\n" -o -printf '%P|%y|%m|%s|%n|%U:%G|%l\n' \) | sort
    find . -type f -print0 | sort -z | xargs -0 -r sha256sum
done
exit 0
"#;

/// The prefix and the host directory, as `find` and `sha256sum` of this world tell them.
pub fn dump(world: &World) -> Result<String, String> {
    let mut command = world.command("/bin/sh");
    let directories = if *engine::chosen() == Engine::Embedded { "%s|%n" } else { "-|-" };
    command.args(["-c", DUMP, "sh"]).arg(&world.side).arg(directories);
    let outcome = process::run(command, world.scratch(), Duration::from_secs(60));
    if outcome.status != "exit 0" {
        return Err(format!("the tree cannot be dumped: {}\n{}{}", outcome.status, outcome.stdout, outcome.stderr));
    }
    Ok(process::normalise(&(outcome.stdout + &outcome.stderr), world))
}
