//! The `necko` command: fetches over HTTP/3 from the command line.

mod command;

fn main() -> std::process::ExitCode {
    command::main()
}
