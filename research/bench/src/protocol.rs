//! The commands for contenders and their answers, one line of JSON each; their processes.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command as Process, Stdio};
use std::time::Duration;

use anyhow::{Context, bail};
use serde::{Deserialize, Serialize};

use crate::workload::Work;

/// What a contender is to do.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Command {
    /// Load the data and build model and optimizer, in the place of what was there before.
    Prepare(Box<Job>),
    /// Write the first weights and the order of the first epoch's samples to safetensors files. Of
    /// this project's contenders only.
    Export {
        /// The model's variables, by their names.
        initial: PathBuf,
        /// One tensor, `order`, of `i64`.
        order: PathBuf,
        /// All samples, for contenders that don't read the data set's files: `inputs`, `targets`, `test_inputs`
        /// and `test_targets`, as the model gets them.
        samples: Option<PathBuf>,
    },
    /// Take that many steps, and return the loss of each.
    Losses {
        /// How many.
        steps: u64,
    },
    /// Take steps until so much time has passed, always a whole number of cycles.
    Time {
        /// At least so long.
        seconds: f64,
        /// Steps of a cycle.
        cycle: u64,
    },
    /// The loss on the test set at φ.
    Evaluate {
        /// Whether θ must be restored afterwards; otherwise the contender takes its quickest way.
        keep: bool,
    },
    /// The most memory that the process ever had.
    Memory,
    /// Drop what was prepared.
    Release,
}

/// How to build a contender.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// Its name.
    pub contender: String,
    /// Threads inside an operation.
    pub threads: usize,
    /// PyTorch's form of the inner optimizer, `fused` or `foreach`; without a meaning to ours.
    pub form: String,
    /// How PyTorch holds images: `floats`, which is quicker, or `bytes`, which takes less memory.
    pub storage: String,
    /// The command.
    pub work: Work,
    /// The first weights; else they are drawn.
    pub initial: Option<PathBuf>,
    /// The order of the first epoch's samples; else it is drawn.
    pub order: Option<PathBuf>,
    /// All samples, for contenders that don't read the data set's files.
    pub samples: Option<PathBuf>,
}

/// What a contender answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Answer {
    /// Done.
    Done {
        /// Versions, in words.
        versions: String,
    },
    /// The losses of the steps.
    Losses {
        /// In their order.
        losses: Vec<f64>,
    },
    /// How long it took.
    Timed {
        /// Steps taken.
        steps: u64,
        /// In seconds.
        seconds: f64,
    },
    /// An evaluation.
    Evaluated {
        /// The mean loss.
        loss: f64,
        /// In seconds.
        seconds: f64,
    },
    /// The most memory that the process ever had.
    Memory {
        /// In bytes.
        peak: u64,
    },
    /// It could not be done.
    Failed {
        /// Why.
        message: String,
    },
}

/// The process of a contender; it ends with this.
#[derive(Debug)]
pub struct Worker {
    name: String,
    child: Child,
    commands: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    errors: PathBuf,
}

/// A moment after each slice, in which the threads of the one that ran stop spinning.
const MOMENT: Duration = Duration::from_millis(20);

impl Worker {
    /// Starts the process; its stderr goes to a file in `folder`.
    ///
    /// # Errors
    /// If the program can't be started.
    pub fn start(name: &str, program: &mut Process, folder: &Path) -> anyhow::Result<Worker> {
        let errors = folder.join(format!("{name}.stderr"));
        let stderr = File::create(&errors)
            .with_context(|| format!("The file {} can't be made.", errors.display()))?;
        program.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(stderr);
        let mut child =
            program.spawn().with_context(|| format!("{program:?} can't be started."))?;
        let commands = child.stdin.take();
        let answers = child.stdout.take().context("The process was given a pipe.")?;
        Ok(Worker {
            name: name.to_owned(),
            child,
            commands,
            answers: BufReader::new(answers),
            errors,
        })
    }

    /// Its name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Tells it to do something, and waits until that is done.
    ///
    /// # Errors
    /// If it reports a failure, ends, or sends anything but an answer.
    pub fn ask(&mut self, command: &Command) -> anyhow::Result<Answer> {
        let mut line = serde_json::to_string(command)?;
        line.push('\n');
        let commands =
            self.commands.as_mut().context("The pipe stays open until `self` is dropped.")?;
        let sent = commands.write_all(line.as_bytes()).and_then(|()| commands.flush());
        line.clear();
        // Its last words explain more than a broken pipe.
        let read = sent.and_then(|()| self.answers.read_line(&mut line));
        if !read.as_ref().is_ok_and(|count| *count > 0) {
            bail!("The contender {} has ended. It said: {}", self.name, self.last_words());
        }
        let answer = serde_json::from_str(&line)
            .with_context(|| format!("The contender {} said no answer: {line}", self.name))?;
        if let Answer::Failed { message } = answer {
            bail!("The contender {} failed: {message}", self.name);
        }
        Ok(answer)
    }

