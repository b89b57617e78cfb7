"""The command what-if: what makes the models answer otherwise to a clip: noise, voices, rooms, lines, codecs, another pace or pitch."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from ser_core.cli import options as shared
from ser_core.cli.terminal import ProgressPrinter, fail
from ser_core.errors import SerError
from ser_core.system import untrusted_text


def add(commands: Any) -> None:
    """Add the command to the parser."""
    what_if = commands.add_parser(
        "what-if", help="what flips the models' answers to a clip: noise, rooms, lines, codecs, another voice"
    )
    what_if.add_argument("file", metavar="FILE", help="a recording of a few seconds in any common format")
    shared.add_model(what_if, "a model, such as cnn (default: the shipped models)")
    shared.add_channel(what_if)
    shared.add_track(what_if)
    shared.add_json(what_if, "print JSON: what flips each answer, and the answers to every variant")
    shared.add_models_dir(what_if)
    what_if.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from ser_core import paths
    from ser_core.audio.degradations import CONDITIONS
    from ser_core.explanation import what_if
    from ser_core.recognition import analysis, service, store, timeline, together
    from ser_core.recognition.recognizer import Prediction

    folder, samples = options.models_dir or paths.models_folder(), paths.PROJECT / "pages" / "samples"
    channel, track = shared.channel_name(options), shared.track_number(options)
    name = Path(options.file).name
    clip = analysis.analyse(options.file, name=name, max_duration_s=timeline.LONG_S, channel=channel, track=track)
    if not clip.quality.has_speech:
        raise SerError(f"{name}: {' '.join(clip.quality.advice)}")
    recognizers = [store.load(slug, folder) for slug in dict.fromkeys(options.model or store.usual())]
    models = [(each.slug, each.digest) for each in recognizers]
    digests = {each.slug: each.digest for each in recognizers}

    def lead(answers: service.Answers) -> list[Prediction]:
        return together.lead([each for each in answers if isinstance(each, Prediction)], digests, folder)

    answers = service.predict(clip, models, folder)
    status = max((fail(each) for each in answers if isinstance(each, str)), default=0)
    clean = lead(answers)
    conditions = [name for name, row in CONDITIONS.items() if not row.others or what_if.read_voices(samples)]
    heard: dict[what_if.Variant, list[Prediction]] = {}
    progress = ProgressPrinter()
    for place, condition in enumerate(conditions):
        progress(place / len(conditions), CONDITIONS[condition].title)
        found = what_if.ask(clip.clip.waveform, condition, models, folder, samples)
        heard |= {(condition, level): lead(each) for level, each in zip(what_if.levels(condition), found, strict=True)}
    flips = {
        each.model: what_if.find(
            each, {key: one for key, found in heard.items() for one in found if one.model == each.model}
        )
        for each in clean
    }
    if options.json:
        print(json.dumps(_values(name, clean, flips, heard), indent=1))
        return status
    for each in clean:
        said = what_if.sentence(each, flips[each.model]).replace("*", "")
        print(untrusted_text.lines(f"{each.model}: {said}"))
    return status


def _values(name: str, clean: Any, flips: Any, heard: Any) -> dict[str, Any]:
    """Return what was found as JSON values."""
    from ser_core.explanation import what_if
    from ser_core.recognition import analysis

    found = [
        {
            "model": each.model,
            "answer": what_if.answer(each),
            "sentence": what_if.sentence(each, flips[each.model]).replace("*", ""),
            "flips": [
                {"condition": flip.row.condition, "row": flip.row.title, "level": flip.level, "becomes": flip.becomes}
                for flip in flips[each.model]
            ],
        }
        for each in clean
    ]
    variants = [
        {"condition": condition, "level": level, **analysis.answers(answers)}
        for (condition, level), answers in heard.items()
    ]
    return {"file": name, "models": found, "variants": variants}
