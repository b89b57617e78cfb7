"""A lesson: what was on this server when it began, so that its end can remove what was created in it, and nothing else.

cli/serve.py begins and ends it while no server runs; a page shows it, and requests its end by a file. All of it lies in one private
folder, whose path `serve --class` passes to the pages.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

from ser_core import paths
from ser_core.corpora import library, recorded, scan
from ser_core.dataset import cache
from ser_core.errors import ConfigError, SerError
from ser_core.recognition import store
from ser_core.serving import permissions
from ser_core.system import files, untrusted_json
from ser_core.training import jobs

VARIABLE = "SER_LESSON"
"""The environment variable with the folder of the lesson that a server serves."""

STOP_S = 30.0
"""How long a training may take to stop."""

_LESSON, _END = "lesson.json", "end"


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What the pages show of a lesson, and what existed before it.

    began: UTC, ISO 8601; began_ns: the same in the unit of file times; clock_ns: how far the clock was ahead of the time since the
    machine was started, which shows later whether it was set back. url: of the app; install_url, fingerprint: of the page that gives
    phones the certificate, "" without one. checks: (title, is good, sentence) of the start. told: what the end of the previous lesson
    removed, one sentence each. corpora: name -> ids of the clips of user-recorded corpora, [] for others; models, runs: their names.
    """

    began: str
    began_ns: int
    corpora: dict[str, list[str]]
    models: list[str]
    runs: list[str]
    told: list[str]
    clock_ns: int = 0
    url: str = ""
    install_url: str = ""
    fingerprint: str = ""
    checks: tuple[tuple[str, bool, str], ...] = ()


@dataclass(frozen=True)
class Made:
    """What a lesson created. corpora: name -> title; clips: name of an older corpus -> ids; models: slug -> title; runs: ids."""

    corpora: dict[str, str]
    clips: dict[str, list[str]]
    models: dict[str, str]
    runs: list[str]

    def lines(self) -> list[str]:
        """Return it in words, one line per kind; nothing where nothing was created."""
        added = sum(map(len, self.clips.values()))
        kinds = (
            (len(self.corpora), "corpus", "corpora", self.corpora.values()),
            (added, "recording in an older corpus", "recordings in older corpora", self.clips),
            (len(self.models), "model", "models", self.models.values()),
            (len(self.runs), "run", "runs", ()),
        )
        return [
            f"{n} {one if n == 1 else many}" + (f": {', '.join(names)}" if names else "")
            for n, one, many, names in kinds
            if n
        ]


def folder() -> Path | None:
    """Return the folder of the lesson that this server serves; None where it serves none."""
    told = os.environ.get(VARIABLE)
    return Path(told) if told else None


def begin(folder: Path) -> Lesson:
    """Begin a lesson, or resume the one that has not been ended, and return it.

    Raises
    ------
    ConfigError : if the folder cannot be written to, or the lesson saved in it is damaged.
    """
    kept = read(folder)
    return kept if kept is not None else _begin(folder, told=[])


def _begin(folder: Path, *, told: list[str]) -> Lesson:
    mine = recorded.listing(paths.corpora_folder())
    there = {
        name: [clip.id for clip in recorded.clips(paths.corpora_folder(), name)] if name in mine else []
        for name in _corpora()
    }
    cards, _ = store.list_models(paths.models_folder())
    with _clear_errors(folder):
        permissions.create_private(folder)
        (folder / _END).unlink(missing_ok=True)
        (folder / _LESSON).touch()
        began_ns = (folder / _LESSON).stat().st_mtime_ns
        (folder / _LESSON).unlink()
    lesson = Lesson(
        began=files.utc_now(),
        began_ns=began_ns,
        clock_ns=time.time_ns() - time.monotonic_ns(),
        corpora=there,
        models=[card.slug for card in cards],
        runs=[job.id for job in jobs.jobs(paths.runs_folder())],
        told=told,
    )
    write(folder, lesson)
    return lesson


def read(folder: Path) -> Lesson | None:
    """Return the lesson saved in a folder; None where there is none.

    Raises
    ------
    ConfigError : if it is damaged.
    """
    path = folder / _LESSON
    try:
        return untrusted_json.convert(untrusted_json.loads(path.read_text(encoding="utf-8")), Lesson)
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"'{path}', which lists what was here before the lesson, cannot be read ({error}). Delete that file; what the lesson created "
            "must then be deleted on the pages Corpora and Train."
        ) from None


def write(folder: Path, lesson: Lesson) -> None:
    """Save a lesson; raises ConfigError where it cannot be written."""
    with _clear_errors(folder):
        files.write_atomically(folder / _LESSON, json.dumps(asdict(lesson), indent=1))


