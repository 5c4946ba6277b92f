//! One child process, as the parent sees it: started from a program that is held open, followed to its end.

use std::ffi::OsString;
use std::fs::File;
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::process::Command;
use tokio::sync::Notify;
use tokio::sync::mpsc;

use crate::channel;
use crate::channel::Channel;
use crate::channel::Receiver;
use crate::message::ToParent;

/// A child that has closed its channel is expected to end within this time.
const PARTING: Duration = Duration::from_secs(1);

/// What children are started from. Held open, so that a file that is replaced meanwhile changes nothing until it is asked
/// for: a parent and its children are of one build.
#[derive(Debug)]
pub struct Program {
    file: File,
    path: PathBuf,
    arguments: Vec<OsString>,
}

/// Numbers children in the order of their start.
pub(crate) type ChildId = u64;

/// What is heard of a child.
pub(crate) enum Heard {
    Said(ToParent),
    Ended(ExitStatus),
}

pub(crate) type Events = mpsc::UnboundedSender<(ChildId, Heard)>;

/// A running child. Dropped, it is killed.
pub(crate) struct Process {
    pub(crate) pid: u32,
    pub(crate) channel: Channel,
    kill: Arc<Notify>,
}

// === impl Program ===

impl Program {
    /// The program that runs now.
    ///
    /// # Errors
    /// When it cannot be opened.
    pub fn running(arguments: Vec<OsString>) -> io::Result<Self> {
        Ok(Self { file: File::open("/proc/self/exe")?, path: std::env::current_exe()?, arguments })
    }

    /// The program that stands in the same place now.
    pub(crate) fn renewed(&self) -> io::Result<Self> {
        Ok(Self { file: File::open(&self.path)?, path: self.path.clone(), arguments: self.arguments.clone() })
    }
}

// === impl Process ===

impl Process {
    pub(crate) fn start(program: &Program, id: ChildId, events: Events) -> io::Result<Self> {
        let (ours, theirs) = channel::pair()?;
        let channel = Channel::new(ours);
        let receiver = channel.receiver()?;
        let process = Command::new(format!("/proc/self/fd/{}", program.file.as_raw_fd()))
            .arg0(program.path.as_os_str())
            .args(&program.arguments)
            .stdin(Stdio::from(theirs))
            .kill_on_drop(true)
            .spawn()?;
        let pid = process.id().unwrap_or(0);
        let kill = Arc::new(Notify::new());
        tokio::spawn(follow(id, process, receiver, Arc::clone(&kill), events));
        Ok(Self { pid, channel, kill })
    }

    pub(crate) fn kill(&self) {
        self.kill.notify_one();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Passes on what a child says, and that it has ended.
async fn follow(
    id: ChildId,
    mut process: tokio::process::Child,
    receiver: Receiver,
    kill: Arc<Notify>,
    events: Events,
) {
    // However this ends, the process has by then: it is killed when it is dropped.
    let mut end = End { id, events, status: ExitStatus::from_raw(libc::SIGKILL) };
    let mut open = true;
    end.status = loop {
        tokio::select! {
            received = receiver.receive(), if open => match received {
                Ok(Some((message, _files))) => {
                    end.hear(Heard::Said(message));
                }
                Ok(None) => open = false,
                Err(error) => {
                    tracing::error!(%error, "a child process cannot be understood; it is ended");
                    open = false;
                    let _ = process.start_kill();
                }
            },
            () = kill.notified() => {
                let _ = process.start_kill();
            }
            () = tokio::time::sleep(PARTING), if !open => {
                let _ = process.start_kill();
            }
            status = process.wait() => break status.unwrap_or_default(),
        }
    };
    // What it said last comes before its end.
    while open && let Ok(Some((message, _files))) = receiver.receive().await {
        end.hear(Heard::Said(message));
    }
}

/// Says last that a child has ended, whatever becomes of whoever follows it.
struct End {
    id: ChildId,
    events: Events,
    status: ExitStatus,
}

// === impl End ===

impl End {
    fn hear(&self, heard: Heard) {
        let _ = self.events.send((self.id, heard));
    }
}

impl Drop for End {
    fn drop(&mut self) {
        self.hear(Heard::Ended(self.status));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shell with this script for a child is heard of, up to its end.
    async fn heard(script: &str) -> Vec<Heard> {
        let program = Program {
            file: File::open("/bin/sh").unwrap(),
            path: "/bin/sh".into(),
            arguments: vec!["-c".into(), script.into()],
        };
        let (events, mut heard) = mpsc::unbounded_channel();
        let _process = Process::start(&program, 1, events).unwrap();
        let mut all = Vec::new();
        while let Some((1, one)) = heard.recv().await {
            all.push(one);
        }
        all
    }

    #[tokio::test]
    async fn a_child_that_says_what_nobody_understands_is_ended() {
        for nonsense in [
            "printf nonsense >&0",
            "printf '{\"Beat\"' >&0",
            "printf '{\"Strike\":{\"tenant\":\"other\"}}' >&0",
            "printf '{\"Stuck\":{\"worker\":1}}' >&0",
            "printf '\\377\\376' >&0",
            "dd if=/dev/zero bs=100000 count=1 >&0 2>/dev/null",
        ] {
            let heard = heard(&format!("printf '\"Beat\"' >&0; {nonsense}; exec sleep 600")).await;
            let [Heard::Said(ToParent::Beat), Heard::Ended(status)] = &heard[..] else {
                panic!("{nonsense}: {} things were heard", heard.len());
            };
            assert_eq!(status.signal(), Some(libc::SIGKILL), "{nonsense}");
        }
    }

    #[tokio::test]
    async fn a_child_that_closes_its_channel_is_ended_a_little_later() {
        let heard = heard("exec 0</dev/null; exec sleep 600").await;
        assert!(matches!(&heard[..], [Heard::Ended(status)] if status.signal() == Some(libc::SIGKILL)));
    }
}
