//! What is printed around a run: the answers to `ctl`, the command that continues from where a run or a sweep ended,
//! and what a resume replaces.

use crate::common::session::{DIGITS, Session};

/// Steps differ from run to run.
fn assert_snapshot(session: &Session, name: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.add_filter(r"\b(step|epoch) [\d,]+([^/\d,]|$)", "$1 [n]$2");
    settings.add_filter(r"step-\d{8}", "step-[n]");
    settings.add_filter(r"\d+ inner steps since", "[n] inner steps since");
    settings.bind(|| session.assert_snapshot(name));
}

/// Trains in the background until it is stopped. Waits have an end, so that a failure is one.
fn train_in_the_background(session: &mut Session) {
    session.run(
        "lookahead train digits.toml --set train.max_steps=10000000 --set train.evaluate_every_epochs=0 --no-tui \
         > log 2>&1 &",
    );
    session.quietly("for i in $(seq 1500); do grep -q 'step 1/' log && break; sleep 0.02; done");
}

#[test]
fn ctl_prints_what_came_of_it() {
    let mut session = Session::new();
    session.write("digits.toml", DIGITS);
    train_in_the_background(&mut session);
    session.run("lookahead ctl digits continue");
    session.run("lookahead ctl digits pause");
    session.run("lookahead ctl digits pause");
    session.run("lookahead ctl digits checkpoint");
    session.run("lookahead ctl digits checkpoint");
    session.run("lookahead ctl digits set lookahead.alpha=0.8");
    session.run("lookahead ctl digits set optimizer.lr=0.0125");
    session.run("lookahead ctl digits set lookahead.k=7");
    session.run("lookahead ctl digits continue");
    session.run("lookahead ctl digits checkpoint");
    session.run("lookahead ctl digits stop");
    session.run("tail -n 3 log");
    session.run("lookahead ctl digits pause");
    session.run("lookahead train digits.toml --name short --quiet --no-tui");
    session.run("lookahead ctl short pause");
    assert_snapshot(&session, "ctl prints what came of it");
}

#[test]
fn after_ctrl_c_the_last_line_resumes_the_run() {
    let mut session = Session::new();
    session.write("digits.toml", DIGITS);
    session.run(
        "lookahead train digits.toml --out 'my runs' --set train.max_steps=10000000 --no-tui > log 2>&1 & \
         for i in $(seq 1500); do grep -q 'step 1/' log && break; sleep 0.02; done; kill -INT $!; wait $!",
    );
    session.run("tail -n 3 log");
    session.run("lookahead ctl 'my runs/digits' status");
    // As it says.
    session.run(
        "eval \"exec $(sed -n 's/^Resume with: //p' log) --no-tui\" > log2 2>&1 & \
         for i in $(seq 1500); do grep -s '^Resuming' log2 && break; sleep 0.02; done; kill -INT $!; wait $!",
    );
    assert_snapshot(&session, "after Ctrl-C");
}

#[test]
fn after_a_sweep_the_last_line_continues_from_there() {
    let mut session = Session::new();
    session.write("digits.toml", DIGITS);
    session.write(
        "rates.toml",
        "config = \"digits.toml\"\njobs = 2\n[grid]\n\"optimizer.lr\" = [0.1, 0.2]\n",
    );
    session.write(
        "divergence.toml",
        "config = \"digits.toml\"\njobs = 2\n[grid]\n\"optimizer.lr\" = [0.1, 1e30]\n",
    );
    session.write(
        "long.toml",
        "config = \"digits.toml\"\nseeds = 2\njobs = 2\n[set]\n\"train.max_steps\" = 10000000\n",
    );
    session.run("lookahead sweep rates.toml");
    session.run("lookahead sweep divergence.toml --jobs 1 2>&1 | tail -n 2");
    session.run(
        "lookahead sweep long.toml > log 2>&1 & \
         for i in $(seq 1500); do ls checkpoints/long/runs/*/control.sock > live 2>&1 && break; sleep 0.02; done; sleep 0.5; \
         kill -INT $!; wait $!",
    );
    session.run("tail -n 2 log");
    assert_snapshot(&session, "after a sweep");
}

/// The run's own config holds, whatever the file has become since.
#[test]
fn auto_resume_says_where_the_file_differs() {
    let mut session = Session::new();
    session.write("digits.toml", DIGITS);
    let train = "lookahead train digits.toml --name run --auto-resume --no-tui --quiet";
    session.run(train);
    session.run("sed -i 's/k = 3/k = 10/' digits.toml");
    session.run(&format!("{train} --set train.max_steps=16"));
    session.run(&format!("{train} --set train.max_steps=18 --set lookahead.k=10"));
    assert_snapshot(&session, "auto-resume says where the file differs");
}
