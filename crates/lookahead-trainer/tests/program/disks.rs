//! Disks that are full, or can't be written, or lose the run's folder.

use std::process::{Command, Stdio};

use crate::common::{SMALL, Sandbox, failed, signal, stderr, succeeded, train};

/// A model whose checkpoint takes 200 KB and more.
fn large() -> String {
    SMALL.replace("hidden = [16]", "hidden = [256]")
}

/// A disk fills up in the middle of a file: training continues, earlier checkpoints stay, and once the disk
/// has room again the run resumes from them.
#[test]
fn a_disk_that_fills_up_in_the_middle_of_a_checkpoint() {
    let sandbox = Sandbox::new(&large());
    sandbox.train("whole", &["--set", "train.max_steps=9"]);
    sandbox.train("run", &["--set", "train.max_steps=4"]);
    let output =
        sandbox.with_file_limit(100, &["resume", "runs/run", "--set", "train.max_steps=9"]);
    let words = [
        "NO CHECKPOINT of step 5",
        "NO CHECKPOINT of step 9",
        "Training continues and retries; the earlier checkpoints are unchanged",
        "The checkpoint of step 9 could not be saved",
    ];
    failed(&output, 1, &words);
    // Once, and then what the run does about it.
    let said = stderr(&output);
    let warning = said.lines().find(|line| line.contains("NO CHECKPOINT of step 5")).unwrap();
    for once in ["ulimit -f", "retries", "unchanged"] {
        assert_eq!(warning.matches(once).count(), 1, "{warning}");
    }
    let found = sandbox.checkpoints("run");
    assert_eq!(found.iter().map(|(step, _)| *step).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(found.into_iter().all(|(_, found)| found.is_ok()));
    assert_eq!(sandbox.losses("run"), sandbox.losses("whole"), "it trained to its end");

    sandbox.resume("run", &[]);
    assert_eq!(sandbox.losses("run"), sandbox.losses("whole"));
    assert!(sandbox.tensors("run", 9) == sandbox.tensors("whole", 9));
}

/// Runs a script, with the program as `$1`, in a namespace in which it can mount file
/// systems; `None` if the system does not allow that.
fn in_a_namespace(sandbox: &Sandbox, script: &str) -> Option<std::process::Output> {
    let allowed = Command::new("unshare")
        .args(["--user", "--map-root-user", "--mount", "true"])
        .stderr(Stdio::null())
        .status();
    if !allowed.is_ok_and(|status| status.success()) {
        eprintln!("Skipped: this system does not allow mounting a file system.");
        return None;
    }
    let mut command = Command::new("unshare");
    command.args([
        "--user",
        "--map-root-user",
        "--mount",
        "bash",
        "-euo",
        "pipefail",
        "-c",
        script,
    ]);
    command.args(["script", env!("CARGO_BIN_EXE_lookahead")]).current_dir(sandbox.path());
    Some(command.output().unwrap())
}

/// A real full disk that gets room again while the run trains. Without evaluations, since of lines that
/// come so fast some are left out, and the test waits for those of checkpoints.
#[test]
fn a_disk_that_is_full_for_a_while() {
    let sandbox = Sandbox::new(&large());
    let script = r#"
        mkdir runs && mount -t tmpfs -o size=3m tmpfs runs
        dd if=/dev/zero of=runs/filler bs=1k count=2400 status=none
        "$1" train test.toml --out runs --name run --set train.max_steps=1000000 \
            --set checkpoint.every_steps=50 --set checkpoint.keep=1 --progress-every 0.01 \
            --set train.evaluate_every_epochs=0 2> said &
        trainer=$!
        # Whatever goes wrong here, it must not train to its millionth step.
        trap 'kill -KILL $trainer 2> /dev/null || true' EXIT
        await() {
            for i in $(seq 600); do if grep -q "$1" "$2"; then return; fi; sleep 0.1; done
            echo "It never said $1:" >&2; df runs >&2; ls -laR runs >&2; exit 9
        }
        await 'saved step-' said
        dd if=/dev/zero of=runs/more bs=1k count=4000 status=none 2> /dev/null || true
        await 'NO CHECKPOINT' said
        await 'EVENT LOG' said
        rm runs/filler runs/more
        saved=$(grep -c 'saved step-' said)
        for i in $(seq 600); do if [[ $(grep -c 'saved step-' said) -gt $saved ]]; then break; fi; sleep 0.1; done
        kill -TERM $trainer
        wait $trainer
        cp -r runs kept
    "#;
    let Some(output) = in_a_namespace(&sandbox, script) else { return };
    let said = std::fs::read_to_string(sandbox.path().join("said")).unwrap();
    assert!(output.status.success(), "{} {} {said}", output.status, stderr(&output));
    assert!(said.contains("No space left on device"), "{said}");
    for begins in ["Warning: NO CHECKPOINT", "Warning: THE EVENT LOG"] {
        let warning = said.lines().find(|line| line.starts_with(begins)).unwrap();
        let times = |what| warning.matches(what).count();
        assert_eq!(
            (times("Free some space"), times("again"), times("unchanged") < 2),
            (1, 0, true),
            "{warning}"
        );
    }

    // The run, with its log, equals one without a full disk.
    std::fs::rename(sandbox.path().join("kept"), sandbox.path().join("runs-kept")).unwrap();
    std::fs::remove_dir_all(sandbox.path().join("runs")).unwrap();
    std::fs::rename(sandbox.path().join("runs-kept"), sandbox.path().join("runs")).unwrap();
    let (step, found) = sandbox.checkpoints("run").pop().unwrap();
    found.unwrap();
    let losses = sandbox.losses("run");
    assert_eq!(losses.len() as u64, step);
    // Some steps more, since it may have been stopped between a step and its sync.
    let step = step + 3;
    let last = format!("train.max_steps={step}");
    sandbox.resume("run", &["--set", &last]);
    sandbox.train("whole", &["--set", &last, "--set", "checkpoint.every_steps=0"]);
    assert_eq!(sandbox.losses("run"), sandbox.losses("whole"));
    assert!(sandbox.tensors("run", step) == sandbox.tensors("whole", step));
}

/// What only reads works on a read-only disk; what writes fails with a remedy.
#[test]
fn a_read_only_disk() {
    let sandbox = Sandbox::new(SMALL);
    let script = r#"
        mkdir runs && mount -t tmpfs tmpfs runs
        "$1" train test.toml --out runs --name run --set train.max_steps=4 2> said
        mount -o remount,ro runs
        "$1" eval runs/run > evaluated
        "$1" inspect runs/run > inspected
        status=0; "$1" resume runs/run --set train.max_steps=6 2> said || status=$?
        echo $status > resumed
        status=0; "$1" train test.toml --out runs 2>> said || status=$?
        echo $status > trained
    "#;
    let Some(output) = in_a_namespace(&sandbox, script) else { return };
    let file = |name: &str| std::fs::read_to_string(sandbox.path().join(name)).unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    let said = file("said");
    assert_eq!((&file("resumed")[..], &file("trained")[..]), ("1\n", "1\n"), "{said}");
    assert!(said.matches("Read-only file system").count() == 2, "{said}");
    assert!(said.contains("choose another folder") && !said.contains("panicked"), "{said}");
    assert!(file("evaluated").contains("step 4"), "who only reads can");
    assert!(file("inspected").contains("step-00000004: valid"), "{}", file("inspected"));
}

/// The folder of a running run is removed: training continues until it is stopped; then its checkpoint
/// can't be saved.
#[test]
fn a_removed_run_folder() {
    let sandbox = Sandbox::new(SMALL);
    let more = ["--set", "train.max_steps=10000000", "--set", "checkpoint.every_steps=20"];
    let mut child = sandbox.start("run", &more);
    sandbox.wait_for("run", &mut child, |record| record.step >= 40);
    // A checkpoint written meanwhile makes the removal fail.
    let started = std::time::Instant::now();
    while let Err(error) = std::fs::remove_dir_all(sandbox.run_folder("run")) {
        assert!(started.elapsed() < std::time::Duration::from_secs(20), "{error}");
    }
    std::thread::sleep(std::time::Duration::from_millis(500));
    assert!(child.try_wait().unwrap().is_none(), "it still trains");
    signal(&child, "TERM");
    let output = child.wait_with_output().unwrap();
    failed(&output, 1, &["NO CHECKPOINT of step", "could not be saved", "runs/run"]);
    assert!(!sandbox.run_folder("run").exists(), "who removed it wanted it gone");
    // Its name is free again.
    succeeded(sandbox.train("run", &[]));
}

/// A library that makes the disk behave like some network disks: no locks, no syncing of folders.
const NO_LOCKS: &str = r#"
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <sys/stat.h>

int flock(int file, int operation) { (void)file; (void)operation; errno = ENOLCK; return -1; }

int fsync(int file) {
    struct stat found;
    if (fstat(file, &found) == 0 && S_ISDIR(found.st_mode)) { errno = EINVAL; return -1; }
    return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(file);
}
"#;

/// Training works there, with a warning.
#[test]
fn a_disk_without_locks_and_folder_syncs() {
    let sandbox = Sandbox::new(SMALL);
    let (source, library) = (sandbox.path().join("no.c"), sandbox.path().join("no.so"));
    std::fs::write(&source, NO_LOCKS).unwrap();
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library).arg(&source).arg("-ldl");
    assert!(compiler.status().unwrap().success());
    let program = |arguments: &[&str]| {
        let mut command = sandbox.command(arguments);
        command.env("LD_PRELOAD", &library).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    };
    let lookahead = |arguments: &[&str]| program(arguments).output().unwrap();
    let warnings = ["has no file locks", "can't sync folders"];

    let said = stderr(&succeeded(lookahead(&train("short", &[]))));
    assert!(warnings.iter().all(|warning| said.contains(warning)), "{said}");
    let said =
        stderr(&succeeded(lookahead(&["resume", "runs/short", "--set", "train.max_steps=16"])));
    assert!(warnings.iter().all(|warning| said.contains(warning)), "{said}");
    succeeded(lookahead(&["inspect", "runs/short"]));
    succeeded(lookahead(&["eval", "runs/short"]));
    succeeded(lookahead(&["ctl", "runs/short", "status"]));

    // A process of the same machine is recognized by its socket.
    let endless = ["--set", "train.max_steps=10000000", "--set", "checkpoint.every_steps=20"];
    let mut child = program(&train("run", &endless)).spawn().unwrap();
    sandbox.wait_for("run", &mut child, |record| record.step >= 40);
    failed(&lookahead(&["resume", "runs/run"]), 1, &["is in use"]);
    let inspected = lookahead(&["inspect", "runs/run"]);
    assert!(String::from_utf8(inspected.stdout).unwrap().contains("run: running at step"));
    signal(&child, "TERM");
    succeeded(child.wait_with_output().unwrap());

    let sweep = "config = \"test.toml\"\nseeds = 2\n[set]\n\"train.max_steps\" = 4\n";
    std::fs::write(sandbox.path().join("sweep.toml"), sweep).unwrap();
    succeeded(lookahead(&["sweep", "sweep.toml", "--out", "out"]));
}

