//! Barriers.

use crate::case::{Args, Read};
use crate::control::{Flow, Frame, Step};
use crate::event;
use crate::fault::Fault;
use crate::state::object;
use asyncio::Barrier;

/// Operations that may wait in asyncio; `reset` and `abort` never do here.
#[derive(Debug)]
pub(crate) enum BarrierWait {
    Wait(String),
    Reset(String),
    Abort(String),
}

/// Operations that never wait.
#[derive(Debug)]
pub(crate) enum BarrierOp {
    NWaiting(String),
    Broken(String),
    Parties(String),
}

impl BarrierWait {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "barrier_wait" => Self::Wait(args.text(0)?),
            "barrier_reset" => Self::Reset(args.text(0)?),
            "barrier_abort" => Self::Abort(args.text(0)?),
            _ => return Ok(None),
        }))
    }
}

impl BarrierOp {
    pub(crate) fn read(args: &Args<'_>) -> Read<Option<Self>> {
        Ok(Some(match args.name {
            "barrier_n_waiting" => Self::NWaiting(args.text(0)?),
            "barrier_broken" => Self::Broken(args.text(0)?),
            "barrier_parties" => Self::Parties(args.text(0)?),
            _ => return Ok(None),
        }))
    }
}

impl Frame {
    pub(crate) async fn barrier_op_wait(&self, op: &BarrierWait) -> Step {
        match op {
            BarrierWait::Wait(name) => {
                let index = self.barrier_wait(name).await?;
                event!(self, "barrier_wait", name, index);
            }
            BarrierWait::Reset(name) => {
                self.barrier(name).reset();
                event!(self, "barrier_reset", name);
            }
            BarrierWait::Abort(name) => {
                self.barrier(name).abort();
                event!(self, "barrier_abort", name);
            }
        }
        Ok(Flow::Next)
    }

    pub(crate) async fn barrier_wait(&self, name: &str) -> Result<usize, Fault> {
        self.barrier(name).wait().await.map_err(|_| Fault::named("BrokenBarrier"))
    }

    pub(crate) fn barrier_op(&self, op: &BarrierOp) {
        match op {
            BarrierOp::NWaiting(name) => event!(self, "barrier_n_waiting", name, self.barrier(name).n_waiting()),
            BarrierOp::Broken(name) => event!(self, "barrier_broken", name, self.barrier(name).broken()),
            BarrierOp::Parties(name) => event!(self, "barrier_parties", name, self.barrier(name).parties()),
        }
    }

    fn barrier(&self, name: &str) -> &Barrier {
        object(&self.state.barriers, name)
    }
}
