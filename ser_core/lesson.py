"""A lesson: what was on this server when it began, so that its end can take away what was made in it, and nothing else.

cli_serve.py begins and ends it while no server runs; a page shows it, and asks for its end by a file. All of it lies in one private
folder, which `serve --class` tells the pages.
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

from ser_core import certificates, corpora, dataset, jobs, library, own, plain_json, runs, store
from ser_core.errors import ConfigError, SerError

VARIABLE = "SER_LESSON"
"""The environment variable by which a server knows the folder of the lesson that it serves."""

STOP_S = 30.0
"""A training has so long to end."""

_LESSON, _END = "lesson.json", "end"


@dataclass(frozen=True, kw_only=True)
class Lesson:
    """What the pages show of a lesson, and what was there before it.

    began: UTC, ISO 8601; began_ns: the same as files are stamped; clock_ns: how far the clock was ahead of the time since the machine
    was started, which tells later whether it was set back. url: of the app; install_url, fingerprint: of the page that gives
    phones the certificate, "" without one. checks: (title, is good, sentence) of the start. told: what the end of the lesson before
    took away, a sentence each. corpora: name -> ids of the clips of people's own corpora, [] for others; models, runs: their names.
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
    """What a lesson made. corpora: name -> title; clips: name of an older corpus -> ids; models: slug -> title; runs: ids."""

    corpora: dict[str, str]
    clips: dict[str, list[str]]
    models: dict[str, str]
    runs: list[str]

    def lines(self) -> list[str]:
        """Return what it is, a line a kind; nothing where nothing was made."""
        added = sum(map(len, self.clips.values()))
        kinds = (
            (len(self.corpora), "corpus", "corpora", self.corpora.values()),
            (added, "recording in an older corpus", "recordings in older corpora", self.clips),
            (len(self.models), "model", "models", self.models.values()),
            (len(self.runs), "training run", "training runs", ()),
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
    """Begin a lesson, or go on with the one that has not been ended, and return it.

    Raises
    ------
    ConfigError : if the folder cannot be written to, or what it keeps of the lesson is damaged.
    """
    kept = read(folder)
    return kept if kept is not None else _begin(folder, told=[])


def _begin(folder: Path, *, told: list[str]) -> Lesson:
    mine = own.listing(library.root())
    there = {name: [clip.id for clip in own.clips(library.root(), name)] if name in mine else [] for name in _corpora()}
    cards, _ = store.list_models(store.MODELS)
    with _clear_errors(folder):
        certificates.private(folder)
        (folder / _END).unlink(missing_ok=True)
        (folder / _LESSON).touch()
        began_ns = (folder / _LESSON).stat().st_mtime_ns
        (folder / _LESSON).unlink()
    lesson = Lesson(
        began=runs.now(),
        began_ns=began_ns,
        clock_ns=time.time_ns() - time.monotonic_ns(),
        corpora=there,
        models=[card.slug for card in cards],
        runs=[job.id for job in jobs.jobs(runs.root())],
        told=told,
    )
    write(folder, lesson)
    return lesson


def read(folder: Path) -> Lesson | None:
    """Return the lesson that a folder keeps; None where it keeps none.

    Raises
    ------
    ConfigError : if it is damaged.
    """
    path = folder / _LESSON
    try:
        values = plain_json.loads(path.read_text(encoding="utf-8"))
        kept = Lesson(**values | {"checks": tuple((title, good, text) for title, good, text in values["checks"])})
        lists = (kept.models, kept.runs, kept.told, *kept.corpora.values())
        if not isinstance(kept.began_ns, int) or not all(isinstance(each, list) for each in lists):
            raise ValueError("an entry is of another kind")
        return kept
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ConfigError(
            f"'{path}', which tells what was here before the lesson, cannot be read ({error}). Delete that file; what the lesson made is "
            "then to be deleted on the pages Corpora and Train."
        ) from None


def write(folder: Path, lesson: Lesson) -> None:
    """Keep a lesson; raises ConfigError where it cannot be written."""
    with _clear_errors(folder):
        runs.replace_text(folder / _LESSON, json.dumps(asdict(lesson), indent=1))


def made(lesson: Lesson) -> Made:
    """Return what is there now and was not when the lesson began."""
    root, now = library.root(), _corpora()
    mine = own.listing(root)
    clips = {
        name: [clip.id for clip in own.clips(root, name) if clip.id not in lesson.corpora[name]]
        for name in mine
        if name in lesson.corpora
    }
    cards, _ = store.list_models(store.MODELS)
    return Made(
        corpora={name: title for name, title in now.items() if name not in lesson.corpora},
        clips={name: ids for name, ids in clips.items() if ids},
        models={
            card.slug: card.title for card in cards if card.slug not in lesson.models and card.slug not in store.SHIPPED
        },
        runs=[job.id for job in jobs.jobs(runs.root()) if job.id not in lesson.runs],
    )


def ask_end(folder: Path) -> None:
    """Ask whoever serves to end the lesson; raises ConfigError where the wish cannot be written."""
    with _clear_errors(folder):
        (folder / _END).touch()


def end_asked(folder: Path) -> bool:
    """Return whether somebody asked for the end."""
    return (folder / _END).exists()


def end(folder: Path, lesson: Lesson) -> Lesson:
    """Take away what the lesson made, and return the next one, which tells what went and what could not. No server may run.

    Raises
    ------
    ConfigError : if the next lesson cannot be written.
    """
    told = []
    going = [job for job in jobs.jobs(runs.root()) if job.id not in lesson.runs and not job.ended]
    for job in going:
        jobs.stop(job)
    deadline = time.monotonic() + STOP_S
    while going and time.monotonic() < deadline:
        time.sleep(0.1)
        going = [job for job in jobs.jobs(runs.root()) if job.id in {each.id for each in going} and not job.ended]
    found = made(lesson)  # a run that was about to save its model has saved it by now
    root = library.root()
    work: list[Callable[[], object]] = [lambda name=name: _delete_corpus(root, name) for name in found.corpora]  # type: ignore[misc]
    work += [lambda name=name, ids=ids: own.delete(root, name, ids) for name, ids in found.clips.items()]  # type: ignore[misc]
    work += [lambda slug=slug: store.delete(slug, store.MODELS) for slug in found.models]  # type: ignore[misc]
    work += [lambda id=id: jobs.clear(jobs.find(runs.root(), id)) for id in found.runs]  # type: ignore[misc]
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
        # What could not go is still the lesson's: the next end tries again.
        after = Lesson(**{**asdict(lesson), "told": told, "checks": ()})
        with _clear_errors(folder):
            (folder / _END).unlink(missing_ok=True)
        write(folder, after)
        return after
    with _clear_errors(folder):
        (folder / _LESSON).unlink(missing_ok=True)
    return _begin(folder, told=told or ["Nothing had been recorded or trained."])


def _corpora() -> dict[str, str]:
    """Return the corpora that somebody may have made here, empty ones too: name -> title."""
    root = library.root()
    others = {row.name: row.title for row in library.installed(root).values() if row.kind != library.KNOWN}
    return {**own.listing(root), **others}


def _delete_corpus(root: Path, name: str) -> None:
    if name in own.listing(root):
        own.delete_all(root, name)
        return
    if not corpora.is_own_name(name):
        raise ConfigError(f"'{name}' is no corpus of people's own.")
    shutil.rmtree(root / name)
    library.leave_out_all(root, name, {})


def _forget(began_ns: int) -> None:
    """Remove what was measured since: features of recordings, and how models answered to them."""
    from ser_core import assessment  # brings all of training along, which pages that ask for the lesson do not need

    dataset.clear(dataset.cache_folder(), since_ns=began_ns)
    for path in assessment.results_folder().glob("*.json"):
        with contextlib.suppress(OSError):  # gone meanwhile, or not ours to delete
            if path.stat().st_mtime_ns >= began_ns:
                path.unlink()


@contextlib.contextmanager
def _clear_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"The lesson could not be kept in '{folder}' ({error.strerror}). Make room there, or set SER_CLASS."
        ) from None
