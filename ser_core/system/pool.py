"""A map over many items in worker processes, one numeric thread each."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any


def in_processes(
    measure: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], n_jobs: int, *, niced: bool
) -> Iterator[Any]:
    """Yield measure(*task) of each task in their order, from processes with one thread of the numeric libraries each; 1: from this one.

    What numba compiles must have been called once before (audio/warm_up.py): two workers that fill its cache at once leave it corrupt.
    """
    import joblib

    with joblib.parallel_config("loky", inner_max_num_threads=1, initializer=_step_back if niced else None):
        run = joblib.Parallel(n_jobs=n_jobs, return_as="generator", batch_size=16)
        yield from run(joblib.delayed(measure)(*task) for task in tasks)


def _step_back() -> None:
    """Let the other processes of this machine go first; called once in each worker."""
    if hasattr(os, "nice"):
        os.nice(10)
