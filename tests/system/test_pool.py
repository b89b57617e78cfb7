"""A map over many items: in their order, here or in processes of their own."""

from __future__ import annotations

import os

import pytest

from ser_core.system import pool, priority


def where(number: int, power: int) -> tuple[int, int, int, str]:
    return number**power, os.getpid(), os.nice(0) if hasattr(os, "nice") else 0, os.environ.get("OMP_NUM_THREADS", "")


TASKS = [(number, 2) for number in range(40)]


def test_one_job_works_here_and_in_order():
    told = list(pool.in_processes(where, TASKS, 1, niced=True))
    assert [each[0] for each in told] == [number**2 for number in range(40)]
    assert {each[1] for each in told} == {os.getpid()}


@pytest.mark.parametrize("niced", [False, True])
def test_more_jobs_work_elsewhere_in_order_with_a_thread_each(niced, monkeypatch):
    monkeypatch.delenv(priority.MOST, raising=False)
    told = list(pool.in_processes(where, TASKS, 2, niced=niced))
    assert [each[0] for each in told] == [number**2 for number in range(40)]
    assert os.getpid() not in {each[1] for each in told} and {each[3] for each in told} == {"1"}
    if hasattr(os, "nice"):
        assert {each[2] for each in told} == {max(os.nice(0), priority.LONG_WORK * niced)}


def test_results_come_as_they_are_asked_for_and_none_for_nothing():
    assert list(pool.in_processes(where, [], 1, niced=False)) == []
    results = pool.in_processes(where, TASKS, 1, niced=False)
    assert next(results)[0] == 0 and next(results)[0] == 1