def made(lesson: Lesson) -> Made:
    """Return what exists now and did not when the lesson began."""
    root, now = paths.corpora_folder(), _corpora()
    mine = recorded.listing(root)
    clips = {
        name: [clip.id for clip in recorded.clips(root, name) if clip.id not in lesson.corpora[name]]
        for name in mine
        if name in lesson.corpora
    }
    cards, _ = store.list_models(paths.models_folder())
    return Made(
        corpora={name: title for name, title in now.items() if name not in lesson.corpora},
        clips={name: ids for name, ids in clips.items() if ids},
        models={
            card.slug: card.title for card in cards if card.slug not in lesson.models and card.slug not in store.SHIPPED
        },
        runs=[job.id for job in jobs.jobs(paths.runs_folder()) if job.id not in lesson.runs],
    )


def ask_end(folder: Path) -> None:
    """Request the end of the lesson from the serving process; raises ConfigError where the request cannot be written."""
    with _clear_errors(folder):
        (folder / _END).touch()


def end_asked(folder: Path) -> bool:
    """Return whether the end was requested."""
    return (folder / _END).exists()


def end(folder: Path, lesson: Lesson) -> Lesson:
    """Remove what the lesson created, and return the next one, which lists what was and was not removed. No server may run.

    Raises
    ------
    ConfigError : if the next lesson cannot be written.
    """
    told = []
    going = [job for job in jobs.jobs(paths.runs_folder()) if job.id not in lesson.runs and not job.ended]
    for job in going:
        jobs.stop(job)
    deadline = time.monotonic() + STOP_S
    while going and time.monotonic() < deadline:
        time.sleep(0.1)
        going = [
            job for job in jobs.jobs(paths.runs_folder()) if job.id in {each.id for each in going} and not job.ended
        ]
    found = made(lesson)  # a run that was saving its model has finished by now
    root = paths.corpora_folder()
    work: list[Callable[[], object]] = [lambda name=name: _delete_corpus(root, name) for name in found.corpora]  # type: ignore[misc]
    work += [lambda name=name, ids=ids: recorded.delete(root, name, ids) for name, ids in found.clips.items()]  # type: ignore[misc]
    work += [lambda slug=slug: store.delete(slug, paths.models_folder()) for slug in found.models]  # type: ignore[misc]
    work += [lambda id=id: jobs.clear(jobs.find(paths.runs_folder(), id)) for id in found.runs]  # type: ignore[misc]
    for step in work:
        try:
            step()
        except (SerError, OSError) as error:
            told.append(f"Not removed: {error}")
    set_back_ns = lesson.clock_ns - (time.time_ns() - time.monotonic_ns())
    _forget(lesson.began_ns - max(set_back_ns, 0))
    left = made(lesson)
    gone = Made(
        {name: title for name, title in found.corpora.items() if name not in left.corpora},
        {name: ids for name, ids in found.clips.items() if name not in left.clips},
        {slug: title for slug, title in found.models.items() if slug not in left.models},
        [id for id in found.runs if id not in left.runs],
    )
    told = [f"Removed: {line}." for line in gone.lines()] + told
    if left != Made({}, {}, {}, []):
        # What could not be removed still belongs to the lesson: the next end tries again.
        after = Lesson(**{**asdict(lesson), "told": told, "checks": ()})
        with _clear_errors(folder):
            (folder / _END).unlink(missing_ok=True)
        write(folder, after)
        return after
    with _clear_errors(folder):
        (folder / _LESSON).unlink(missing_ok=True)
    return _begin(folder, told=told or ["Nothing had been recorded or trained."])


def _corpora() -> dict[str, str]:
    """Return the corpora that may have been created here, empty ones too: name -> title."""
    root = paths.corpora_folder()
    others = {row.name: row.title for row in library.installed(root).values() if row.kind != library.KNOWN}
    return {**recorded.listing(root), **others}


def _delete_corpus(root: Path, name: str) -> None:
    if name in recorded.listing(root):
        recorded.delete_all(root, name)
        return
    if not scan.is_own_name(name):
        raise ConfigError(f"'{name}' is not a user-recorded corpus.")
    shutil.rmtree(root / name)
    library.leave_out_all(root, name, {})


def _forget(began_ns: int) -> None:
    """Remove what was computed since: features of recordings, and predictions for them."""
    cache.clear(paths.feature_cache(), since_ns=began_ns)
    for path in paths.results_folder().glob("*.json"):
        with contextlib.suppress(OSError):  # already removed, or not ours to delete
            if path.stat().st_mtime_ns >= began_ns:
                path.unlink()


@contextlib.contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"The lesson could not be saved in '{folder}' ({error.strerror}). Make room there, or set SER_CLASS."
        ) from None
