//! The `dataflume` command as its users run it.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

/// The command, with files of its own.
fn dataflume(folder: &TempDir) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dataflume"));
    command
        .env("TMPDIR", folder.path())
        .env("XDG_DATA_HOME", folder.path());
    command.env_remove("DATAFLUME_LOG");
    command.stdin(Stdio::null());
    command
}

fn folder() -> TempDir {
    tempfile::tempdir().unwrap()
}

fn error_of(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8(output.stderr.clone()).unwrap()
}

/// A `dataflume start` that is ended with the test.
struct Started {
    child: Child,
    output: BufReader<ChildStdout>,
    port: u16,
}

impl Started {
    fn new(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        output.read_line(&mut first).unwrap();
        let json: serde_json::Value = serde_json::from_str(&first).unwrap();
        let port = u16::try_from(json["port"].as_u64().unwrap()).unwrap();
        assert_eq!(json["endpoint"], format!("localhost:{port}"));
        Self {
            child,
            output,
            port,
        }
    }

    fn signal(&self, signal: Signal) {
        send(&self.child, signal);
    }

    /// The rest of its output, and its exit code.
    fn end(mut self) -> (String, Option<i32>) {
        let mut rest = String::new();
        self.output.read_to_string(&mut rest).unwrap();
        (rest, self.child.wait().unwrap().code())
    }
}

fn send(child: &Child, signal: Signal) {
    kill(Pid::from_raw(child.id().cast_signed()), signal).unwrap();
}

/// What is left in a folder, some levels deep.
fn left_in(folder: &Path) -> Vec<String> {
    let mut left = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            left.extend(left_in(&path));
        } else {
            left.push(path.display().to_string());
        }
    }
    left
}

#[test]
fn start_says_where_it_is_and_ends_when_asked() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let folder = folder();
        let started = Started::new(dataflume(&folder).args(["start", "--port=0", "--ephemeral"]));
        let port = started.port;
        for address in [format!("127.0.0.1:{port}"), format!("localhost:{port}")] {
            TcpStream::connect(address).unwrap();
        }
        started.signal(signal);
        let (rest, code) = started.end();
        assert_eq!(code, Some(0));
        for way in [
            "--job_endpoint=",
            "--jobEndpoint=",
            "--runner=universal --endpoint=",
        ] {
            assert!(rest.contains(&format!("{way}localhost:{port}")), "{rest}");
        }
        // Whether somebody listens on its port now says nothing: another test's emulator may have got it.
        assert_eq!(left_in(folder.path()), Vec::<String>::new());
    }
}

#[test]
fn bad_flags_are_refused() {
    let folder = folder();
    for (arguments, reason) in [
        (&["start", "--port", "99999"][..], "--port"),
        (&["start", "--workers", "magic"], "magic"),
        (&["start", "--log-level", "loud"], "--log-level"),
        (
            &["start", "--host", "no such host", "--ephemeral"],
            "no such host",
        ),
        (
            &["start", "--port=0", "--ephemeral", "--bucket", "ftp://x/y"],
            "ftp://x/y",
        ),
        (&["exec", "--"], "COMMAND"),
        (&["fly"], "fly"),
    ] {
        let output = dataflume(&folder).args(arguments).output().unwrap();
        let error = error_of(&output);
        assert!(error.contains(reason), "{arguments:?}: {error}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
    }
}

#[test]
fn a_port_in_use_is_said_to_be() {
    let folder = folder();
    let other = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = other.local_addr().unwrap().port().to_string();
    let output = dataflume(&folder)
        .args(["start", "--ephemeral", "--port", &port])
        .output();
    let error = error_of(&output.unwrap());
    assert!(error.contains(&port) && error.contains("in use"), "{error}");
}

#[test]
fn a_data_folder_in_use_is_said_to_be() {
    let folder = folder();
    let start = |folder| {
        let mut command = dataflume(folder);
        command.args(["start", "--port=0"]).stderr(Stdio::piped());
        command
    };
    let first = Started::new(&mut start(&folder));
    let error = error_of(&start(&folder).output().unwrap());
    let process = format!("process {}", first.child.id());
    assert!(
        error.contains("in use") && error.contains(&process),
        "{error}"
    );
    first.signal(Signal::SIGTERM);
    assert_eq!(first.end().1, Some(0));
    // Free again.
    let second = Started::new(&mut start(&folder));
    second.signal(Signal::SIGTERM);
    assert_eq!(second.end().1, Some(0));
}

#[test]
fn logs_are_json_if_wanted() {
    let folder = folder();
    let mut command = dataflume(&folder);
    command
        .args(["start", "--port=0", "--ephemeral", "--log-format=json"])
        .stderr(Stdio::piped());
    let mut started = Started::new(&mut command);
    started.signal(Signal::SIGTERM);
    let mut log = String::new();
    started
        .child
        .stderr
        .take()
        .unwrap()
        .read_to_string(&mut log)
        .unwrap();
    assert_eq!(started.end().1, Some(0));
    let messages: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect();
    assert!(
        messages.iter().any(|message| message["message"] == "ready"),
        "{log}"
    );
}

#[test]
fn exec_tells_the_command_where_the_emulator_is() {
    let folder = folder();
    let script =
        "echo $DATAFLUME_ENDPOINT $JOB_ENDPOINT $DATAFLUME_URL localhost:$DATAFLUME_PORT $1";
    let output = dataflume(&folder)
        .args(["exec", "--", "sh", "-c", script, "sh", "{endpoint}"])
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    let words: Vec<&str> = text.split_whitespace().collect();
    let endpoint = words[0];
    assert!(endpoint.starts_with("localhost:"), "{text}");
    assert_eq!(
        words[1..],
        [endpoint, &format!("http://{endpoint}"), endpoint, endpoint]
    );
    assert_eq!(String::from_utf8(output.stderr).unwrap(), "");
    assert_eq!(left_in(folder.path()), Vec::<String>::new());
}

#[test]
fn exec_passes_the_exit_code_on() {
    let folder = folder();
    for (command, code) in [
        (&["sh", "-c", "exit 0"][..], 0),
        (&["sh", "-c", "exit 42"], 42),
        (&["sh", "-c", "kill -9 $$"], 137),
        (&["no such command"], 127),
        (&["/"], 126),
    ] {
        let output = dataflume(&folder)
            .args(["exec", "--"])
            .args(command)
            .output()
            .unwrap();
        assert_eq!(output.status.code(), Some(code), "{command:?}");
    }
}

/// A command that tells when it runs, and how it was ended.
const PATIENT: &str =
    "trap 'echo ended; exit 3' INT TERM; echo running; while :; do sleep 0.05; done";

#[test]
fn exec_passes_signals_on() {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let folder = folder();
        let mut child = dataflume(&folder)
            .args(["exec", "--", "sh", "-c", PATIENT])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut output = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        output.read_line(&mut line).unwrap();
        assert_eq!(line, "running\n");
        send(&child, signal);
        let mut rest = String::new();
        output.read_to_string(&mut rest).unwrap();
        assert_eq!(rest, "ended\n");
        assert_eq!(child.wait().unwrap().code(), Some(3));
        assert_eq!(left_in(folder.path()), Vec::<String>::new());
    }
}

