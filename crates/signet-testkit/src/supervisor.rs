//! Runs one postmaster under a small shell that outlives nobody.
//!
//! The shell waits for a word on its standard input. The end of that pipe is the end of the test process, however it
//! came about: the shell kills the postmaster and its children, and removes their directory. It also reaps the
//! postmaster, which PID 1 of a container may not do, so that a killed server does not look alive. It ignores the hang-up
//! that the kernel sends to a process group that is orphaned while one of its processes, a frozen server, is stopped.

use std::{
    io::Write,
    os::unix::process::CommandExt,
    path::Path,
    process::{Child, Command, Stdio},
    thread::JoinHandle,
};

use crate::Lines;

const SCRIPT: &str = r#"
directory=$1; shift
"$@" </dev/null 2>&1 &
postmaster=$!
trap '' HUP PIPE
echo "postmaster $postmaster"
exec >/dev/null 2>&1
read -r word
if [ "$word" = stop ]; then
    kill -INT $postmaster
else
    kill -STOP $postmaster 2>/dev/null
    children=$(grep -l "^PPid:[[:space:]]*$postmaster\$" /proc/[0-9]*/status 2>/dev/null | cut -d/ -f3)
    kill -KILL $postmaster $children 2>/dev/null
fi
wait $postmaster
[ -n "$word" ] || rm -rf "$directory"
"#;

/// A running postmaster with its shell.
#[derive(Debug)]
pub(crate) struct Supervisor {
    shell: Child,
    log: JoinHandle<()>,
    pub(crate) postmaster: u32,
}

/// How a server is brought to its end.
#[derive(Debug, Clone, Copy)]
pub(crate) enum End {
    /// A fast shutdown: sessions are ended, everything is written.
    Stop,
    /// SIGKILL to all its processes.
    Kill,
    /// SIGKILL, and its directory is removed.
    Discard,
}

impl Supervisor {
    pub(crate) fn start(
        program: &Path,
        arguments: &[String],
        directory: &Path,
        user: Option<(u32, u32)>,
        log: &Lines,
    ) -> Self {
        let start = log.len();
        let mut command = Command::new("/bin/sh");
        command.args(["-c", SCRIPT, "sh"]).arg(directory).arg(program).args(arguments);
        command.current_dir(directory).env("LC_ALL", "C").stdin(Stdio::piped()).stdout(Stdio::piped());
        // Out of reach of the Ctrl-C that ends the test process.
        command.process_group(0);
        if let Some((uid, gid)) = user {
            command.uid(uid).gid(gid);
        }
        let mut shell = command.spawn().expect("/bin/sh starts");
        let reader = log.follow(shell.stdout.take().expect("piped"));
        let postmaster = log.wait_for(start, |line| line.strip_prefix("postmaster ")?.parse().ok());
        Self { shell, log: reader, postmaster }
    }

    /// Returns when the postmaster is reaped and the last of its children has ended.
    pub(crate) fn end(mut self, how: End) {
        let mut words = self.shell.stdin.take().expect("piped");
        let word: &[u8] = match how {
            End::Stop => b"stop\n",
            End::Kill => b"kill\n",
            End::Discard => b"",
        };
        // A shell that is gone already has done its work.
        drop(words.write_all(word));
        drop(words);
        self.shell.wait().expect("the shell ends");
        self.log.join().expect("the log ends with the last process that writes it");
    }
}
