# SPDX-License-Identifier: Apache-2.0
"""Several processes under torchrun."""

from __future__ import annotations

import os
from datetime import timedelta

import torch


def distributed() -> tuple[int, int]:
    """Rank and number of processes; joins the group where torchrun started this one."""
    if "RANK" not in os.environ or int(os.environ.get("WORLD_SIZE", "1")) < 2:
        return 0, 1
    import torch.distributed as dist

    if not dist.is_initialized():
        cuda = torch.cuda.is_available()
        if cuda:
            torch.cuda.set_device(int(os.environ.get("LOCAL_RANK", "0")))
        # The others wait while the first prepares data and validates: half an hour, torch's default, is too short for that.
        dist.init_process_group("nccl" if cuda else "gloo", timeout=timedelta(days=2))
    return dist.get_rank(), dist.get_world_size()


def wait(world: int) -> None:
    """Until every process is here."""
    if world > 1:
        torch.distributed.barrier()