#[test]
fn exec_leaves_nothing_running() {
    let folder = folder();
    // The pipe ends when the last process that has it is gone.
    let output = dataflume(&folder)
        .args(["exec", "--", "sh", "-c", "sleep 1000 & echo done"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(output.stdout, b"done\n");
}

#[test]
fn what_a_killed_emulator_left_goes_with_the_next_one() {
    let folder = folder();
    let started = Started::new(dataflume(&folder).args(["start", "--port=0", "--ephemeral"]));
    started.signal(Signal::SIGKILL);
    assert_eq!(started.end().1, None);
    assert_ne!(left_in(folder.path()), Vec::<String>::new());
    let output = dataflume(&folder)
        .args(["exec", "--", "true"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert_eq!(left_in(folder.path()), Vec::<String>::new());
}

/// What the shell command prints, run with these words in front.
fn shown(front: &[&str], script: &str) -> String {
    let folder = folder();
    let mut command = dataflume(&folder);
    command
        .env("GOOGLE_APPLICATION_CREDENTIALS", "/of/the/user.json")
        .env("GOOGLE_CLOUD_PROJECT", "of-the-user")
        .env_remove("PYTHONPATH");
    let output = command
        .args(front)
        .args(["sh", "-c", script])
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn exec_points_clients_at_the_emulator() {
    let script = "echo ${STORAGE_EMULATOR_HOST#$DATAFLUME_URL} \
                  ${GCE_METADATA_HOST#$DATAFLUME_ENDPOINT} \
                  ${GOOGLE_APPLICATION_CREDENTIALS-none} $GOOGLE_CLOUD_PROJECT; \
                  ls $PYTHONPATH; ls -d $CLOUDSDK_CONFIG >/dev/null";
    let shown = shown(&["exec", "--"], script);
    let lines: Vec<_> = shown.lines().map(str::trim).collect();
    assert_eq!(lines, ["none of-the-user", "sitecustomize.py"]);
}

#[test]
fn env_is_for_a_shell_to_evaluate() {
    let folder = folder();
    let output = dataflume(&folder)
        .args(["env", "--port", "1234"])
        .env_remove("PYTHONPATH")
        .output()
        .unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    let script = format!("{text}\necho $STORAGE_EMULATOR_HOST; ls $PYTHONPATH");
    let evaluated = Command::new("sh")
        .args(["-ec", &script])
        .env_remove("PYTHONPATH")
        .output()
        .unwrap();
    let lines = String::from_utf8(evaluated.stdout).unwrap();
    assert_eq!(lines, "http://localhost:1234\nsitecustomize.py\n");
}

#[test]
fn an_expansion_service_that_can_not_be_started_is_an_error() {
    let folder = folder();
    for (arguments, wanted) in [
        (
            vec!["python", "--python", "/no/such/python"],
            "\"/no/such/python\" can't be run",
        ),
        (vec!["java"], "--class-path <PATH>"),
    ] {
        let mut command = dataflume(&folder);
        let output = command.arg("expansion-service").args(arguments).output();
        let error = error_of(&output.unwrap());
        assert!(error.contains(wanted), "{error}");
    }
}
