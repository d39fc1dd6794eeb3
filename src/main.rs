//! The `sidestep` command.

fn main() -> std::process::ExitCode {
    sidestep::command::main()
}
