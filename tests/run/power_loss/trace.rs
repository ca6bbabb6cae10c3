//! What a process asked of the file system, as strace saw it.

use std::path::Path;
use std::process::Command;

/// Everything that changes files and folders or waits for the disk.
const CALLS: &str = "openat,open,creat,close,write,pwrite64,writev,pwritev,pwritev2,lseek,\
    ftruncate,truncate,fallocate,copy_file_range,sendfile,rename,renameat,renameat2,link,linkat,\
    symlink,symlinkat,unlink,unlinkat,mkdir,mkdirat,rmdir,dup,dup2,dup3,fsync,fdatasync,\
    sync_file_range,msync";

/// The beginning or the end of a system call of any of the process's threads,
/// in the order in which strace saw them.
#[derive(Debug)]
pub struct Step {
    /// Seconds since 1970-01-01 UTC.
    pub at: f64,
    pub call: Call,
}

#[derive(Debug)]
pub enum Call {
    /// Its arguments are what was written until then.
    Begins(Spoken),
    /// Complete; with its result, where it did not fail.
    Ends(Spoken, Option<i64>),
}

/// A call: its name and its arguments, a string's escapes undone.
#[derive(Clone, Debug)]
pub struct Spoken {
    pub name: String,
    pub arguments: Vec<Vec<u8>>,
}

impl Step {
    /// Whether it is about this folder, or a file or folder in it.
    pub fn is_below(&self, root: &Path) -> bool {
        let (Call::Begins(call) | Call::Ends(call, _)) = &self.call;
        call.is_below(root)
    }
}

impl Spoken {
    /// As [`Step::is_below`].
    pub fn is_below(&self, root: &Path) -> bool {
        let root = root.as_os_str().as_encoded_bytes();
        // The root itself too, which is called without a slash at its end.
        let root = root.strip_suffix(b"/").unwrap_or(root);
        let mut arguments = self.arguments.iter();
        arguments.any(|argument| argument.windows(root.len()).any(|part| part == root))
    }

    pub fn text(&self, argument: usize) -> String {
        String::from_utf8_lossy(&self.arguments[argument]).into_owned()
    }

    /// The number of a file descriptor, which strace writes as `5</a/path>`.
    pub fn descriptor(&self, argument: usize) -> i64 {
        let text = self.text(argument);
        let digits = text.split('<').next().expect("split gives one at least");
        digits.parse().expect("a file descriptor")
    }

    pub fn number(&self, argument: usize) -> usize {
        self.text(argument).parse().expect("a number")
    }
}

/// `command`, with everything that it asks of the file system written to `log`.
pub fn traced(strace: &str, command: &Command, log: &Path) -> Command {
    let mut traced = Command::new(strace);
    traced
        .args([
            "-f",
            "-ttt",
            "-T",
            "-xx",
            "-y",
            "-s",
            "100000000",
            "--seccomp-bpf",
        ])
        .args(["-e", "signal=none", "-e", &format!("trace={CALLS}"), "-o"])
        .arg(log)
        .arg(command.get_program())
        .args(command.get_args())
        .env_clear();
    for (name, value) in command.get_envs() {
        if let Some(value) = value {
            traced.env(name, value);
        }
    }
    if let Some(folder) = command.get_current_dir() {
        traced.current_dir(folder);
    }
    traced
}

/// All steps of a log.
pub fn read(log: &Path) -> Vec<Step> {
    let text = std::fs::read_to_string(log).expect("escaped, so text");
    let mut begun: Vec<(&str, &str)> = vec![];
    let mut steps = vec![];
    for line in text.lines() {
        let (thread, rest) = line.split_once(' ').expect("a thread");
        let (at, rest) = rest.trim_start().split_once(' ').expect("a time");
        let at: f64 = at.parse().expect("a time");
        if rest.starts_with("+++") {
            continue;
        }
        if let Some(begin) = rest.strip_suffix(" <unfinished ...>") {
            begun.push((thread, begin));
            let call = Call::Begins(spoken(begin));
            steps.push(Step { at, call });
            continue;
        }
        // A line that was not interrupted tells when the call began.
        let (rest, took) = rest.rsplit_once(" <").unwrap_or((rest, "0>"));
        let took: f64 = took.trim_end_matches('>').parse().expect("seconds");
        let (whole, at) = match rest.strip_prefix("<... ") {
            None => {
                let call = Call::Begins(spoken(rest));
                steps.push(Step { at, call });
                (rest.to_owned(), at + took)
            }
            Some(end) => {
                let of = |(other, _): &(&str, &str)| *other == thread;
                let place = begun.iter().position(of).expect("it has begun");
                let (_, begin) = begun.swap_remove(place);
                let (_, end) = end.split_once(" resumed>").expect("resumed");
                (format!("{begin}{end}"), at)
            }
        };
        let call = Call::Ends(spoken(&whole), result(&whole));
        steps.push(Step { at, call });
    }
    steps
}

/// `name(argument, argument) = result`, or its beginning.
fn spoken(line: &str) -> Spoken {
    let (name, rest) = line.split_once('(').expect("a call");
    let arguments = match rest.rsplit_once(')') {
        Some((arguments, _)) => arguments,
        None => rest,
    };
    // No comma of a string's own: everything in one is escaped.
    Spoken {
        name: name.to_owned(),
        arguments: arguments
            .split(", ")
            .map(|argument| unescaped(argument.trim_end_matches(',')))
            .collect(),
    }
}

/// What stands after the last `=`; `None` for an error, or for no answer at all.
fn result(line: &str) -> Option<i64> {
    let (_, result) = line.rsplit_once(" = ").expect("a result");
    let digits = result.split([' ', '<']).next()?;
    digits.parse().ok().filter(|&result| result >= 0)
}

fn unescaped(text: &str) -> Vec<u8> {
    let text = text.trim_matches('"').as_bytes();
    let mut bytes = Vec::with_capacity(text.len() / 4);
    let mut at = 0;
    while at < text.len() {
        if text[at..].starts_with(b"\\x") {
            let digits = std::str::from_utf8(&text[at + 2..at + 4]).expect("hex");
            bytes.push(u8::from_str_radix(digits, 16).expect("hex"));
            at += 4;
        } else {
            bytes.push(text[at]);
            at += 1;
        }
    }
    bytes
}
