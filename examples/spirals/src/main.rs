fn main() -> std::process::ExitCode {
    lookahead_trainer::App::builtin().run()
}
