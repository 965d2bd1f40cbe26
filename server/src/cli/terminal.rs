//! Lending the terminal to the command that `exec` runs.

use std::io::{self, IsTerminal, Stdin};

use nix::sys::signal::{SigSet, Signal};
use nix::unistd::{Pid, getpgrp, tcgetpgrp, tcsetpgrp};
use tracing::debug;

/// The terminal, lent to a process group. It goes back when this is dropped.
pub(super) struct Lent {
    terminal: Stdin,
}

impl Lent {
    /// Lends the terminal to the group, so that it can read from it and gets its Ctrl-C; `None`
    /// where there is none, or where it isn't ours.
    pub(super) fn to(group: Pid) -> Option<Self> {
        let terminal = io::stdin();
        if !terminal.is_terminal() || tcgetpgrp(&terminal) != Ok(getpgrp()) {
            return None;
        }
        give(&terminal, group).then_some(Self { terminal })
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        give(&self.terminal, getpgrp());
    }
}

fn give(terminal: &Stdin, group: Pid) -> bool {
    // Who gives the terminal from the background would otherwise be stopped.
    let stop: SigSet = [Signal::SIGTTOU].into_iter().collect();
    let given = stop
        .thread_swap_mask(nix::sys::signal::SigmaskHow::SIG_BLOCK)
        .and_then(|before| {
            let given = tcsetpgrp(terminal, group);
            before.thread_set_mask().and(given)
        });
    if let Err(error) = given {
        debug!(%error, "the terminal could not be passed on");
    }
    given.is_ok()
}