    fn last_words(&self) -> String {
        let text = std::fs::read_to_string(&self.errors).unwrap_or_default();
        let lines: Vec<&str> = text.lines().rev().take(12).collect();
        lines.into_iter().rev().collect::<Vec<_>>().join("\n")
    }

    /// Has it prepare a job; returns its versions.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn prepare(&mut self, job: Job) -> anyhow::Result<String> {
        match self.ask(&Command::Prepare(Box::new(job)))? {
            Answer::Done { versions } => Ok(versions),
            other => bail!("The contender {} answered {other:?}.", self.name),
        }
    }

    /// The losses of its next steps.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn losses(&mut self, steps: u64) -> anyhow::Result<Vec<f64>> {
        match self.ask(&Command::Losses { steps })? {
            Answer::Losses { losses } => Ok(losses),
            other => bail!("The contender {} answered {other:?}.", self.name),
        }
    }

    /// Seconds of a step, from a slice of time.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn seconds_per_step(&mut self, seconds: f64, cycle: u64) -> anyhow::Result<f64> {
        let answer = self.ask(&Command::Time { seconds, cycle })?;
        std::thread::sleep(MOMENT);
        match answer {
            Answer::Timed { steps: steps @ 1.., seconds } => Ok(seconds / steps as f64),
            other => bail!("The contender {} answered {other:?}.", self.name),
        }
    }

    /// Loss at φ on the test set, and how many seconds that took.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn evaluate(&mut self, keep: bool) -> anyhow::Result<(f64, f64)> {
        let answer = self.ask(&Command::Evaluate { keep })?;
        std::thread::sleep(MOMENT);
        match answer {
            Answer::Evaluated { loss, seconds } => Ok((loss, seconds)),
            other => bail!("The contender {} answered {other:?}.", self.name),
        }
    }

    /// The most memory that it ever had, in bytes.
    ///
    /// # Errors
    /// As [`ask`](Self::ask).
    pub fn peak_memory(&mut self) -> anyhow::Result<u64> {
        match self.ask(&Command::Memory)? {
            Answer::Memory { peak } => Ok(peak),
            other => bail!("The contender {} answered {other:?}.", self.name),
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        // The end of its commands is its own end; waiting for that also counts its processor time.
        self.commands = None;
        let _ = self.child.wait();
    }
}

/// A line of `/proc/PID/status` in kB, as bytes.
pub fn peak_memory_of(pid: &str) -> Option<u64> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    line.split_whitespace().next()?.parse::<u64>().ok()?.checked_mul(1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_and_answers_are_lines_that_python_reads_and_writes() {
        let written = serde_json::to_string(&Command::Time { seconds: 0.5, cycle: 25 }).unwrap();
        assert_eq!(written, r#"{"do":"time","seconds":0.5,"cycle":25}"#);
        let work = Work::Optimizer { parameters: 10, tensors: 2, inner: "sgd".into(), sync: true };
        let job = Job {
            contender: "timm".into(),
            threads: 2,
            form: "fused".into(),
            storage: "floats".into(),
            work,
            initial: None,
            order: None,
            samples: None,
        };
        let line = serde_json::to_string(&Command::Prepare(Box::new(job.clone()))).unwrap();
        assert!(line.starts_with(r#"{"do":"prepare","contender":"timm","threads":2"#), "{line}");
        assert!(line.contains(r#""work":{"kind":"optimizer","parameters":10,"#), "{line}");
        assert!(!line.contains('\n'));
        let read: Command = serde_json::from_str(&line).unwrap();
        assert_eq!(read, Command::Prepare(Box::new(job)));
        let read: Answer =
            serde_json::from_str(r#"{"is": "timed", "steps": 3, "seconds": 1}"#).unwrap();
        assert_eq!(read, Answer::Timed { steps: 3, seconds: 1.0 });
    }

    #[test]
    fn a_contender_that_ends_or_fails_is_told_with_its_words() {
        let folder = tempfile::tempdir().unwrap();
        let shell = |script: &str| {
            let mut program = Process::new("sh");
            program.args(["-c", script]);
            Worker::start("peer", &mut program, folder.path()).unwrap()
        };
        let said = |mut worker: Worker| worker.peak_memory().unwrap_err().to_string();
        let ended = said(shell("read line; echo 'no module named timm' >&2"));
        assert!(ended.contains("peer has ended") && ended.contains("named timm"), "{ended}");
        let failed = said(shell(r#"read line; echo '{"is":"failed","message":"too large"}'"#));
        assert_eq!(failed, "The contender peer failed: too large");
        let nonsense = said(shell("read line; echo hello"));
        assert!(nonsense.contains("said no answer: hello"), "{nonsense}");
        let mut good = shell(r#"read line; echo '{"is":"memory","peak":7}'"#);
        assert_eq!(good.peak_memory().unwrap(), 7);
    }

    #[test]
    fn this_process_has_had_some_memory() {
        assert!(peak_memory_of("self").unwrap() > 1 << 20);
        assert_eq!(peak_memory_of("0"), None);
    }
}