/// Parts of a run's folder that are on another disk can't be moved into or out of.
#[test]
fn a_folder_of_abandoned_checkpoints_on_another_disk() {
    let sandbox = Sandbox::new(SMALL);
    let script = r#"
        "$1" train test.toml --out runs --name run --set train.max_steps=4
        mkdir runs/run/abandoned && mount -t tmpfs tmpfs runs/run/abandoned
        status=0; "$1" resume runs/run --from 2 2> said || status=$?
        echo $status > resumed
    "#;
    let Some(output) = in_a_namespace(&sandbox, script) else { return };
    assert!(output.status.success(), "{}", stderr(&output));
    let file = |name: &str| std::fs::read_to_string(sandbox.path().join(name)).unwrap();
    assert_eq!(file("resumed"), "1\n", "{}", file("said"));
    assert!(file("said").contains("Move away what is on another"), "{}", file("said"));
    assert_eq!(sandbox.checkpoints("run").len(), 4, "all are in their places");
}

/// libtorch needs /dev for its random numbers, which a hand-made container may lack.
#[test]
fn a_system_without_dev_is_named() {
    let sandbox = Sandbox::new(SMALL);
    let script = r#"
        mount -t tmpfs tmpfs /dev
        status=0
        "$1" train test.toml --out runs 2> said || status=$?
        echo $status > trained
    "#;
    let Some(output) = in_a_namespace(&sandbox, script) else { return };
    assert!(output.status.success(), "{}", stderr(&output));
    let file = |name: &str| std::fs::read_to_string(sandbox.path().join(name)).unwrap();
    let said = file("said");
    assert_eq!(file("trained"), "1\n", "{said}");
    assert!(
        said.contains("/dev/urandom") && said.contains("Make the system's /dev available"),
        "{said}"
    );
    assert!(!said.contains("foreign") && said.lines().count() <= 2, "{said}");
}
