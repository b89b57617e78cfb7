"""A map over many items in worker processes, one numeric thread each."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from ser_core.system import priority


def in_processes(
    measure: Callable[..., Any], tasks: Sequence[tuple[Any, ...]], n_jobs: int, *, niced: bool
) -> Iterator[Any]:
    """Yield measure(*task) of each task in their order, from processes with one thread of the numeric libraries each; 1: from this one.

    What numba compiles must have been called once before (audio/warm_up.py): two workers that fill its cache at once leave it corrupt.
    """
    import joblib

    step_back = functools.partial(priority.step_back, priority.LONG_WORK) if niced else None
    with joblib.parallel_config("loky", inner_max_num_threads=1, initializer=step_back):
        run = joblib.Parallel(n_jobs=n_jobs, return_as="generator", batch_size=16)
        yield from run(joblib.delayed(measure)(*task) for task in tasks)
